package wsdl

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/soapward/soapward/internal/testenv"
)

func TestCorpus(t *testing.T) {
	t.Parallel()
	ok, whole := 0, 0 // subtests run one after the other
	ids, files := testenv.Corpus(t, filepath.Join("..", "..", "shared", "wsdl"))
	for i, id := range ids {
		file := files[i]
		t.Run(id, func(t *testing.T) {
			start := time.Now()
			d, err := new(Resolver).Open(t.Context(), file)
			if took := time.Since(start); took > 10*time.Second {
				t.Errorf("took %v", took)
			}
			if err != nil {
				if !strings.Contains(err.Error(), ":") {
					t.Errorf("error without position: %v", err)
				}
				t.Logf("does not load: %v", err)
				return
			}
			ok++
			if len(d.Dropped) == 0 {
				whole++
			}
			n := 0
			for _, b := range d.Bindings {
				n += len(b.Operations)
			}
			if n == 0 {
				t.Errorf("loaded, but no SOAP operations")
			}
		})
	}
	t.Logf("%d of %d load, %d with every operation", ok, len(ids), whole)
	if ok < 75 || whole < 74 { // what is lost below this has been won before
		t.Errorf("%d of %d load, %d with every operation, expected more", ok, len(ids), whole)
	}
}
