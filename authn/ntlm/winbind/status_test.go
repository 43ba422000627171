package winbind

import (
	"bytes"
	"encoding/json"
	"errors"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/internal/testenv"
)

// friendly prints the texts that Samba has for statuses, as JSON.
const friendly = `
import ctypes, glob, json, sys
from samba import ntstatus
lib = ctypes.CDLL(glob.glob("/usr/lib/*/libsamba-errors.so.1")[0])
text = lib.get_friendly_nt_error_msg
text.restype, text.argtypes = ctypes.c_char_p, [ctypes.c_uint32]
print(json.dumps({n: text(getattr(ntstatus, n)).decode() for n in json.load(sys.stdin)}))
`

// TestStatusTexts compares our table with the library that ntlm_auth has its
// texts of.
func TestStatusTexts(t *testing.T) {
	t.Parallel()
	python := testenv.NeedPython(t, "samba")
	var names []string
	for _, s := range statuses {
		if strings.HasPrefix(s.name, "NT_STATUS_") {
			names = append(names, s.name)
		}
	}
	if len(names) < 30 {
		t.Fatalf("only %d statuses", len(names))
	}
	input, err := json.Marshal(names)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), python, "-c", friendly)
	cmd.Stdin = bytes.NewReader(input)
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	var texts map[string]string
	if err := json.Unmarshal(out, &texts); err != nil {
		t.Fatal(err)
	}
	for _, s := range statuses {
		if want, ok := texts[s.name]; ok && s.text != want {
			t.Errorf("%s: text %q, Samba's is %q", s.name, s.text, want)
		}
	}
}

func TestStatusError(t *testing.T) {
	t.Parallel()
	for _, s := range statuses {
		for _, text := range []string{s.text, s.name, s.name + " (0xc0000001)"} {
			err := statusError(text)
			var re *authn.RefusedError
			switch {
			case s.reason == "" && (!errors.Is(err, authn.ErrUnavailable) || errors.As(err, &re)):
				t.Errorf("%q: %v, want unavailable", text, err)
			case s.reason != "" && (!errors.As(err, &re) || re.Reason != s.reason || re.Hint != s.hint):
				t.Errorf("%q: %v, want refused as %s", text, err, s.reason)
			}
			if !strings.Contains(err.Error(), s.name) {
				t.Errorf("%q: %v does not name it", text, err)
			}
		}
	}
	long := strings.Repeat("x", 5000)
	for _, text := range []string{"", "something new", long} {
		var re *authn.RefusedError
		if err := statusError(text); !errors.As(err, &re) || re.Reason != authn.ReasonPolicy || len(err.Error()) > 400 {
			t.Errorf("%.20q: %.400v, want refused by policy, in short", text, err)
		}
	}
}

// The cache does not grow with the spellings that clients make up.
func TestAttackCacheFlood(t *testing.T) {
	t.Parallel()
	var c cache
	now := time.Now()
	id := &authn.Identity{Account: "alice"}
	c.put("first", id, now, now.Add(time.Minute))
	for n := range 3 * maxCached {
		c.put(strconv.Itoa(n), id, now, now.Add(time.Minute))
	}
	if n := len(c.accounts); n > maxCached {
		t.Errorf("%d entries", n)
	}
	// What is out of date goes first.
	later := now.Add(time.Hour)
	c.put("last", id, later, later.Add(time.Minute))
	if n := len(c.accounts); n != 1 || c.get("last", later) != id {
		t.Errorf("%d entries after all others ended, want the last", n)
	}
}
