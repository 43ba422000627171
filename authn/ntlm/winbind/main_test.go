package winbind_test

import (
	"encoding/json"
	"os"
	"testing"

	"github.com/soapward/soapward/internal/adtest"
)

func TestMain(m *testing.M) {
	if spec := os.Getenv(fakeEnv); spec != "" {
		var f fakes
		if err := json.Unmarshal([]byte(spec), &f); err != nil {
			panic(err)
		}
		os.Exit(f.main(os.Args[1:]))
	}
	os.Exit(adtest.Main(m))
}
