package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"unicode"

	"github.com/spf13/cobra"

	"github.com/soapward/soapward/wsdl"
)

func TestExitCodes(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		args []string
		want int
	}{
		{"help", []string{"help"}, exitDone},
		{"version", []string{"version", "--json"}, exitDone},
		{"unknown command", []string{"nonsense"}, exitUsage},
		{"unknown flag", []string{"version", "--nonsense"}, exitUsage},
		{"keyword for a package", []string{"generate", "-p", "func", "a.wsdl"}, exitUsage},
		{"no WSDL", []string{"generate"}, exitUsage},
		{"too many arguments", []string{"version", "x"}, exitUsage},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := run(t.Context(), tt.args); got != tt.want {
				t.Errorf("run(%q) = %d, want %d", tt.args, got, tt.want)
			}
		})
	}
}

func TestPrintError(t *testing.T) {
	t.Parallel()
	base := errors.New("wsdl: a.wsdl:3:1: no such type\nwsdl: a.wsdl:9:1: no such element")
	for _, tt := range []struct {
		name string
		err  error
		json bool
		want string
	}{
		{"plain", errors.New("broken"), false, "soapward: broken\n"},
		{"several lines", base, false, "soapward: a.wsdl:3:1: no such type\n  a.wsdl:9:1: no such element\n"},
		{"packages", errors.New("wsdl: open u: authclient: no wsdl: or gen"), true, "{\n  \"error\": \"open u: no wsdl: or gen\"\n}\n"},
		{"remedy", fmt.Errorf("outer: %w", withRemedy(errors.New("401"), "add -u USER")), false, "soapward: outer: 401\n  try: add -u USER\n"},
		{"usage", usagef(&cobra.Command{Use: "x"}, "what %s", "now"), false, "soapward: what now\n  try: x --help\n"},
		{"json", withRemedy(errors.New("<401>"), "add -u USER"), true, "{\n  \"error\": \"<401>\",\n  \"remedy\": \"add -u USER\"\n}\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var b bytes.Buffer
			printError(&b, tt.err, tt.json)
			if got := b.String(); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
	if withRemedy(nil, "x") != nil {
		t.Error("withRemedy(nil) is an error")
	}
}

// What a file or a KDC brings cannot steer the terminal that JSON is printed on.
func TestAttackJSONSteersTerminal(t *testing.T) {
	t.Parallel()
	in := map[string]string{"name": "a\x1b[2J\u009b2J\x7f\u202eb\U000e0001é\n\"\\<"}
	var b strings.Builder
	if err := printJSON(&b, in); err != nil {
		t.Fatal(err)
	}
	if strings.ContainsFunc(b.String(), func(r rune) bool { return r != '\n' && !unicode.IsPrint(r) }) || !strings.Contains(b.String(), "é") {
		t.Errorf("%q", b.String())
	}
	var out map[string]string
	if err := json.Unmarshal([]byte(b.String()), &out); err != nil || out["name"] != in["name"] {
		t.Errorf("%v, %q", err, out)
	}
}

// What a server says of its address must be no command of its own in what we
// suggest to paste, and must not steer the terminal.
func TestAttackRemedyToPaste(t *testing.T) {
	t.Parallel()
	evil := "http://evil.test/a?x';touch${IFS}pwned;'\u009b2J"
	for name, err := range map[string]error{
		"redirected": explain("soapward call", "http://a.test/", loginFlags{}, &wsdl.StatusError{URI: evil, Code: http.StatusUnauthorized}),
		"own":        explain("soapward call", strings.Replace(evil, "?", "", 1), loginFlags{}, &wsdl.StatusError{URI: evil, Code: http.StatusNotFound}),
		"address":    withRemedy(errors.New("x"), "--url "+shellWord(evil)),
	} {
		var b strings.Builder
		printError(&b, err, false)
		_, remedy, ok := strings.Cut(b.String(), "  try: ")
		if !ok || strings.ContainsRune(b.String(), 0x9b) || strings.Contains(remedy, "x';") {
			t.Errorf("%s: %q", name, b.String())
		}
	}
}
