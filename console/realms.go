package console

import (
	"cmp"
	"context"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/soapward/soapward/admin"
	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/console/ui"
	"github.com/soapward/soapward/gateway/health"
)

type realmsData struct {
	viewer
	Realms []realmRow
}

type realmRow struct {
	admin.Realm
	Down int
}

// methodOIDC is the method of realms whose users come from an OpenID Connect
// provider.
const methodOIDC = "oidc"

func (c *console) realms(r *http.Request) (*answer, error) {
	all, err := c.areas.Realms(r.Context())
	if err != nil {
		return nil, err
	}
	return &answer{page: "realms", title: "Realms", nav: ui.NavRealms, data: realmsData{viewerOf(r), realmRows(all)}}, nil
}

func realmRows(all []admin.Realm) (rows []realmRow) {
	for _, realm := range all {
		row := realmRow{Realm: realm}
		for _, k := range realm.Checks {
			if k.State == health.Down {
				row.Down++
			}
		}
		rows = append(rows, row)
	}
	return rows
}

func (c *console) providers(r *http.Request) (*answer, error) {
	all, err := c.areas.Realms(r.Context())
	if err != nil {
		return nil, err
	}
	all = slices.DeleteFunc(slices.Clone(all), func(realm admin.Realm) bool { return !slices.Contains(realm.Methods, methodOIDC) })
	return &answer{page: "providers", title: "Identity providers", nav: ui.NavProviders, data: realmsData{viewerOf(r), realmRows(all)}}, nil
}

type realmData struct {
	viewer
	admin.Realm
	Tests  []testForm
	Tested admin.TestKind
	User   string // that was tried
	Result *admin.TestResult
	Job    *job
}

type testForm struct {
	Kind     admin.TestKind
	Title    string
	Text     string
	User     bool
	Password bool
}

var testForms = map[admin.TestKind]testForm{
	admin.TestBind:     {Title: "Password at the directory", Text: "Binds as the user, and reads his entry and groups.", User: true, Password: true},
	admin.TestNetlogon: {Title: "Password at a domain controller", Text: "Logs the user on by NTLM, through Netlogon or winbind.", User: true, Password: true},
	admin.TestTicket:   {Title: "Kerberos ticket", Text: "Gets a ticket for this gateway as the user, and sees whether the keytab takes it.", User: true, Password: true},
	admin.TestInternal: {Title: "Password of ours", Text: "Checks the password that the store has.", User: true, Password: true},
	admin.TestProvider: {Title: "Provider", Text: "Fetches the well-known document and the keys."},
}

func (c *console) realmOf(r *http.Request, name string) (*realmData, error) {
	all, err := c.areas.Realms(r.Context())
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(all, func(realm admin.Realm) bool { return realm.Name == name })
	if i < 0 {
		return nil, &admin.Error{Kind: admin.NotFound, Text: "there is no such realm"}
	}
	d := &realmData{viewer: viewerOf(r), Realm: all[i], Job: c.jobs.of(name)}
	for _, k := range all[i].Tests {
		t := testForms[k]
		t.Kind, t.Title = k, cmp.Or(t.Title, string(k))
		d.Tests = append(d.Tests, t)
	}
	return d, nil
}

func (c *console) realm(r *http.Request) (*answer, error) {
	d, err := c.realmOf(r, r.URL.Query().Get("name"))
	if err != nil {
		return nil, err
	}
	return &answer{page: "realm", title: d.Name, nav: ui.NavRealms, data: d}, nil
}

// testRealm answers with the page of the realm: what came of it is kept nowhere.
func (c *console) testRealm(r *http.Request) (*answer, error) {
	p := r.PostForm
	d, err := c.realmOf(r, p.Get("name"))
	if err != nil {
		return nil, err
	}
	d.Tested, d.User = admin.TestKind(p.Get("kind")), p.Get("user")
	a := &answer{page: "realm", title: d.Name, nav: ui.NavRealms, data: d}
	d.Result, a.failed = c.areas.Test(r.Context(), admin.Test{Realm: d.Name, Kind: d.Tested, User: d.User, Password: authn.NewSecret(p.Get("password"))})
	return a, nil
}

// synchronise begins the job, which outlives the request.
func (c *console) synchronise(r *http.Request) (*answer, error) {
	name := r.PostForm.Get("name")
	if _, err := c.realmOf(r, name); err != nil {
		return nil, err
	}
	err := c.jobs.start(name, c.now, func(progress func(admin.SyncProgress)) (string, error) {
		sum, err := c.areas.Synchronise(context.WithoutCancel(r.Context()), name, admin.SyncOptions{}, progress)
		if err != nil {
			_, told := c.explainError(r, err)
			return "", told
		}
		return summary(sum), nil
	})
	if err != nil {
		return nil, err
	}
	return done("/console/realm", url.Values{"name": {name}}, "sync", 0), nil
}

type passwordsData struct{ viewer }

// passwords asks whether to clear those of all but local administrators.
func (c *console) passwords(r *http.Request) (*answer, error) {
	return passwordsPage(r, nil), nil
}

func passwordsPage(r *http.Request, failed error) *answer {
	return &answer{page: "passwords", title: "Clear passwords", nav: ui.NavProviders, data: passwordsData{viewerOf(r)}, failed: failed}
}

// clearTime bounds the taking of all passwords.
const clearTime = time.Hour

func (c *console) clearPasswords(r *http.Request) (*answer, error) {
	// There may be millions, and a browser, or a proxy before us, does not wait.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), clearTime)
	defer cancel()
	n, err := c.areas.ClearPasswords(ctx)
	if err != nil {
		return passwordsPage(r, err), nil
	}
	return done("/console/providers", nil, "cleared", n), nil
}
