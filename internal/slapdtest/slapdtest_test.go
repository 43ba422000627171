package slapdtest

import (
	"net"
	"strings"
	"testing"

	"github.com/soapward/soapward/internal/testenv"
)

func TestServer(t *testing.T) {
	t.Parallel()
	s := Start(t, Config{LDIF: "dn: cn=a," + BaseDN + "\nobjectClass: device\ncn: a\n"})
	s.Add(t, "dn: cn=b,"+BaseDN+"\nobjectClass: device\ncn: b\n")
	s.Kill(t)
	if c, err := net.Dial("tcp", s.Plain[len("ldap://"):]); err == nil {
		_ = c.Close()
		t.Error("it listens after Kill")
	}
	s.Restart(t)
	out := testenv.Run(t, nil, "", testenv.Need(t, "ldapsearch"), "-x", "-H", s.Plain, "-b", BaseDN, "-LLL", "(objectClass=device)", "cn")
	for _, want := range []string{"dn: cn=a,", "dn: cn=b,"} {
		if !containsLine(out, want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
}

func containsLine(text, prefix string) bool {
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, prefix) {
			return true
		}
	}
	return false
}
