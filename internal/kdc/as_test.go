package kdc

import (
	"slices"
	"testing"
	"time"

	"github.com/soapward/soapward/internal/krb5"
	"github.com/soapward/soapward/internal/krb5/pac"
)

func TestASRefusals(t *testing.T) {
	t.Parallel()
	k := newKDC(t, Config{})
	addPeople(t, k)
	now := k.cfg.Now
	tests := []struct {
		name string
		user string
		bend func(c *call)
		want krb5.ErrorCode
	}{
		{"unknown client", "nobody", nil, krb5.CodeClientUnknown},
		{"service name as client", "HTTP/front.corp.test", nil, krb5.CodeClientUnknown},
		{"disabled", "dora", nil, krb5.CodeClientRevoked},
		{"expired password", "exa", nil, krb5.CodeKeyExpired},
		{"no proof", "alice", func(c *call) { c.req.PAData = nil }, krb5.CodePreauthRequired},
		{"wrong password", "alice", func(c *call) {
			w, _ := krb5.StringToKey(krb5.AES256SHA1, "wrong", k.salt("alice"), nil)
			c.timestamp(t, w, now())
		}, krb5.CodePreauthFailed},
		{"proof is garbage", "alice", func(c *call) { c.req.PAData[0].Value = []byte("x") }, krb5.CodePreauthFailed},
		{"clock behind", "alice", func(c *call) { c.timestamp(t, c.replyOf, now().Add(-6*time.Minute)) }, krb5.CodeSkew},
		{"clock ahead", "alice", func(c *call) { c.timestamp(t, c.replyOf, now().Add(6*time.Minute)) }, krb5.CodeSkew},
		{"other realm", "alice", func(c *call) { c.req.Body.Realm = "OTHER.TEST" }, krb5.CodeWrongRealm},
		{"unknown service", "alice", func(c *call) { c.req.Body.SName = krb5.TGSName("OTHER.TEST") }, krb5.CodeServerUnknown},
		{"no service", "alice", func(c *call) { c.req.Body.SName = krb5.PrincipalName{} }, krb5.CodeServerUnknown},
		{"no type in common", "alice", func(c *call) { c.req.Body.ETypes = []krb5.EType{krb5.RC4HMAC, 99} }, krb5.CodeETypeNoSupport},
		{"no types", "alice", func(c *call) { c.req.Body.ETypes = nil }, krb5.CodeETypeNoSupport},
		{"postdated", "alice", func(c *call) { c.req.Body.Options |= krb5.FlagPostdated }, krb5.CodeBadOption},
		{"ends in the past", "alice", func(c *call) { c.req.Body.Till = now().Add(-time.Hour) }, krb5.CodeNeverValid},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c := asCall(t, k, tt.user, "pw", krb5.AES256SHA1, 0)
			if tt.bend != nil {
				tt.bend(c)
			}
			c.wantCode(t, k, tt.want)
		})
	}
}

// The hints of a refusal are enough to make the key.
func TestASPreauthHints(t *testing.T) {
	t.Parallel()
	k := newKDC(t, Config{})
	addPeople(t, k)
	c := asCall(t, k, "ALICE", "pw", krb5.AES128SHA1, 0)
	c.req.PAData, c.req.Body.ETypes = nil, allETypes
	_, e := c.ask(t, k)
	l, err := krb5.ParseMethodData(e.Data)
	if err != nil {
		t.Fatal(err)
	}
	b, ok := krb5.FindPAData(l, krb5.PAETypeInfo2)
	if _, ts := krb5.FindPAData(l, krb5.PAEncTimestamp); !ok || !ts {
		t.Fatalf("method data: %v", l)
	}
	info, err := krb5.ParseETypeInfo2(b)
	if err != nil {
		t.Fatal(err)
	}
	want := []krb5.ETypeInfo2Entry{
		{EType: krb5.AES256SHA1, Salt: "CORP.TESTalice", HasSalt: true},
		{EType: krb5.AES128SHA1, Salt: "CORP.TESTalice", HasSalt: true}}
	if !slices.EqualFunc(info, want, func(a, b krb5.ETypeInfo2Entry) bool {
		return a.EType == b.EType && a.Salt == b.Salt && a.HasSalt == b.HasSalt
	}) {
		t.Errorf("got %+v, want %+v", info, want)
	}
}

func TestASTicket(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 5, 6, 7, 8, 9, 123456789, time.UTC)
	k := newKDC(t, Config{Now: func() time.Time { return now }, DomainSID: "S-1-5-21-1-2-3"})
	addPeople(t, k)
	c := asCall(t, k, "alice", "pw", krb5.AES256SHA1, krb5.FlagForwardable|krb5.FlagRenewable)
	c.req.Body.Till = now.Add(2 * time.Hour).Truncate(time.Second)
	r := c.must(t, k)
	o := open(t, k, r, "krbtgt")
	start := now.Truncate(time.Second)
	switch {
	case r.enc.Nonce != 12345:
		t.Errorf("nonce: got %d", r.enc.Nonce)
	case !o.part.EndTime.Equal(start.Add(2 * time.Hour)):
		t.Errorf("end: got %v", o.part.EndTime)
	case !o.part.RenewTill.Equal(start.Add(7 * 24 * time.Hour)):
		t.Errorf("renew till: got %v", o.part.RenewTill)
	case !o.part.AuthTime.Equal(start) || !o.part.StartTime.Equal(start):
		t.Errorf("auth, start: got %v, %v", o.part.AuthTime, o.part.StartTime)
	case !o.part.Key.Equal(r.key):
		t.Error("ticket and reply have different keys")
	case o.part.Flags != krb5.FlagForwardable|krb5.FlagRenewable|krb5.FlagInitial|krb5.FlagPreAuthent || o.part.Flags != r.enc.Flags:
		t.Errorf("flags: got %032b", o.part.Flags)
	}
	if o.logon.SID() != k.DomainSID().RID(k.account("alice").RID) || o.logon.Domain != "CORP" || o.logon.FullName != "Alice Example" {
		t.Errorf("logon information: %+v", o.logon)
	}
	want := []pac.SID{"S-1-5-21-1-2-3-513", "S-1-5-21-1-2-3-1200", "S-1-5-21-1-2-3-1201", sidAuthenticationAuthority}
	if got := o.logon.GroupSIDs(); !slices.Equal(got, want) {
		t.Errorf("groups: got %v, want %v", got, want)
	}
	if s, err := o.pac.Requestor(); err != nil || s != o.logon.SID() {
		t.Errorf("requestor: got %s, %v", s, err)
	}
}

func TestASNames(t *testing.T) {
	t.Parallel()
	k := newKDC(t, Config{})
	addPeople(t, k)
	tests := []struct {
		name, asked, want string
		kind              krb5.NameType
		opts              krb5.Flags
	}{
		{"other case", "ALICE", "ALICE", krb5.NamePrincipal, 0},
		{"other case made canonical", "ALICE", "alice", krb5.NamePrincipal, krb5.OptionCanonical},
		{"UPN", "alice@corp.test", "alice", krb5.NameEnterprise, krb5.OptionCanonical},
		{"NetBIOS domain", "alice@CORP", "alice", krb5.NameEnterprise, krb5.OptionCanonical},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c := asCall(t, k, "alice", "pw", krb5.AES256SHA1, tt.opts)
			c.req.Body.CName = krb5.NewPrincipalName(tt.kind, tt.asked)
			r := c.must(t, k)
			if r.rep.CName.String() != tt.want {
				t.Errorf("got %s, want %s", r.rep.CName, tt.want)
			}
			if sid := open(t, k, r, "krbtgt").logon.SID(); sid != k.DomainSID().RID(k.account("alice").RID) {
				t.Errorf("PAC names %s", sid)
			}
		})
	}
}

func TestASFlags(t *testing.T) {
	t.Parallel()
	k := newKDC(t, Config{})
	addPeople(t, k)
	mustAdd(t, k, Account{Name: "open", Password: "pw", NoPreauth: true}, Account{Name: "bare", Password: "pw", NoPAC: true})
	for _, user := range []string{"sam", "pru"} {
		if r := login(t, k, user, "pw"); r.enc.Flags.Has(krb5.FlagForwardable) {
			t.Errorf("%s has a forwardable ticket", user)
		}
	}
	c := asCall(t, k, "open", "pw", krb5.AES256SHA1, 0)
	c.req.PAData = nil
	if r := c.must(t, k); r.enc.Flags.Has(krb5.FlagPreAuthent) {
		t.Error("a login without proof is marked as proven")
	}
	if o := open(t, k, login(t, k, "bare", "pw"), "krbtgt"); o.pac != nil {
		t.Error("NoPAC: the ticket has a PAC")
	}
	no, err := krb5.MarshalPACRequest(false)
	if err != nil {
		t.Fatal(err)
	}
	c = asCall(t, k, "alice", "pw", krb5.AES256SHA1, 0)
	c.req.PAData = append(c.req.PAData, krb5.PAData{Type: krb5.PAPACRequest, Value: no})
	if o := open(t, k, c.must(t, k), "krbtgt"); o.pac != nil {
		t.Error("a PAC that was not wanted")
	}
}

func TestAccounts(t *testing.T) {
	t.Parallel()
	k := newKDC(t, Config{})
	addPeople(t, k)
	for name, a := range map[string]Account{
		"no name":         {Password: "x"},
		"slash":           {Name: "a/b", Password: "x"},
		"no password":     {Name: "a"},
		"SPN taken":       {Name: "a", Password: "x", SPNs: []string{"http/FRONT.corp.test"}},
		"unsupported key": {Name: "a", Password: "x", ETypes: []krb5.EType{krb5.DESCBCMD5}},
	} {
		if err := k.Add(a); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	rid := k.account("alice").RID
	if err := k.Update("alice", func(a *Account) { a.Disabled, a.UPN = true, "al@corp.test" }); err != nil {
		t.Fatal(err)
	}
	a := k.account("alice")
	if a.RID != rid || !a.Disabled || a.versions[0].kvno != 1 || len(a.versions) != 1 {
		t.Errorf("after update: %+v, %d key versions", a.Account, len(a.versions))
	}
	for i := range maxKeyVersions + 1 {
		if err := k.SetPassword("front", "new"+string(rune('a'+i))); err != nil {
			t.Fatal(err)
		}
	}
	if f := k.account("front"); f.versions[0].kvno != maxKeyVersions+2 || len(f.versions) != maxKeyVersions {
		t.Errorf("after new passwords: version %d, %d kept", f.versions[0].kvno, len(f.versions))
	}
	if k.client(krb5.NewPrincipalName(krb5.NameEnterprise, "al@corp.test")) != a {
		t.Error("new UPN is unknown")
	}
	if err := k.Update("alice", func(a *Account) { a.Name = "bob" }); err == nil {
		t.Error("renamed")
	}
	if err := k.SetPassword("nobody", "x"); err == nil {
		t.Error("password of nobody set")
	}
	for _, realm := range []string{"", "corp.test", "A B", "A/B"} {
		if _, err := New(Config{Realm: realm}); err == nil {
			t.Errorf("realm %q accepted", realm)
		}
	}
}
