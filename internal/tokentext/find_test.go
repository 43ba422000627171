package tokentext

import (
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"strings"
	"testing"
	"unicode/utf16"
)

// A token is found whatever it was copied from.
func TestFind(t *testing.T) {
	t.Parallel()
	token := windowsInit(t, []byte("NTLMSSP\x00\x01\x00\x00\x00\x07\x82\x08\xa2\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x3f\x3e\x3f\x3e"))
	std, url := b64(token), base64.RawURLEncoding.EncodeToString(token)
	if std == url || !strings.ContainsAny(url, "-_") || !strings.HasSuffix(std, "=") {
		t.Fatalf("%s does not tell the alphabets apart", std)
	}
	wrap := func(s string, n int, with string) string {
		var lines []string
		for ; len(s) > n; s = s[n:] {
			lines = append(lines, s[:n])
		}
		return strings.Join(append(lines, s), with)
	}
	utf16le := []byte{0xff, 0xfe}
	for _, u := range utf16.Encode([]rune("Negotiate " + std + "\r\n")) {
		utf16le = append(utf16le, byte(u), byte(u>>8))
	}
	digits := hex.EncodeToString(token)
	for _, tt := range []struct{ name, input, header, scheme, encoding string }{
		{"bare", std, "", "", "base64"},
		{"blanks around", "\n  " + std + "  \n", "", "", "base64"},
		{"for URLs, without padding", url, "", "", "base64"},
		{"wrapped by base64(1)", wrap(std, 76, "\n"), "", "", "base64"},
		{"broken by blanks", wrap(std, 20, " "), "", "", "base64"},
		{"in quotes", `"` + std + `"`, "", "", "base64"},
		{"byte order mark", "\xef\xbb\xbf" + std, "", "", "base64"},
		{"scheme", "Negotiate " + std, "", "Negotiate", "base64"},
		{"scheme in capitals", "NEGOTIATE  " + std, "", "Negotiate", "base64"},
		{"header", "Authorization: Negotiate " + std, "Authorization", "Negotiate", "base64"},
		{"header of HTTP/2", "www-authenticate: negotiate " + std + "\r\n", "WWW-Authenticate", "Negotiate", "base64"},
		{"header of a proxy", "Proxy-Authorization: Negotiate " + std, "Proxy-Authorization", "Negotiate", "base64"},
		{"header, wrapped", "Authorization: Negotiate " + wrap(std, 60, "\n"), "Authorization", "Negotiate", "base64"},
		{"header, wrapped and indented", "Authorization:\n  Negotiate " + wrap(std, 60, "\n  "), "Authorization", "Negotiate", "base64"},
		{"curl -v", "> GET / HTTP/1.1\n> Authorization: Negotiate " + std + "\n> Accept: */*\n>\n* Connection #0 left intact\n", "Authorization", "Negotiate", "base64"},
		{"curl's command line", "curl 'http://h/' \\\n  -H 'Authorization: Negotiate " + std + "' \\\n  --insecure", "Authorization", "Negotiate", "base64"},
		{"a browser, name and value on lines", "accept-language\nen\nauthorization\nNegotiate " + std + "\ncache-control\nno-cache\n", "Authorization", "Negotiate", "base64"},
		{"a browser, with a colon", "authorization:\nNegotiate " + std + "\nhost:\nh\n", "Authorization", "Negotiate", "base64"},
		{"HAR", `{"name": "Authorization", "value": "Negotiate ` + std + `"},`, "", "Negotiate", "base64"},
		{"a log", `level=DEBUG msg=leg authorization="Negotiate ` + std + `" peer=10.0.0.1`, "Authorization", "Negotiate", "base64"},
		{"a list of challenges", "WWW-Authenticate: Negotiate " + std + ", Basic realm=\"x, y\"", "WWW-Authenticate", "Negotiate", "base64"},
		{"hex of Wireshark", digits, "", "", "hex"},
		{"hex in capitals", strings.ToUpper(digits), "", "", "hex"},
		{"hex with colons", wrap(digits, 2, ":"), "", "", "hex"},
		{"hex on lines", wrap(digits, 32, "\n"), "", "", "hex"},
		{"hex with 0x", "0x" + digits, "", "", "hex"},
		{"binary", string(token), "", "", "binary"},
		{"PowerShell", string(utf16le), "", "Negotiate", "base64"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			all := find([]byte(tt.input))
			if len(all) == 0 {
				t.Fatal("nothing found")
			}
			f := all[0]
			if string(f.raw) != string(token) || f.problem != "" {
				t.Errorf("got  %x, %s\nwant %x", f.raw, f.problem, token)
			}
			if f.header != tt.header || f.scheme != tt.scheme || f.encoding != tt.encoding {
				t.Errorf("%q, %q, %q; want %q, %q, %q", f.header, f.scheme, f.encoding, tt.header, tt.scheme, tt.encoding)
			}
			if n := len(all); n > 1 && tt.name != "a list of challenges" {
				t.Errorf("%d tokens found, the second is %+v", n, all[1])
			}
		})
	}
	for _, input := range []string{"", " \n\t", `""`} {
		if _, err := Inspect([]byte(input), Options{}); err == nil {
			t.Errorf("%q: no error", input)
		}
	}
}

// More tokens than are shown are counted.
func TestManyTokens(t *testing.T) {
	t.Parallel()
	line := "NTLM " + b64(recorded(t, "curl-ntlm", 0, false)) + "\n"
	r, err := Inspect([]byte(strings.Repeat(line, maxTokens+7)), Options{})
	if err != nil || len(r.Tokens) != maxTokens || r.Omitted != 7 {
		t.Fatalf("%d tokens, %d more, %v", len(r.Tokens), r.Omitted, err)
	}
	if text := printable(t, r, len(line)*maxTokens); !strings.HasSuffix(text, fmt.Sprintf("\n… and %d more tokens\n", r.Omitted)) {
		t.Errorf("the text ends in %q", text[len(text)-80:])
	}
}
