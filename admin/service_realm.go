package admin

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/authn/throttle"
	"github.com/soapward/soapward/directory"
	"github.com/soapward/soapward/directory/store"
	"github.com/soapward/soapward/gateway/config"
	"github.com/soapward/soapward/gateway/realm"
)

// Bounds of tests: one must not take for long, and must be of no use for guessing.
const (
	testTimeout    = 20 * time.Second
	testsAMinute   = 10
	maxTestName    = 1024
	maxTestSecret  = 1024
	maxShownGroups = 50
)

// tries counts the tests of administrators. Its zero value is ready.
type tries struct {
	mu   sync.Mutex
	last map[string][]time.Time // by who tried
}

// take reports whether somebody may try once more.
func (t *tries) take(who string, now time.Time) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	old := func(at time.Time) bool { return now.Sub(at) >= time.Minute }
	for name, at := range t.last { // there are as many as administrators
		if t.last[name] = slices.DeleteFunc(at, old); len(t.last[name]) == 0 {
			delete(t.last, name)
		}
	}
	if len(t.last[who]) >= testsAMinute {
		return false
	}
	if t.last == nil {
		t.last = make(map[string][]time.Time)
	}
	t.last[who] = append(t.last[who], now)
	return true
}

// A try is a Test under way.
type try struct {
	Test
	config *config.Config
	realm  *config.Realm
	store  *store.Store
	limit  *throttle.Limiter
	log    *slog.Logger
	now    func() time.Time
	result TestResult
	begun  time.Time
}

// Test implements Gateway.
func (s *Service) Test(ctx context.Context, t Test) (*TestResult, error) {
	caller, err := need(ctx, Operator)
	if err != nil {
		return nil, err
	}
	c := s.config()
	r, err := realmOf(c, t.Realm)
	if err != nil {
		return nil, err
	}
	if _, can := waysOf(r); !slices.Contains(can, t.Kind) {
		return nil, invalid("kind", "that cannot be tried at the realm "+t.Realm, "it has none of that")
	}
	if t.Kind != TestProvider && (t.User == "" || t.Password.Reveal() == "") {
		return nil, invalid("user", "a user and a password are needed", "")
	}
	if len(t.User) > maxTestName || len(t.Password.Reveal()) > maxTestSecret {
		return nil, invalid("user", "user or password are too long", "")
	}
	st, err := s.store()
	if err != nil {
		return nil, err
	}
	if !s.tests.take(directory.FoldName(caller.Name), s.now()) {
		return nil, &Error{Kind: Refused, Text: "too many tests within a minute", Remedy: "wait for a minute"}
	}
	x := &try{Test: t, config: c, realm: r, store: st, log: s.log, now: s.now}
	x.limit = realm.Limiter(&c.Throttle, realm.Names(t.Realm, r), st, s.log)
	bounded, cancel := context.WithTimeout(withPeer(ctx, caller), testTimeout)
	defer cancel()
	x.result.Steps = []TestStep{}
	switch t.Kind {
	case TestBind:
		x.bind(bounded)
	case TestNetlogon:
		x.netlogon(bounded)
	case TestTicket:
		x.ticket(bounded)
	case TestInternal:
		x.internal(bounded)
	case TestProvider:
		x.provider(bounded)
	}
	x.result.OK = !slices.ContainsFunc(x.result.Steps, func(s TestStep) bool { return !s.OK })
	after, done := afterwards(ctx)
	defer done()
	err = s.audited(after, st, caller, "realm.test", t.Realm, func(_ context.Context, change *directory.Change) error {
		change.After = asJSON(struct {
			Kind TestKind `json:"kind"`
			User string   `json:"user,omitempty"`
			OK   bool     `json:"ok"`
		}{t.Kind, t.User, x.result.OK})
		return nil
	})
	if err != nil { // who is not written down gets no answer
		return nil, failed("audit record", err)
	}
	return &x.result, nil
}

// withPeer returns ctx with an address for the counts of failures: that of who asks,
// or the zero one, of programs on this machine.
func withPeer(ctx context.Context, c *Caller) context.Context {
	if _, known := authn.ClientFromContext(ctx); known {
		return ctx
	}
	peer, _ := netip.ParseAddr(c.Peer)
	return authn.WithClient(ctx, peer)
}

// begin says that a step begins.
func (x *try) begin() { x.begun = time.Now() }

// passed adds a step that went well.
func (x *try) passed(name, text string, details ...Detail) {
	x.result.Steps = append(x.result.Steps, TestStep{Name: name, OK: true, Text: text, Millis: time.Since(x.begun).Milliseconds(), Details: details})
}

// failed adds a step that did not. A remedy of the error's own goes before.
func (x *try) failed(name string, err error, remedy string) {
	step := TestStep{Name: name, Text: clip(err.Error(), maxText), Remedy: remedy, Millis: time.Since(x.begun).Milliseconds()}
	var refused *authn.RefusedError
	switch {
	case errors.As(err, &refused):
		if refused.Hint != "" {
			step.Remedy = refused.Hint
		} else if text := remedies[refused.Reason]; text != "" {
			step.Remedy = text
		}
	case errors.As(err, new(*net.OpError)):
		step.Remedy = "look whether the server runs, and whether this machine reaches it"
		if remedy != "" {
			step.Remedy += "; " + remedy
		}
	case errors.Is(err, context.DeadlineExceeded):
		step.Text = "nobody answered within " + testTimeout.String() + ": " + step.Text
	}
	x.result.Steps = append(x.result.Steps, step)
}

// remedies of refusals.
var remedies = map[authn.Reason]string{
	authn.ReasonUnknownUser:     "look at how the name is written: DOMAIN\\name, name@domain, or as the directory has it; and at the base that users are below",
	authn.ReasonWrongPassword:   "type the password again; mind that each try counts for the lockout of the domain",
	authn.ReasonDisabled:        "enable the account",
	authn.ReasonLockedOut:       "unlock the account, or wait; soapward unblock lifts a block of ours",
	authn.ReasonAccountExpired:  "give the account another date at which it ends",
	authn.ReasonPasswordExpired: "have the user change the password at a Windows machine",
	authn.ReasonRestricted:      "look at the hours and machines that the account may log in at",
	authn.ReasonClockSkew:       "set the clocks: this machine's, and the domain controller's",
}

// judged is a password.Verifier made of a function.
type judged func(ctx context.Context, user, password string) (*authn.Identity, error)

// VerifyPassword implements throttle.PasswordVerifier.
func (f judged) VerifyPassword(ctx context.Context, user, password string) (*authn.Identity, error) {
	return f(ctx, user, password)
}

// prove has somebody judge the password, as often as a login may: failures here
// count as those of logins do, and who is blocked there is blocked here.
func (x *try) prove(ctx context.Context, by judged) (*authn.Identity, error) {
	return x.limit.Password(by).VerifyPassword(ctx, x.User, x.Password.Reveal())
}

// who says who somebody is.
func who(id *authn.Identity) []Detail {
	out := []Detail{{"user", id.String()}}
	add := func(name, value string) {
		if value != "" {
			out = append(out, Detail{name, value})
		}
	}
	add("SID", string(id.SID))
	add("UPN", id.UPN)
	add("display name", id.DisplayName)
	return append(out, groupDetails(id.Groups)...)
}

func groupDetails(groups []authn.Group) (out []Detail) {
	for i, g := range groups {
		if i == maxShownGroups {
			return append(out, Detail{"more groups", strconv.Itoa(len(groups) - i)})
		}
		name := g.Name
		if name == "" {
			name = string(g.SID)
		}
		out = append(out, Detail{"group", name})
	}
	return out
}
