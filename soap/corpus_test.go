package soap

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/soapward/soapward/soap/wire"
)

// TestRecordedMessages reads messages that other implementations sent. They
// are not part of this repository.
func TestRecordedMessages(t *testing.T) {
	t.Parallel()
	// Recordings that are not what they were on the wire.
	broken := map[string]string{
		"GET_DATA__should_work_with_more_deeply_nested_XML_messages_and_without_security/request.xml": "holds <... in place of data",
	}
	files, err := filepath.Glob(filepath.FromSlash("../../shared/wsdl/wire/*/re*.xml"))
	if err != nil || len(files) == 0 {
		t.Skip("no recorded messages beside the repository")
	}
	for _, file := range files {
		name := filepath.Base(filepath.Dir(file)) + "/" + filepath.Base(file)
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			ct := "text/xml"
			if b = bytes.TrimLeft(b, "\n"); bytes.HasPrefix(b, []byte("--")) {
				boundary, _, _ := strings.Cut(string(b[2:]), "\n")
				ct = "Multipart/Related; boundary=" + strings.TrimSpace(boundary) + "; type=text/xml;"
			}
			r, err := ParseContentType(ct).Open(bytes.NewReader(b), wire.Options{})
			if err != nil {
				t.Fatal(err)
			}
			m, err := Read(r)
			if why, bad := broken[name]; bad {
				if err == nil {
					t.Errorf("accepted, though it %s", why)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if m.IsFault() {
				if f, err := m.Fault(nil); err != nil || f.Reason == "" {
					t.Errorf("fault %v, %v", f, err)
				}
				return
			}
			if x, err := m.Raw(); err != nil || x.IsZero() && m.Body.Local != "" {
				t.Errorf("body %s, %v", x, err)
			}
		})
	}
}
