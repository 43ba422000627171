package main

import (
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/soapward/soapward/admin/api"
	"github.com/soapward/soapward/admin/api/wire"
)

// TestAttackAdminServerLies has a server tell of what cannot be, of which the command
// line made bars of negative length, and looked for causes beside names: it panicked.
func TestAttackAdminServerLies(t *testing.T) {
	t.Parallel()
	const (
		evil = `\u001b[2J\u202e\u009b31m`
		ok   = `{"summary":{"realm":"corp","complete":true}}`
	)
	for _, tt := range []struct{ name, answer string }{
		{"less than nothing done", `{"progress":{"done":-5,"total":3}}` + "\n" + ok},
		{"more than there is", `{"progress":{"done":9223372036854775807,"total":3}}` + "\n" + ok},
		{"less than nothing at all", `{"progress":{"done":5,"total":-9223372036854775808}}` + "\n" + ok},
		{"names without causes", `{"summary":{"realm":"corp","seen":1,"failed":1,"failed_names":["CORP\\alice"]}}`},
		{"numbers below zero", `{"summary":{"realm":"corp","seen":-1,"failed":-9223372036854775808,"gone":-1,"gone_names":["x"]}}`},
		{"a realm that steers the terminal", `{"summary":{"realm":"` + evil + `","complete":true,"seen":1,"domains":["` + evil + `"]}}`},
		{"less than nothing imported", `{"created":-5,"existed":-9223372036854775808}`},
		{"more imported than there were", `{"created":9223372036854775807,"existed":9223372036854775807}`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			o := officeAt(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Content-Type", "application/json")
				answer := tt.answer
				if r.URL.Path != api.Prefix+"import" {
					w.Header().Set("Content-Type", wire.JSONLines)
				} else if !strings.HasPrefix(answer, `{"created"`) {
					answer = `{}`
				}
				_, _ = io.WriteString(w, answer+"\n")
			}))
			args := []string{"sync", "--realm", "corp", "--server", o.server}
			if strings.Contains(tt.name, "import") {
				file := filepath.Join(o.home, "users.csv")
				if err := os.WriteFile(file, []byte("name\nalice\nbob\n"), 0o600); err != nil {
					t.Fatal(err)
				}
				args = []string{"user", "import", file, "--server", o.server}
			}
			_, out, errs := o.run(args...)
			if strings.ContainsAny(out+errs, "\x1b\u009b\u202e") {
				t.Errorf("prints %q", out+errs)
			}
			if out+errs == "" || strings.Contains(errs, "goroutine ") {
				t.Errorf("prints %q", out+errs)
			}
		})
	}
}
