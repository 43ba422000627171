package gokrb5test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/jcmturner/gokrb5/v8/service"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/authn/kerberos"
	"github.com/soapward/soapward/internal/krb5"
)

// TestDefectMITTicket: KDCs of MIT Kerberos since 1.20 put a PAC into their
// tickets that names no Windows account. gokrb5 refuses such tickets.
func TestDefectMITTicket(t *testing.T) {
	t.Parallel()
	m := startMIT(t)
	c := m.ticketFor(t)
	token := c.token(t)
	if a := theirServer(m.theirs).send(t, token); theyAccept(t, a, "alice@A.TEST") {
		gone(t, "refuses tickets of MIT Kerberos")
	}
	// It is because of the PAC: without a look at it, the ticket is good.
	if a := theirServer(m.theirs, service.DecodePAC(false)).send(t, c.token(t)); !theyAccept(t, a, "alice@A.TEST") {
		t.Errorf("gokrb5 answers %d without a look at the PAC", a.status)
	}
	// Such callers have no SID and no groups, so it takes a word to let them in.
	a := ourServer(&kerberos.Mechanism{Keytab: m.ours, AllowNoPAC: []string{"A.TEST"}}).send(t, token)
	if a.id == nil || a.id.Account != "alice" || a.id.Domain != "A.TEST" || len(a.id.Groups) > 0 || a.id.SID != "" {
		t.Errorf("we answer %d, caller %v, error %v; want alice without groups", a.status, a.id, a.err)
	}
	weRefuse(t, ourServer(&kerberos.Mechanism{Keytab: m.ours}).send(t, c.token(t)), authn.ReasonPolicy)
}

// TestDefectPanicAuthorizationData: a client may have the KDC put authorization
// data of its own into a ticket (RFC 4120 5.4.1, enc-authorization-data), and do
// without a PAC (MS-KILE 2.2.3). gokrb5 panics on what such a client sends.
func TestDefectPanicAuthorizationData(t *testing.T) {
	t.Parallel()
	m := startMIT(t)
	for _, tt := range []struct {
		name string
		data []byte // of AD-IF-RELEVANT
		want authn.Reason
	}{
		{"empty sequence", []byte{0x30, 0}, ""}, // says nothing, so there is nothing to refuse
		{"not a sequence", []byte{0x04, 1, 'x'}, authn.ReasonMalformed},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			token := m.ticketWith(t, krb5.AuthorizationData{Type: krb5.ADIfRelevant, Data: tt.data}).token(t)
			if a := theirServer(m.theirs).send(t, token); a.panicked == nil {
				gone(t, "panics on a client's authorization data (status %d)", a.status)
			}
			a := ourServer(&kerberos.Mechanism{Keytab: m.ours, AllowNoPAC: []string{"A.TEST"}}).send(t, token)
			switch {
			case tt.want != "":
				weRefuse(t, a, tt.want)
			case a.id == nil || a.id.Account != "alice":
				t.Errorf("we answer %d, caller %v, error %v, panic %v; want alice let in", a.status, a.id, a.err, a.panicked)
			}
		})
	}
}

// TestDefectUPN: the PAC has the caller's UPN, and gokrb5 does not return it.
func TestDefectUPN(t *testing.T) {
	t.Parallel()
	r := startRealm(t)
	token := r.ticketFor(t, appSPN).token(t)
	a := theirServer(r.theirKeytab(t, appSPN)).send(t, token)
	theyMustAccept(t, a)
	all := fmt.Sprintf("%+v", *a.creds)
	if !strings.Contains(all, "EffectiveName:alice") {
		t.Fatalf("gokrb5 returns nothing of the PAC: %s", all)
	}
	if strings.Contains(all, aliceUPN) {
		gone(t, "hides the UPN")
	}
	a = ourServer(&kerberos.Mechanism{Keytab: r.ourKeytab(t, appSPN)}).send(t, token)
	weAccept(t, a)
	if a.id.UPN != aliceUPN {
		t.Errorf("we say UPN %q, want %s", a.id.UPN, aliceUPN)
	}
}
