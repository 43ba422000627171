package console_test

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/soapward/soapward/admin"
	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/authz"
	"github.com/soapward/soapward/directory/provision"
	"github.com/soapward/soapward/gateway/health"
)

// now is the time of all tests.
var now = time.Date(2026, 11, 26, 13, 4, 5, 0, time.UTC)

// A fake is all areas, of a company, or of nobody. It asks for roles as
// admin.Service does, and keeps what it was told.
type fake struct {
	mu       sync.Mutex
	empty    bool
	down     bool // the store does not answer
	broken   bool // an error that nobody foresaw
	readOnly bool // files
	keepsOut bool // a version that is rolled back to
	users    []admin.User
	sessions []admin.Session
	blocks   []admin.Block
	files    []admin.ConfigFile
	applied  []admin.ConfigFile
	versions []admin.ConfigVersion
	calls    []string
	logins   int // how many there are
	waiting  chan struct{}
}

var errBroken = errors.New("panic in table users: password of the store is hunter2")

func (f *fake) need(ctx context.Context, role admin.Role, call string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls = append(f.calls, call)
	c := admin.FromContext(ctx)
	switch {
	case c == nil || c.Role < role:
		return &admin.Error{Kind: admin.Forbidden, Text: "this needs the role " + role.String()}
	case f.down:
		return &admin.Error{Kind: admin.Unavailable, Text: "the store does not answer", Remedy: "look whether PostgreSQL runs", Err: errors.New("dial tcp 10.0.0.5:5432: connection refused")}
	case f.broken:
		return errBroken
	}
	return nil
}

// called returns what was called since the last time.
func (f *fake) called() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	s := strings.Join(f.calls, "; ")
	f.calls = nil
	return s
}

// hostile are names that pages must be able to show.
var hostile = []string{
	`CORP\"><script>alert(1)</script>`, `it's/a\name`, "CORP\\\u202egnp.exe", "Ольга Çelik 李", `=cmd|' /C calc'!A0`, "..", ".", "a b+c%20&d=e#f?g",
	"CORP\\" + strings.Repeat("verylongname", 20), `{{.CSRF}}`, `javascript:alert(1)`,
}

func newFake() *fake {
	f := &fake{logins: 180}
	add := func(name, display, realm, state string, roles ...string) {
		u := admin.User{
			Name: name, DisplayName: display, Realm: realm, State: state, Roles: roles, Version: 3,
			Created: now.AddDate(-2, 0, -len(f.users)), Refreshed: now.Add(-time.Duration(len(f.users)) * time.Hour), LastLogin: now.Add(-time.Duration(len(f.users)*len(f.users)) * 17 * time.Minute),
		}
		if _, account, ok := strings.Cut(name, `\`); ok && realm == "corp" {
			u.Email, u.UPN = account+"@corp.example", account+"@CORP.EXAMPLE"
			u.DN = "CN=" + display + ",OU=Staff,DC=corp,DC=example"
			u.SID = authn.SID(fmt.Sprintf("S-1-5-21-3623811015-3361044348-30300820-%d", 1100+len(f.users)))
			u.Groups = []admin.Group{{SID: "S-1-5-21-3623811015-3361044348-30300820-513", Name: `CORP\Domain Users`}, {SID: "S-1-5-21-3623811015-3361044348-30300820-1601", Name: `CORP\Payroll Readers`}, {SID: "S-1-5-32-545"}}
			u.Phone = "+44 20 7946 0" + strconv.Itoa(100+len(f.users))
		}
		f.users = append(f.users, u)
	}
	add("admin", "Break glass", "", admin.StateActive, "administrators")
	f.users[0].LocalAdmin, f.users[0].HasPassword, f.users[0].SecondFactor = true, true, true
	add(`CORP\alice`, "Alice Liddell", "corp", admin.StateActive, "payroll")
	add(`CORP\bob`, "Bob Cratchit", "corp", admin.StateActive)
	add(`CORP\carol.smith-jones`, "Carol Smith-Jones", "corp", admin.StateDisabled, "payroll", "auditors")
	add(`CORP\dave`, "Dave Brubeck", "corp", admin.StateGone)
	add(`CORP\svc-orders`, "Order service", "corp", admin.StateActive, "machines")
	add(`it\erin@example.com`, "Erin Brockovich", "it", admin.StateActive, "operators")
	add(`it\frank.e.peculiar.longaddress@subsidiary.example.com`, "Frank Peculiar", "it", admin.StateActive)
	add("grace", "Grace Hopper", "partners", admin.StateActive)
	f.users[8].HasPassword, f.users[8].Email = true, "grace@partner.example"
	for _, name := range hostile {
		add(name, name, "corp", admin.StateActive, name)
	}
	for i, u := range []string{`CORP\alice`, `CORP\alice`, `CORP\bob`, "admin", `it\erin@example.com`, hostile[0]} {
		s := admin.Session{
			ID: fmt.Sprintf("s%d", i), User: u, Created: now.Add(-time.Duration(i*37+3) * time.Minute), Seen: now.Add(-time.Duration(i) * time.Minute), Expires: now.Add(time.Duration(9-i) * time.Hour),
			Remember: i == 1, Peer: "10.9.1." + strconv.Itoa(20+i), UserAgent: "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36",
		}
		if strings.HasPrefix(u, `it\`) {
			s.Provider = "it"
		}
		f.sessions = append(f.sessions, s)
	}
	f.blocks = []admin.Block{
		{Key: `user CORP\alice at 10.9.1.77`, Failures: 6, From: now.Add(-4 * time.Minute), Until: now.Add(26 * time.Minute)},
		{Key: "address 203.0.113.9", Failures: 50, From: now.Add(-12 * time.Minute), Until: now.Add(48 * time.Minute)},
		{Key: "user " + hostile[0] + " at 2001:db8::/64", Failures: 3, From: now.Add(-10 * time.Second), Until: now.Add(20 * time.Second)},
	}
	f.files = []admin.ConfigFile{
		{Path: "/etc/soapward/soapward.yaml", Text: mainFile, Writable: true},
		{Path: "/etc/soapward/services.d/payroll.yaml", Text: "services:\n  payroll:\n    host: pay.corp.example\n    path: /pay\n    login: [kerberos, form]\n    backends: [http://10.0.3.1:8080]\n", Writable: true},
	}
	for i := range 7 {
		v := admin.ConfigVersion{ID: int64(41 - i), Time: now.Add(-time.Duration(i*i*11+2) * time.Hour), Actor: `it\erin@example.com`, Node: "gw1.corp.example", Digest: fmt.Sprintf("9f86d081884c%d", i)}
		switch i {
		case 0:
			v.Comment, v.Digest = "let partners use Basic over TLS, CHG-1182", "digest-now"
		case 2:
			v.Actor = ""
		case 3:
			v.Comment = `"><b>bold</b>`
		}
		v.Files = f.files
		if i > 0 {
			v.Files = []admin.ConfigFile{{Path: f.files[0].Path, Text: strings.ReplaceAll(mainFile, ", ldaps://dc2.corp.example", "")}, f.files[1]}
		}
		f.versions = append(f.versions, v)
	}
	return f
}

const mainFile = `# soapward of corp.example
store:
  postgres: {dsn_file: /etc/soapward/store.dsn}
admin:
  url: https://gw1.corp.example:9443
  listen: 10.0.0.4:9443
  login: [it]
  roles:
    viewer: [auditors]
    operator: [operators]
    administrator: [administrators]
realms:
  corp:
    ad: {domain: corp.example, url: [ldaps://dc1.corp.example, ldaps://dc2.corp.example]}
    kerberos: {keytab: /etc/soapward/http.keytab}
    ntlm: {verifier: netlogon}
  it:
    oidc:
      issuer: https://login.example.com/
      client_id: soapward
      username_claim: email
  partners:
    internal: {}
roles:
  payroll: {groups: ['CORP\Payroll Readers']}
  auditors: {groups: ['CORP\Auditors'], users: ['CORP\carol.smith-jones']}
  operators: {claims: {groups: it-operators}}
  administrators: {claims: {groups: it-admins}, users: [admin]}
  machines: {users: ['CORP\svc-orders']}
include: services.d/*.yaml
`

func notFound(what string) error {
	return &admin.Error{Kind: admin.NotFound, Text: "there is no such " + what}
}

func (f *fake) find(name string) (int, error) {
	if i := slices.IndexFunc(f.users, func(u admin.User) bool { return strings.EqualFold(u.Name, name) }); i >= 0 && !f.empty {
		return i, nil
	}
	return 0, notFound("user")
}

func (f *fake) ListUsers(ctx context.Context, q admin.UserQuery) (*admin.UserPage, error) {
	if err := f.need(ctx, admin.Viewer, fmt.Sprintf("ListUsers %+v", q)); err != nil {
		return nil, err
	}
	p := &admin.UserPage{}
	if f.empty {
		return p, nil
	}
	p.Total = 104_312
	for _, u := range f.users {
		if (q.Search == "" || strings.Contains(strings.ToLower(u.Name+u.DisplayName+u.Email), strings.ToLower(q.Search))) &&
			(q.Realm == "" || u.Realm == q.Realm) && (q.State == "" || u.State == q.State) && (!q.LocalAdmin || u.LocalAdmin) && (q.Role == "" || slices.Contains(u.Roles, q.Role)) {
			p.Users = append(p.Users, u)
		}
	}
	if q == (admin.UserQuery{}) {
		p.Next = "bmV4dA+/="
	}
	return p, nil
}

func (f *fake) User(ctx context.Context, name string) (*admin.User, error) {
	if err := f.need(ctx, admin.Viewer, "User"); err != nil {
		return nil, err
	}
	i, err := f.find(name)
	if err != nil {
		return nil, err
	}
	u := f.users[i]
	return &u, nil
}

func (f *fake) AddUser(ctx context.Context, n admin.NewUser) (*admin.User, error) {
	if err := f.need(ctx, admin.Administrator, fmt.Sprintf("AddUser %s %q password %d", n.Name, n.Roles, len(n.Password.Reveal()))); err != nil {
		return nil, err
	}
	if n.Name == "" {
		return nil, &admin.Error{Kind: admin.Invalid, Text: "a user has a name", Field: "name"}
	}
	if _, err := f.find(n.Name); err == nil {
		return nil, &admin.Error{Kind: admin.Exists, Text: "there is a user of this name", Field: "name", Remedy: "edit that one"}
	}
	return &admin.User{Name: n.Name}, nil
}

func (f *fake) ChangeUser(ctx context.Context, name string, c admin.UserChange) (*admin.User, error) {
	role := admin.Administrator
	text := "ChangeUser " + name
	if c.Disabled != nil {
		role = admin.Operator
		text += fmt.Sprintf(" disabled=%v", *c.Disabled)
	}
	if c.Roles != nil {
		text += fmt.Sprintf(" roles=%q local=%v email=%s version=%d", *c.Roles, *c.LocalAdmin, *c.Email, c.Version)
	}
	if err := f.need(ctx, role, text); err != nil {
		return nil, err
	}
	i, err := f.find(name)
	if err != nil {
		return nil, err
	}
	if c.Version != 0 && c.Version != f.users[i].Version {
		return nil, &admin.Error{Kind: admin.Conflict, Text: "somebody else changed the user meanwhile", Remedy: "open the page again"}
	}
	u := f.users[i]
	return &u, nil
}

func (f *fake) DeleteUser(ctx context.Context, name string) error {
	if err := f.need(ctx, admin.Administrator, "DeleteUser "+name); err != nil {
		return err
	}
	if name == "admin" {
		return &admin.Error{Kind: admin.Refused, Text: "this is the last local administrator", Remedy: "make another one first"}
	}
	_, err := f.find(name)
	return err
}

func (f *fake) SetPassword(ctx context.Context, name string, p admin.NewPassword) (int, error) {
	if err := f.need(ctx, admin.Administrator, fmt.Sprintf("SetPassword %s %d keep=%v", name, len(p.Password.Reveal()), p.KeepSessions)); err != nil {
		return 0, err
	}
	i, err := f.find(name)
	if err != nil {
		return 0, err
	}
	if !f.users[i].LocalAdmin {
		return 0, &admin.Error{Kind: admin.Refused, Text: "only local administrators have passwords here, since administrators log in through it", Remedy: "make him a local administrator; or empty admin.login"}
	}
	return 3, nil
}

func (f *fake) ClearPasswords(ctx context.Context) (int, error) {
	if d, ok := ctx.Deadline(); ctx.Done() != nil && (!ok || time.Until(d) < time.Minute) {
		return 0, errors.New("it ends when the browser leaves, and may take longer")
	}
	return 1204, f.need(ctx, admin.Administrator, "ClearPasswords")
}

func (f *fake) ClearSecondFactor(ctx context.Context, name string) error {
	return f.need(ctx, admin.Administrator, "ClearSecondFactor "+name)
}

func (f *fake) ListSessions(ctx context.Context, q admin.SessionQuery) (*admin.SessionPage, error) {
	if err := f.need(ctx, admin.Viewer, fmt.Sprintf("ListSessions %+v", q)); err != nil {
		return nil, err
	}
	p := &admin.SessionPage{}
	for _, s := range f.sessions {
		if !f.empty && (q.User == "" || strings.EqualFold(q.User, s.User)) {
			p.Sessions = append(p.Sessions, s)
		}
	}
	return p, nil
}

func (f *fake) EndSession(ctx context.Context, id string) error {
	if err := f.need(ctx, admin.Operator, "EndSession "+id); err != nil {
		return err
	}
	if !strings.HasPrefix(id, "s") {
		return notFound("session")
	}
	return nil
}

func (f *fake) EndSessions(ctx context.Context, user string) (int, error) {
	return 2, f.need(ctx, admin.Operator, "EndSessions "+user)
}

func (f *fake) ListBlocks(ctx context.Context) ([]admin.Block, error) {
	if err := f.need(ctx, admin.Viewer, "ListBlocks"); err != nil || f.empty {
		return nil, err
	}
	return f.blocks, nil
}

func (f *fake) Unblock(ctx context.Context, who string) ([]string, error) {
	if err := f.need(ctx, admin.Operator, "Unblock "+who); err != nil {
		return nil, err
	}
	if who == "nobody" {
		return nil, &admin.Error{Kind: admin.NotFound, Text: "nothing is blocked for nobody"}
	}
	return []string{who}, nil
}

func (f *fake) login(id int) admin.Login {
	l := admin.Login{
		ID: int64(id), Time: now.Add(-time.Duration(f.logins-id)*41*time.Second - 8*time.Second), Outcome: "accepted", User: `CORP\alice`, Realm: "corp", Mechanism: "Kerberos",
		Peer: "10.9.1." + strconv.Itoa(20+id%40), UserAgent: "Apache-CXF/3.6.2", Ref: fmt.Sprintf("%010x", id*7919),
	}
	switch id % 9 {
	case 1:
		l.User, l.Mechanism = `CORP\bob`, "NTLM"
	case 3:
		l.Outcome, l.User, l.Reason, l.Mechanism, l.Detail = "refused", `CORP\alice`, "wrong-password", "form", "the domain controller dc1.corp.example says STATUS_WRONG_PASSWORD"
	case 4:
		l.Outcome, l.User, l.Reason, l.Mechanism, l.Realm, l.Peer = "blocked", `CORP\alice`, "blocked", "Basic", "", "203.0.113.9"
	case 5:
		l.User, l.Mechanism, l.Realm = `it\erin@example.com`, "oidc", "it"
	case 6:
		l.Outcome, l.User, l.Reason, l.Detail = "refused", hostile[0], "clock-skew", `the clock of <client> is 7 min ahead`
	case 7:
		l.Outcome, l.Reason, l.Detail = "unavailable", "", "no domain controller of CORP answers"
		l.User = hostile[4]
	}
	return l
}

func (f *fake) Logins(ctx context.Context, q admin.LoginQuery) (*admin.LoginPage, error) {
	if err := f.need(ctx, admin.Viewer, fmt.Sprintf("Logins %+v", q)); err != nil {
		return nil, err
	}
	p := &admin.LoginPage{}
	if f.empty {
		return p, nil
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	limit, from := cmp.Or(q.Limit, 50), f.logins
	if q.After != "" {
		var err error
		if from, err = strconv.Atoi(q.After); err != nil {
			return nil, &admin.Error{Kind: admin.Invalid, Text: "this is no place in the list", Field: "after"}
		}
	}
	if q.NewerID > 0 {
		for id := int(q.NewerID) + 1; id <= f.logins; id++ {
			p.Logins = append(p.Logins, f.login(id))
		}
		return p, nil
	}
	for id := from; id > 0; id-- {
		l := f.login(id)
		if q.User != "" && !strings.EqualFold(q.User, l.User) || q.Outcome != "" && q.Outcome != l.Outcome || q.Ref != "" && q.Ref != l.Ref || q.Mechanism != "" && q.Mechanism != l.Mechanism {
			continue
		}
		if len(p.Logins) == limit {
			p.Next = strconv.Itoa(id)
			break
		}
		p.Logins = append(p.Logins, l)
	}
	return p, nil
}

func (f *fake) Changes(ctx context.Context, q admin.ChangeQuery) (*admin.ChangePage, error) {
	if err := f.need(ctx, admin.Viewer, fmt.Sprintf("Changes %+v", q)); err != nil {
		return nil, err
	}
	p := &admin.ChangePage{}
	if f.empty {
		return p, nil
	}
	for i, c := range []admin.Change{
		{Action: "user.disable", Target: `CORP\carol.smith-jones`, Before: json.RawMessage(`{"state":"active","version":2}`), After: json.RawMessage(`{"state":"disabled","version":3}`)},
		{Action: "user.change", Target: `CORP\alice`, Before: json.RawMessage(`{"roles":["payroll"],"email":"alice@old.example"}`), After: json.RawMessage(`{"roles":["payroll","auditors"],"email":"alice@corp.example"}`)},
		{Action: "config.apply", Target: "gw1.corp.example", After: json.RawMessage(`{"version":41,"comment":"let partners use Basic over TLS, CHG-1182"}`)},
		{Action: "session.end", Target: `CORP\bob`, Actor: "admin"},
		{Action: "block.lift", Target: "address 203.0.113.9", Before: json.RawMessage(`["address 203.0.113.9"]`)},
		{Action: "user.add", Target: hostile[0], Actor: hostile[0], After: json.RawMessage(`{"name":"\"><script>alert(1)</script>","display_name":"=1+1"}`)},
	} {
		c.ID, c.Time, c.Peer, c.Ref = int64(900-i), now.Add(-time.Duration(i*i*7+2)*time.Minute), "10.9.1.5", fmt.Sprintf("%010x", i*104729)
		c.Actor = cmp.Or(c.Actor, `it\erin@example.com`)
		if (q.Target == "" || strings.EqualFold(q.Target, c.Target)) && strings.HasPrefix(c.Action, q.Action) {
			p.Changes = append(p.Changes, c)
		}
	}
	return p, nil
}

var checks = []health.Result{
	{Name: "backend payroll: http://10.0.3.1:8080", Kind: health.Backend, State: health.Up, Since: now.Add(-50 * time.Hour), Checked: now},
	{Name: "realm corp: kdc dc1.corp.example", Kind: health.KDC, State: health.Up, Since: now.Add(-50 * time.Hour), Checked: now},
	{Name: "realm corp: ldap ldaps://dc1.corp.example", Kind: health.Directory, State: health.Up, Since: now.Add(-50 * time.Hour), Checked: now},
	{Name: "realm corp: ldap ldaps://dc2.corp.example", Kind: health.Directory, State: health.Down, Since: now.Add(-7 * time.Minute), Checked: now, Error: "dial tcp 10.0.0.12:636: connect: connection refused", Remedy: "look whether dc2.corp.example runs; the others of the realm are used meanwhile"},
	{Name: "realm corp: netlogon dc1.corp.example", Kind: health.DomainController, State: health.Up, Since: now.Add(-50 * time.Hour), Checked: now},
	{Name: "realm it: https://login.example.com/", Kind: health.Provider, State: health.Up, Since: now.Add(-50 * time.Hour), Checked: now},
	{Name: "store: postgres", Kind: health.Store, State: health.Up, Essential: true, Since: now.Add(-50 * time.Hour), Checked: now},
	{Name: "upstream sharepoint: https://sharepoint.corp.example", Kind: health.Upstream, State: health.Unknown},
}

func (f *fake) Overview(ctx context.Context, since time.Duration) (*admin.Overview, error) {
	if err := f.need(ctx, admin.Viewer, "Overview "+since.String()); err != nil {
		return nil, err
	}
	o := &admin.Overview{Version: "1.4.0", Go: "go1.26.8", Started: now.Add(-50 * time.Hour), Loaded: now.Add(-2 * time.Hour), Since: now.Add(-since)}
	if f.empty {
		o.Report.Ready = true
		return o, nil
	}
	o.Users, o.DoubleHops, o.RC4 = 104_312, 12, 318
	o.Refused = "/etc/soapward/soapward.yaml:17:7: realms.it.oidc.isuer is unknown, did you mean issuer?"
	o.Report = health.Report{Ready: true, Checks: checks}
	o.Warning = []string{"services.orders: Basic is offered without TLS on 10.0.0.4:8081", "realms.partners has no user with a second factor"}
	o.Listens = []admin.Listen{{Addr: "10.0.0.4:443", Direction: "inbound", TLS: true}, {Addr: "127.0.0.1:9300", Direction: "outbound", Upstream: "sharepoint"}, {Addr: "10.0.0.4:9443", Direction: "admin", TLS: true}}
	step := map[time.Duration]time.Duration{24 * time.Hour: 30 * time.Minute, 7 * 24 * time.Hour: 3 * time.Hour}[since]
	step = cmp.Or(step, 24*time.Hour)
	o.Step = int(step.Seconds())
	o.Since = now.Add(-since).Truncate(step)
	for i := range int(since/step) + 1 {
		at := o.Since.Add(time.Duration(i) * step)
		// People work by day.
		day := int64(16 - (at.Hour()-12)*(at.Hour()-12)/8)
		day = max(day, 1) * int64(step/(30*time.Minute))
		o.Logins = append(o.Logins,
			admin.LoginCount{Time: at, Mechanism: "Kerberos", Outcome: "accepted", N: day * 61},
			admin.LoginCount{Time: at, Mechanism: "NTLM", Outcome: "accepted", N: day * 17},
			admin.LoginCount{Time: at, Mechanism: "form", Outcome: "accepted", N: day * 9},
			admin.LoginCount{Time: at, Mechanism: "oidc", Outcome: "accepted", N: day * 4},
			admin.LoginCount{Time: at, Mechanism: "form", Outcome: "refused", N: day * int64(2+i%5)},
			admin.LoginCount{Time: at, Mechanism: "NTLM", Outcome: "refused", N: day * int64(i%3)},
		)
		if i%11 == 7 {
			o.Logins = append(o.Logins, admin.LoginCount{Time: at, Mechanism: "Basic", Outcome: "blocked", N: 240})
		}
	}
	return o, nil
}

func (f *fake) Services(ctx context.Context) (*admin.Services, error) {
	if err := f.need(ctx, admin.Viewer, "Services"); err != nil || f.empty {
		return &admin.Services{}, err
	}
	setting := func(name string, value any, from string, inherited bool) authz.ExplainedSetting {
		return authz.ExplainedSetting{Name: name, Value: value, Element: from, Inherited: inherited, Source: "/etc/soapward/services.d/payroll.yaml:4:5"}
	}
	return &admin.Services{
		Services: []admin.ServiceInfo{
			{
				Name: "payroll", Host: "pay.corp.example", Path: "/pay", Logins: []string{"kerberos", "form"}, Backends: []string{"http://10.0.3.1:8080", "http://10.0.3.2:8080"},
				Operations: []string{"{urn:corp:payroll}GetSlip", "{urn:corp:payroll}ListSlips", "{urn:corp:payroll}Approve"}, Source: "/etc/soapward/services.d/payroll.yaml:2:3",
				Elements: []admin.Policy{
					{
						Name: "payroll", Match: "host pay.corp.example, path /pay", Source: "/etc/soapward/services.d/payroll.yaml:2:3",
						Settings: []authz.ExplainedSetting{setting("auth", "required", "payroll", false), setting("networks", []string{"10.0.0.0/8"}, "defaults", true), setting("schemes", []string{"Negotiate"}, "defaults", true)},
						Rules:    []authz.ExplainedRule{{Match: "operation {urn:corp:payroll}Approve", Roles: []string{"payroll"}, Source: "/etc/soapward/services.d/payroll.yaml:9:9"}, {Match: "everything", Roles: []string{"any"}, Source: "/etc/soapward/services.d/payroll.yaml:11:9"}},
					},
					{Name: "payroll.health", Match: "path /pay/health", Settings: []authz.ExplainedSetting{setting("auth", "none", "payroll.health", false)}},
				},
			},
			{Name: hostile[0], Path: "/x", Logins: []string{"basic"}, Source: "x.yaml:1:1"},
		},
		Upstreams: []admin.Upstream{{Name: "sharepoint", Listen: "127.0.0.1:9300", URL: "https://sharepoint.corp.example", ActAs: []string{"caller", "service"}, Source: "/etc/soapward/soapward.yaml:40:3"}},
	}, nil
}

func (f *fake) Explain(ctx context.Context, q admin.ExplainQuery) (*authz.Explanation, error) {
	if err := f.need(ctx, admin.Viewer, fmt.Sprintf("Explain %+v", q)); err != nil {
		return nil, err
	}
	if q.Client == "nowhere" {
		return nil, &admin.Error{Kind: admin.Invalid, Text: "that is no address", Remedy: "such as 10.9.1.2", Field: "client"}
	}
	return &authz.Explanation{
		Caller: q.User, Client: q.Client, Host: "pay.corp.example", Method: "POST", Path: "/pay/slips", Operation: q.Operation,
		Elements: []authz.ExplainedElement{{Name: "defaults", Match: "everything"}, {Name: "payroll", Match: "host pay.corp.example, path /pay", Source: "/etc/soapward/services.d/payroll.yaml:2:3"}},
		Settings: []authz.ExplainedSetting{{Name: "auth", Value: "required", Element: "payroll"}, {Name: "networks", Value: []string{"10.0.0.0/8"}, Element: "defaults", Inherited: true}},
		Rules: []authz.ExplainedRule{
			{Match: "operation {urn:corp:payroll}Approve", Roles: []string{"payroll"}, Source: "/etc/soapward/services.d/payroll.yaml:9:9", Differs: "operation"},
			{Match: "everything", Roles: []string{"payroll", "auditors"}, Source: "/etc/soapward/services.d/payroll.yaml:11:9", Decides: true},
		},
		Result: authz.Denied, Why: "the caller has none of the roles payroll, auditors", Source: "/etc/soapward/services.d/payroll.yaml:11:9",
	}, nil
}

func (f *fake) Roles(ctx context.Context) ([]admin.RoleInfo, error) {
	if err := f.need(ctx, admin.Viewer, "Roles"); err != nil || f.empty {
		return nil, err
	}
	return []admin.RoleInfo{
		{Name: "administrators", Users: []string{"admin"}, Claims: []string{"groups=it-admins"}, UsedBy: []string{"administrators: administrator"}, Granted: 1, Source: "/etc/soapward/soapward.yaml:26:3"},
		{Name: "auditors", Groups: []string{`CORP\Auditors`}, Users: []string{`CORP\carol.smith-jones`}, UsedBy: []string{"service payroll", "administrators: viewer"}, Source: "/etc/soapward/soapward.yaml:24:3"},
		{Name: "machines", Users: []string{`CORP\svc-orders`}, Source: "/etc/soapward/soapward.yaml:27:3"},
		{Name: "payroll", Groups: []string{`CORP\Payroll Readers`, "S-1-5-21-3623811015-3361044348-30300820-1602"}, Roles: []string{"auditors"}, UsedBy: []string{"service payroll"}, Granted: 14, Source: "/etc/soapward/soapward.yaml:23:3"},
		{Name: hostile[0], Granted: 2},
	}, nil
}

func (f *fake) Realms(ctx context.Context) ([]admin.Realm, error) {
	if err := f.need(ctx, admin.Viewer, "Realms"); err != nil || f.empty {
		return nil, err
	}
	return []admin.Realm{
		{
			Name: "corp", Methods: []string{"kerberos", "ntlm", "ad"}, Tests: []admin.TestKind{admin.TestTicket, admin.TestNetlogon, admin.TestBind}, Checks: checks[1:5], Source: "/etc/soapward/soapward.yaml:12:3",
			Sync:    &admin.SyncState{Last: now.Add(-10 * time.Hour), Next: now.Add(14 * time.Hour), Summary: "101,204 users seen, 312 refreshed, 4 deactivated, in 2m11s"},
			Details: []admin.Detail{{Name: "domain", Value: "corp.example"}, {Name: "servers", Value: "ldaps://dc1.corp.example, ldaps://dc2.corp.example"}, {Name: "keytab", Value: "/etc/soapward/http.keytab"}},
		},
		{
			Name: "it", Methods: []string{"oidc"}, Tests: []admin.TestKind{admin.TestProvider}, Checks: checks[5:6], Source: "/etc/soapward/soapward.yaml:16:3",
			Details: []admin.Detail{{Name: "issuer", Value: "https://login.example.com/"}, {Name: "client", Value: "soapward"}, {Name: "user name", Value: "email"}, {Name: "redirect URI to register", Value: "https://gw1.corp.example:9443/console/login/callback"}},
		},
		{Name: "partners", Methods: []string{"internal"}, Tests: []admin.TestKind{admin.TestInternal}, Source: "/etc/soapward/soapward.yaml:21:3"},
		{Name: hostile[0], Methods: []string{"ldap"}, Tests: []admin.TestKind{admin.TestBind}, Source: "x.yaml:1:1"},
	}, nil
}

func (f *fake) Test(ctx context.Context, t admin.Test) (*admin.TestResult, error) {
	if err := f.need(ctx, admin.Operator, fmt.Sprintf("Test %s %s %s %d", t.Realm, t.Kind, t.User, len(t.Password.Reveal()))); err != nil {
		return nil, err
	}
	r := &admin.TestResult{Steps: []admin.TestStep{
		{Name: "connect to ldaps://dc1.corp.example", OK: true, Text: "TLS 1.3, certificate of dc1.corp.example until 2027-03-01", Millis: 12},
		{Name: "bind as the user", Text: "the directory refuses the password (49, data 52e)", Remedy: "look whether the password is right, and the account is not locked", Millis: 8, Details: []admin.Detail{{Name: "bound as", Value: t.User}}},
	}}
	if t.Kind == admin.TestProvider {
		r.OK = true
		r.Steps = []admin.TestStep{{Name: "well-known document", OK: true, Text: "https://login.example.com/.well-known/openid-configuration", Millis: 88, Details: []admin.Detail{{Name: "issuer", Value: "https://login.example.com/"}}}, {Name: "keys", OK: true, Text: "3 keys, RS256 and ES256", Millis: 41}}
	}
	return r, nil
}

func (f *fake) Files(ctx context.Context) (*admin.ConfigSet, error) {
	if err := f.need(ctx, admin.Viewer, "Files"); err != nil {
		return nil, err
	}
	set := &admin.ConfigSet{Digest: "digest-now"}
	if f.empty {
		return set, nil
	}
	set.Files = slices.Clone(f.files)
	for i := range set.Files {
		set.Files[i].Writable = !f.readOnly
	}
	return set, nil
}

func (f *fake) CheckFiles(ctx context.Context, set admin.ConfigSet) (*admin.ConfigCheck, error) {
	if err := f.need(ctx, admin.Viewer, "CheckFiles "+set.Digest); err != nil {
		return nil, err
	}
	c := &admin.ConfigCheck{OK: true, Warnings: []string{"services.orders: Basic is offered without TLS on 10.0.0.4:8081"}}
	for i, file := range set.Files {
		if line := strings.Count(file.Text[:max(strings.Index(file.Text, "nonsense"), 0)], "\n") + 1; strings.Contains(file.Text, "nonsense") {
			c.OK = false
			c.Problems = append(c.Problems, admin.ConfigProblem{File: file.Path, Line: line, Column: 1, Text: `"nonsense" is unknown here`})
		}
		if file.Text != f.files[i].Text {
			d := admin.FileDiff{Path: file.Path}
			old, fresh := strings.Split(f.files[i].Text, "\n"), strings.Split(file.Text, "\n")
			for n := range max(len(old), len(fresh)) {
				switch {
				case n < len(old) && n < len(fresh) && old[n] == fresh[n]:
					d.Lines = append(d.Lines, admin.DiffLine{Op: " ", Old: n + 1, New: n + 1, Text: old[n]})
				default:
					if n < len(old) {
						d.Lines = append(d.Lines, admin.DiffLine{Op: "-", Old: n + 1, Text: old[n]})
					}
					if n < len(fresh) {
						d.Lines = append(d.Lines, admin.DiffLine{Op: "+", New: n + 1, Text: fresh[n]})
					}
				}
			}
			c.Diff = append(c.Diff, d)
		}
	}
	return c, nil
}

func (f *fake) ApplyFiles(ctx context.Context, set admin.ConfigSet, comment string) (*admin.ConfigVersion, error) {
	if err := f.need(ctx, admin.Administrator, "ApplyFiles "+set.Digest+" "+comment); err != nil {
		return nil, err
	}
	if set.Digest != "digest-now" {
		return nil, &admin.Error{Kind: admin.Conflict, Text: "the files were changed meanwhile", Remedy: "look at what is in place now"}
	}
	if strings.Contains(set.Files[0].Text, "locks-out") && !set.Force {
		return nil, &admin.Error{Kind: admin.Refused, Text: "it would keep you out: you have no role any more", Remedy: "apply it with force if that is meant"}
	}
	if c, _ := f.CheckFiles(ctx, set); !c.OK {
		return nil, &admin.Error{Kind: admin.Invalid, Text: "the configuration is wrong"}
	}
	f.mu.Lock()
	f.applied = set.Files
	f.mu.Unlock()
	return &f.versions[0], nil
}

func (f *fake) Versions(ctx context.Context, after int64, limit int) ([]admin.ConfigVersion, error) {
	if err := f.need(ctx, admin.Viewer, "Versions"); err != nil || f.empty {
		return nil, err
	}
	var all []admin.ConfigVersion
	for _, v := range f.versions {
		if (after == 0 || v.ID < after) && len(all) < limit {
			v.Files = nil
			all = append(all, v)
		}
	}
	return all, nil
}

func (f *fake) Version(ctx context.Context, id int64) (*admin.ConfigVersion, error) {
	if err := f.need(ctx, admin.Viewer, "Version"); err != nil {
		return nil, err
	}
	for _, v := range f.versions {
		if v.ID == id && !f.empty {
			return &v, nil
		}
	}
	return nil, notFound("version")
}

func (f *fake) RollBack(ctx context.Context, id int64, comment string, force bool) (*admin.ConfigVersion, error) {
	if err := f.need(ctx, admin.Administrator, fmt.Sprintf("RollBack %d %s", id, comment)); err != nil {
		return nil, err
	}
	if f.readOnly {
		return nil, &admin.Error{Kind: admin.Refused, Text: "the files cannot be written by this process"}
	}
	if f.keepsOut && !force {
		return nil, &admin.Error{Kind: admin.Refused, Text: "it would keep you out: you have no role any more", Remedy: "roll back with force if that is meant"}
	}
	return &f.versions[0], nil
}

func (f *fake) Synchronise(ctx context.Context, realm string, progress func(admin.SyncProgress)) (*provision.Summary, error) {
	if err := f.need(ctx, admin.Operator, "Synchronise "+realm); err != nil {
		return nil, err
	}
	progress(admin.SyncProgress{Done: 41_000, Total: 101_204})
	if f.waiting != nil {
		<-f.waiting
	}
	return &provision.Summary{Realm: realm, Seen: 101_204, Refreshed: 312, Unchanged: 100_888, Deactivated: 4, Complete: true, Took: 131 * time.Second}, nil
}
