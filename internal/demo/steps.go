package demo

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/soapward/soapward/authclient"
	"github.com/soapward/soapward/authclient/delegation"
	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/authn/kerberos"
	"github.com/soapward/soapward/examples/expenses"
	"github.com/soapward/soapward/examples/ledger"
	"github.com/soapward/soapward/internal/kdc"
	"github.com/soapward/soapward/soap"
	"github.com/soapward/soapward/soap/xsd"
	"github.com/soapward/soapward/soapclient"
)

// stepTimeout bounds a step, so that a demo that hangs still ends.
const stepTimeout = 5 * time.Second

// step is one thing the client does. do returns what happened, as seen by the
// services; an error means that it is not what should have happened.
type step struct {
	name     string
	expected string
	do       func(ctx context.Context, r *Step) (happened string, err error)
}

func (d *Demo) steps() []step {
	return []step{
		{"Call without a login", "401, offers Negotiate, NTLM, Basic", d.anonymous},
		{"NTLM, wrong password", "401, the reason in the log only", d.wrongPassword},
		{"NTLM", "ledger sees alice and her groups", d.ntlm},
		{"Basic", "ledger sees alice and her groups", d.basic},
		{"Kerberos", "the same, and ledger proves itself", d.kerberos},
		{"Kerberos to an impostor", "refused: it cannot prove itself", d.impostor},
		{"Kerberos, passed on", "ledger sees alice, not expenses", d.passedOn},
		{"Basic, passed on", "ledger sees alice, not expenses", d.basicPassedOn},
		{"NTLM, passed on", "fault DoubleHop with a reference", d.doubleHop},
		{"NTLM, protocol transition", "ledger sees alice, not expenses", d.protocolTransition},
		{"NTLM, alice marked sensitive", "fault NotDelegated, ledger sees nobody", d.sensitive},
	}
}

// Run does all steps, each whatever became of the ones before. It is called
// once: later, tickets would come from caches.
func (d *Demo) Run(ctx context.Context) *Report {
	begin := time.Now()
	r := &Report{Realm: realm, KDC: d.kdc.Addr(), Expenses: d.expensesURL, Ledger: d.ledgerURL}
	for _, s := range d.steps() {
		r.Steps = append(r.Steps, d.runStep(ctx, s))
	}
	r.Seconds = time.Since(begin).Seconds()
	r.OK = r.Err() == nil
	return r
}

func (d *Demo) runStep(ctx context.Context, s step) Step {
	ctx, cancel := context.WithTimeout(ctx, stepTimeout)
	defer cancel()
	d.journal.reset()
	begin := time.Now()
	res := Step{Name: s.name, Expected: s.expected}
	happened, err := s.do(ctx, &res)
	res.Milliseconds = float64(time.Since(begin).Microseconds()) / 1000
	res.OK, res.Happened = err == nil, happened
	if err != nil {
		res.Happened = err.Error()
	}
	return res
}

// ---- the client's means ----

func (d *Demo) ledgerClient(hc soapclient.Doer) *ledger.LedgerClient {
	return ledger.NewLedgerClient(&soapclient.Client{URL: d.ledgerURL, HTTP: hc})
}

// submit hands in an expense at one of the addresses of expenses.
func (d *Demo) submit(ctx context.Context, url string, c authclient.Credential) (*expenses.SubmitExpenseResponse, error) {
	amount, err := xsd.ParseDecimal("42.50")
	if err != nil {
		return nil, err
	}
	client := expenses.NewExpensesClient(&soapclient.Client{URL: url, HTTP: d.client(c)})
	return client.SubmitExpense(ctx, &expenses.SubmitExpense{Expense: expenses.Expense{
		Description: "Train to the customer", Category: expenses.CategoryTravel,
		SpentOn: xsd.DateOf(time.Now()), Amount: expenses.Money{Value: amount, Currency: "EUR"},
	}})
}

func (d *Demo) byNTLM(password string) authclient.Credential {
	return &authclient.NTLM{User: netbios + `\` + user, Password: authn.NewSecret(password)}
}

func (d *Demo) byBasic() authclient.Credential {
	return &authclient.Basic{User: user, Password: authn.NewSecret(userPassword), AllowInsecureHTTP: true} // loopback
}

func (d *Demo) byKerberos() (authclient.Credential, error) {
	c, err := kerberos.NewPasswordClient(*d.krb, user, authn.NewSecret(userPassword))
	if err != nil {
		return nil, err
	}
	return &authclient.Kerberos{Client: c}, nil
}

// ---- the steps ----

func (d *Demo) anonymous(ctx context.Context, _ *Step) (string, error) {
	_, before := d.ledger.seen()
	_, err := d.ledgerClient(d.client(nil)).GetCaller(ctx, &ledger.GetCaller{})
	var se *soapclient.StatusError
	if !errors.As(err, &se) {
		return "", unexpected("the call was answered", err)
	}
	var offered []string
	for _, c := range se.Challenges {
		scheme, _, _ := strings.Cut(c, " ")
		offered = append(offered, scheme)
	}
	happened := fmt.Sprintf("%d, offers %s", se.Code, strings.Join(offered, ", "))
	if se.Code != http.StatusUnauthorized || !slices.Equal(offered, []string{"Negotiate", "NTLM", "Basic"}) {
		return "", errors.New(happened)
	}
	return happened, d.nobodySeen(&d.ledger.witness, before)
}

func (d *Demo) wrongPassword(ctx context.Context, _ *Step) (string, error) {
	_, before := d.ledger.seen()
	_, err := d.ledgerClient(d.client(d.byNTLM("not "+userPassword))).GetCaller(ctx, &ledger.GetCaller{})
	var re *authclient.RefusedError
	if !errors.As(err, &re) {
		return "", unexpected("the login was accepted", err)
	}
	line, ok := d.journal.last()
	if !ok {
		return "", errors.New("refused, and the log says nothing")
	}
	if line.Cause.Reason != string(authn.ReasonWrongPassword) || strings.Contains(err.Error(), line.Cause.Reason) {
		return "", fmt.Errorf("refused; the log says %q, the client %q", line.Cause.Reason, err)
	}
	return fmt.Sprintf("401, reference %s, log: %s", line.Ref, line.Cause.Reason), d.nobodySeen(&d.ledger.witness, before)
}

func (d *Demo) ntlm(ctx context.Context, _ *Step) (string, error) {
	return d.getCaller(ctx, d.byNTLM(userPassword), authn.MechanismNTLM)
}

func (d *Demo) basic(ctx context.Context, _ *Step) (string, error) {
	return d.getCaller(ctx, d.byBasic(), "Basic")
}

func (d *Demo) kerberos(ctx context.Context, _ *Step) (string, error) {
	c, err := d.byKerberos()
	if err != nil {
		return "", err
	}
	// The transport returns no answer of a server that did not prove itself,
	// which the next step shows; this one wants to see the proof as well.
	hc := &headerKeeper{client: d.client(c)}
	happened, err := d.getCallerBy(ctx, hc, authn.MechanismKerberos)
	if err != nil {
		return "", err
	}
	if proof, ok := strings.CutPrefix(hc.header.Get("WWW-Authenticate"), "Negotiate "); !ok || proof == "" {
		return "", errors.New("the answer carries no proof of the server's identity")
	}
	return strings.Replace(happened, "Kerberos", "Kerberos (mutual)", 1), nil
}

// headerKeeper keeps the header of the latest answer.
type headerKeeper struct {
	client *http.Client
	header http.Header
}

func (k *headerKeeper) Do(r *http.Request) (*http.Response, error) {
	resp, err := k.client.Do(r)
	if err == nil {
		k.header = resp.Header
	}
	return resp, err
}

func (d *Demo) impostor(ctx context.Context, _ *Step) (string, error) {
	c, err := d.byKerberos()
	if err != nil {
		return "", err
	}
	_, err = d.submit(ctx, d.impostorURL, c)
	if !errors.Is(err, authclient.ErrServerUnverified) {
		return "", unexpected("the impostor was believed", err)
	}
	return "refused: server did not prove itself", nil
}

func (d *Demo) passedOn(ctx context.Context, _ *Step) (string, error) {
	c, err := d.byKerberos()
	if err != nil {
		return "", err
	}
	return d.submitAsCaller(ctx, d.expensesURL, c, "S4U2Proxy", kdc.Stats{S4U2Proxy: 1})
}

func (d *Demo) basicPassedOn(ctx context.Context, _ *Step) (string, error) {
	return d.submitAsCaller(ctx, d.expensesURL, d.byBasic(), "with alice's password", kdc.Stats{})
}

func (d *Demo) protocolTransition(ctx context.Context, _ *Step) (string, error) {
	return d.submitAsCaller(ctx, d.transitionURL, d.byNTLM(userPassword), "S4U2Self, S4U2Proxy", kdc.Stats{S4U2Self: 1, S4U2Proxy: 1})
}

func (d *Demo) doubleHop(ctx context.Context, res *Step) (string, error) {
	return d.notPassedOn(ctx, res, d.expensesURL, "DoubleHop", delegation.ReasonDoubleHop)
}

// sensitive calls an expenses that is new, so that it has no ticket from the
// step before.
func (d *Demo) sensitive(ctx context.Context, res *Step) (_ string, err error) {
	if err := d.markSensitive(true); err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, d.markSensitive(false)) }()
	return d.notPassedOn(ctx, res, d.restartedURL, "NotDelegated", delegation.ReasonSensitive)
}

func (d *Demo) markSensitive(on bool) error {
	return d.kdc.Update(user, func(a *kdc.Account) { a.Sensitive = on })
}

// notPassedOn hands in an expense as a caller by NTLM, and checks that expenses
// saw the caller, ledger nobody, the caller the fault, and the log what is to be
// done about it.
func (d *Demo) notPassedOn(ctx context.Context, res *Step, url, fault string, reason delegation.Reason) (string, error) {
	_, before := d.ledger.seen()
	_, err := d.submit(ctx, url, d.byNTLM(userPassword))
	var f *soap.Fault
	if !errors.As(err, &f) || !f.FromPeer() {
		return "", unexpected("no fault", err)
	}
	if n := len(f.Subcodes); n == 0 || f.Subcodes[n-1].Space != delegation.Namespace || f.Subcodes[n-1].Local != fault {
		return "", fmt.Errorf("fault with another code: %w", err)
	}
	m := inReason.FindStringSubmatch(f.Reason)
	if m == nil {
		return "", fmt.Errorf("fault without a reference: %w", err)
	}
	line, ok := d.journal.find(m[1])
	if !ok {
		return "", fmt.Errorf("the log has nothing under reference %s", m[1])
	}
	why := &line.Fault.Detail
	switch {
	case why.Reason != string(reason):
		return "", fmt.Errorf("the log says %q: %s", why.Reason, why.Cause)
	case why.Remedy == "":
		return "", fmt.Errorf("the log has no remedy under reference %s", m[1])
	case strings.Contains(f.Reason, why.Remedy):
		return "", errors.New("the fault tells the caller what is for the operator")
	}
	res.Log = &LogLine{Ref: m[1], Reason: why.Reason, Cause: why.Cause, Remedy: why.Remedy}
	if err := d.sawUser(&d.expenses.witness, authn.MechanismNTLM); err != nil {
		return "", fmt.Errorf("expenses: %w", err)
	}
	return "fault " + fault + ", reference " + m[1], d.nobodySeen(&d.ledger.witness, before)
}

// inReason finds the reference number that a fault's text ends with.
var inReason = regexp.MustCompile(`\(reference ([0-9a-f]+)\)$`)

// ---- what is checked ----

// getCaller asks ledger who is calling, and checks both its answer and what it
// saw.
func (d *Demo) getCaller(ctx context.Context, c authclient.Credential, mechanism string) (string, error) {
	return d.getCallerBy(ctx, d.client(c), mechanism)
}

func (d *Demo) getCallerBy(ctx context.Context, hc soapclient.Doer, mechanism string) (string, error) {
	res, err := d.ledgerClient(hc).GetCaller(ctx, &ledger.GetCaller{})
	if err != nil {
		return "", err
	}
	if err := d.sawUser(&d.ledger.witness, mechanism); err != nil {
		return "", fmt.Errorf("ledger: %w", err)
	}
	got := res.Caller
	slices.Sort(got.Group)
	want := []string{netbios + `\Domain Users`, netbios + `\Finance`}
	if got.Name != netbios+`\`+user || !slices.Equal(got.Group, want) {
		return "", fmt.Errorf("ledger answers %s, groups %v", got.Name, got.Group)
	}
	return fmt.Sprintf("%s by %s: %s", got.Name, mechanism, strings.Join(short(got.Group), ", ")), nil
}

// submitAsCaller hands in an expense and checks that ledger saw the caller of
// expenses, by way of tickets that the KDC was asked for.
func (d *Demo) submitAsCaller(ctx context.Context, url string, c authclient.Credential, way string, want kdc.Stats) (string, error) {
	before := d.kdc.Stats()
	_, calls := d.ledger.seen()
	res, err := d.submit(ctx, url, c)
	if err != nil {
		return "", err
	}
	if err := d.sawUser(&d.ledger.witness, authn.MechanismKerberos); err != nil {
		return "", fmt.Errorf("ledger: %w", err)
	}
	after := d.kdc.Stats()
	_, callsAfter := d.ledger.seen()
	name := netbios + `\` + user
	switch {
	case callsAfter != calls+1:
		return "", fmt.Errorf("ledger was called %d times", callsAfter-calls)
	case res.SubmittedBy != name || res.BookedBy == nil || *res.BookedBy != name:
		return "", fmt.Errorf("submitted by %s, booked by %s", res.SubmittedBy, deref(res.BookedBy))
	case after.S4U2Proxy-before.S4U2Proxy != want.S4U2Proxy || after.S4U2Self-before.S4U2Self != want.S4U2Self:
		return "", fmt.Errorf("the KDC made %d S4U2Self and %d S4U2Proxy tickets",
			after.S4U2Self-before.S4U2Self, after.S4U2Proxy-before.S4U2Proxy)
	}
	return fmt.Sprintf("ledger saw %s (%s)", *res.BookedBy, way), nil
}

// sawUser checks whom a service saw last.
func (d *Demo) sawUser(w *witness, mechanism string) error {
	id, _ := w.seen()
	switch {
	case id == nil:
		return errors.New("saw nobody")
	case id.Account != user || id.Domain != netbios || id.Mechanism != mechanism || id.SID != d.userSID():
		return fmt.Errorf("saw %s (%s) by %s", id, id.SID, id.Mechanism)
	}
	for sid, name := range d.names {
		if !slices.ContainsFunc(id.Groups, func(g authn.Group) bool { return g.SID == sid }) {
			return fmt.Errorf("saw %s outside of %s", id, name)
		}
	}
	return nil
}

// nobodySeen checks that no operation ran.
func (d *Demo) nobodySeen(w *witness, before int) error {
	if id, n := w.seen(); n != before {
		return fmt.Errorf("an operation ran, for %s", id)
	}
	return nil
}

func unexpected(what string, err error) error {
	if err == nil {
		return errors.New(what)
	}
	return err
}

// short leaves the domain out of group names.
func short(groups []string) []string {
	out := make([]string, len(groups))
	for i, g := range groups {
		out[i] = strings.TrimPrefix(g, netbios+`\`)
	}
	return out
}

func deref(s *string) string {
	if s == nil {
		return "nobody"
	}
	return *s
}
