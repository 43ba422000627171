package adtest

import (
	"strings"
	"testing"

	"github.com/soapward/soapward/internal/testenv"
)

func TestMember(t *testing.T) {
	t.Parallel()
	m := StartMember(t)
	dc := Start(t)
	wbinfo := testenv.Need(t, "wbinfo")
	out := testenv.Run(t, m.Env(), "", wbinfo, "--name-to-sid="+NetBIOS+`\`+Zoe)
	if !strings.HasPrefix(out, dc.SID(t, Zoe)+" ") {
		t.Errorf("SID of %s = %q, want %s", Zoe, out, dc.SID(t, Zoe))
	}
	ntlmAuth := m.Command("ntlm_auth")
	for password, want := range map[string]bool{Password(t, Alice): true, "wrong": false} {
		args := append(ntlmAuth[1:], "--domain="+NetBIOS, "--username="+Alice, "--password="+password)
		if out, err := testenv.Try(t, m.Env(), "", ntlmAuth[0], args...); (err == nil) != want {
			t.Errorf("logon with password %q: %v, %s", password, err, out)
		}
	}
}
