package ntlm_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/authn/ntlm"
	"github.com/soapward/soapward/authn/ntlm/ntlmtest"
)

const password = "Pa55w0rd-ünï"

var domainUsers = authn.Group{SID: "S-1-5-21-1-2-3-513", Name: `CORP\Domain Users`}

func newAccounts(t testing.TB) *ntlm.Accounts {
	t.Helper()
	as, err := ntlm.NewAccounts("CORP", "corp.test",
		ntlm.Account{
			Name: "alice", Password: authn.NewSecret(password), DisplayName: "Alice Example",
			UPN: "alice@corp.test", SID: "S-1-5-21-1-2-3-1001", Groups: []authn.Group{domainUsers},
		},
		ntlm.Account{Name: "Bob", Hash: ntlm.HashPassword("bob's own"), UPN: "robert@other.test"},
		ntlm.Account{Name: "jürgen", Password: authn.NewSecret(password)},
		ntlm.Account{Name: "mallory", Password: authn.NewSecret(password), Disabled: true},
	)
	if err != nil {
		t.Fatal(err)
	}
	return as
}

var aliceIdentity = authn.Identity{
	Account: "alice", Domain: "CORP", UPN: "alice@corp.test", DisplayName: "Alice Example",
	SID: "S-1-5-21-1-2-3-1001", Groups: []authn.Group{domainUsers},
}

// spellings are the ways to write a name, and whether they are to work.
var spellings = []struct {
	name, password string
	want           authn.Identity // zero: refused
	reason         authn.Reason
}{
	{name: `CORP\alice`, password: password, want: aliceIdentity},
	{name: `corp\Alice`, password: password, want: aliceIdentity},
	{name: `corp.test\ALICE`, password: password, want: aliceIdentity},
	{name: `.\alice`, password: password, want: aliceIdentity},
	{name: "alice", password: password, want: aliceIdentity},
	{name: "alice@corp.test", password: password, want: aliceIdentity},
	{name: "ALICE@CORP", password: password, want: aliceIdentity},
	{name: "robert@other.test", password: "bob's own", want: authn.Identity{Account: "Bob", Domain: "CORP"}},
	{name: "bob", password: "bob's own", want: authn.Identity{Account: "Bob", Domain: "CORP"}},
	{name: `CORP\JÜRGEN`, password: password, want: authn.Identity{Account: "jürgen", Domain: "CORP"}},

	{name: "alice", password: "nicht", reason: authn.ReasonWrongPassword},
	{name: "alice", password: strings.ToUpper(password), reason: authn.ReasonWrongPassword},
	{name: "alice", password: "bob's own", reason: authn.ReasonWrongPassword},
	{name: "nobody", password: password, reason: authn.ReasonUnknownUser},
	{name: `OTHER\alice`, password: password, reason: authn.ReasonUnknownUser},
	{name: "alice@other.test", password: password, reason: authn.ReasonUnknownUser},
	{name: "robert", password: "bob's own", reason: authn.ReasonUnknownUser},
	{name: "alice@", password: password, reason: authn.ReasonUnknownUser},
	{name: "@corp.test", password: password, reason: authn.ReasonUnknownUser},
	{name: "alice ", password: password, reason: authn.ReasonUnknownUser},
	{name: `CORP\alice@corp.test`, password: password, reason: authn.ReasonUnknownUser},
	{name: "mallory", password: password, reason: authn.ReasonDisabled},
	// That the account is disabled is not shown before the right password.
	{name: "mallory", password: "nicht", reason: authn.ReasonWrongPassword},
}

func TestAccountsConformance(t *testing.T) {
	t.Parallel()
	c := ntlmtest.Config{
		Verifier: newAccounts(t),
		Names:    ntlm.Names{Domain: "CORP", Computer: "GW01", DNS: ntlm.DNSNames{Domain: "corp.test"}},
	}
	for _, s := range spellings {
		if s.reason == "" {
			c.Logins = append(c.Logins, ntlmtest.Login{Name: s.name, Password: s.password, Want: s.want})
		} else {
			c.Refusals = append(c.Refusals, ntlmtest.Refusal{Name: s.name, Password: s.password, Reason: s.reason})
		}
	}
	ntlmtest.Run(t, c)
}

// TestAccountsVerifyPassword has the same users by plain password.
func TestAccountsVerifyPassword(t *testing.T) {
	t.Parallel()
	as := newAccounts(t)
	for _, s := range spellings {
		t.Run(s.name+" "+string(s.reason), func(t *testing.T) {
			t.Parallel()
			id, err := as.VerifyPassword(t.Context(), s.name, s.password)
			if s.reason == "" {
				if err != nil || id.String() != s.want.String() || id.AuthTime.IsZero() {
					t.Errorf("identity %v, err %v; want %v", id, err, &s.want)
				}
				return
			}
			checkRefusal(t, id, err, s.reason, s.name)
		})
	}
	for _, s := range []struct{ name, user, password string }{
		{"empty password", "alice", ""}, {"empty user", "", password}, {"both empty", "", ""},
	} {
		id, err := as.VerifyPassword(t.Context(), s.user, s.password)
		checkRefusal(t, id, err, authn.ReasonWrongPassword, s.user)
	}
}

func checkRefusal(t *testing.T, id *authn.Identity, err error, reason authn.Reason, user string) {
	t.Helper()
	var re *authn.RefusedError
	if id != nil || !errors.As(err, &re) {
		t.Fatalf("identity %v, err %v; want a refusal", id, err)
	}
	if re.Reason != reason || re.User != user {
		t.Errorf("reason %q of user %q, want %q of %q", re.Reason, re.User, reason, user)
	}
}

// TestAttackAccountsEnumerate: unknown users and wrong domains cost what a
// known user's wrong password costs, which is some microseconds of hashing. The
// best of many rounds, taken in turn, is compared, so that a busy machine does
// not matter; leaving the hashing out saves more than nine tenths.
func TestAttackAccountsEnumerate(t *testing.T) {
	t.Parallel()
	as := newAccounts(t)
	ctx := context.Background()
	users := [][2]string{{"CORP", "alice"}, {"CORP", "nobo1"}, {"CORP", "mallo"}, {"EVIL", "alice"}}
	response := make([]byte, 256)
	for _, tt := range []struct {
		name string
		try  func(domain, user string)
	}{
		{"NTLM", func(domain, user string) {
			_, _, _ = as.VerifyNTLM(ctx, &ntlm.Attempt{Domain: domain, User: user, Response: response})
		}},
		{"password", func(domain, user string) {
			_, _ = as.VerifyPassword(ctx, domain+`\`+user, "nicht")
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			best := make([]time.Duration, len(users))
			for round := range 200 {
				for i, u := range users {
					begin := time.Now()
					for range 10 {
						tt.try(u[0], u[1])
					}
					if d := time.Since(begin); round == 0 || d < best[i] {
						best[i] = d
					}
				}
			}
			for i, u := range users {
				if best[i] < best[0]/3 || best[i] > best[0]*3 {
					t.Errorf("%s: %v, %s takes %v", u, best[i], users[0], best[0])
				}
			}
		})
	}
}

func TestAccountsChange(t *testing.T) {
	t.Parallel()
	as := newAccounts(t)
	ctx := t.Context()
	if err := as.Set(ntlm.Account{Name: "ALICE", Password: authn.NewSecret("new"), UPN: "a@corp.test"}); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		user, password string
		ok             bool
	}{
		{"alice", password, false},
		{"alice", "new", true},
		{"a@corp.test", "new", true},
		{"alice@corp.test", "new", true}, // the domain's name still works
	} {
		if _, err := as.VerifyPassword(ctx, tt.user, tt.password); (err == nil) != tt.ok {
			t.Errorf("%s: err %v, want ok %v", tt.user, err, tt.ok)
		}
	}
	// What was handed over is not kept.
	groups := []authn.Group{{Name: "staff"}}
	if err := as.Set(ntlm.Account{Name: "carol", Password: authn.NewSecret("x"), Groups: groups}); err != nil {
		t.Fatal(err)
	}
	groups[0].Name = "admins"
	if id, err := as.VerifyPassword(ctx, "carol", "x"); err != nil || id.Groups[0].Name != "staff" {
		t.Errorf("identity %+v, err %v", id, err)
	}
	as.Remove("Robert") // nobody
	as.Remove("bob")
	for _, user := range []string{"bob", "robert@other.test"} {
		id, err := as.VerifyPassword(ctx, user, "bob's own")
		checkRefusal(t, id, err, authn.ReasonUnknownUser, user)
	}
}

func TestAccountsRefuseBadAccounts(t *testing.T) {
	t.Parallel()
	pw := authn.NewSecret("x")
	for _, tt := range []struct {
		name  string
		users []ntlm.Account
	}{
		{"no name", []ntlm.Account{{Password: pw}}},
		{"domain in the name", []ntlm.Account{{Name: `CORP\alice`, Password: pw}}},
		{"UPN as the name", []ntlm.Account{{Name: "alice@corp.test", Password: pw}}},
		{"no password", []ntlm.Account{{Name: "alice"}}},
		{"empty password", []ntlm.Account{{Name: "alice", Password: authn.NewSecret("")}}},
		{"hash of the empty password", []ntlm.Account{{Name: "alice", Hash: ntlm.HashPassword("")}}},
		{"twice", []ntlm.Account{{Name: "alice", Password: pw}, {Name: "Alice", Password: pw}}},
		{"UPN twice", []ntlm.Account{{Name: "alice", UPN: "a@b", Password: pw}, {Name: "bob", UPN: "A@B", Password: pw}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if as, err := ntlm.NewAccounts("CORP", "", tt.users...); err == nil {
				t.Errorf("accepted: %v", as)
			} else if !strings.HasPrefix(err.Error(), "ntlm: ") {
				t.Errorf("error %q", err)
			}
		})
	}
}

// TestAccountsConcurrent is for the race detector.
func TestAccountsConcurrent(t *testing.T) {
	t.Parallel()
	as := newAccounts(t)
	var wg sync.WaitGroup
	for n := range 8 {
		wg.Go(func() {
			for i := range 50 {
				name := fmt.Sprintf("user%d", n)
				if err := as.Set(ntlm.Account{Name: name, Password: authn.NewSecret("x"), UPN: name + "@corp.test"}); err != nil {
					t.Error(err)
				}
				if _, err := as.VerifyPassword(t.Context(), name, "x"); err != nil {
					t.Error(err)
				}
				if i%10 == 0 {
					as.Remove(name)
				}
			}
		})
	}
	wg.Wait()
}
