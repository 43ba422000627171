package access

import (
	"embed"
	"errors"
	"html/template"
	"math"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/authn/totp"
	"github.com/soapward/soapward/console/ui"
	"github.com/soapward/soapward/directory"
)

//go:embed pages/*.html
var files embed.FS

var (
	chooseTemplate   = parse("choose")
	passwordTemplate = parse("password")
	codeTemplate     = parse("code")
	setupTemplate    = parse("setup")
	recoveryTemplate = parse("recovery")
	messageTemplate  = parse("message")
)

func parse(name string) *template.Template {
	return ui.Parse(files, "pages/"+name+".html")
}

// Words that do not tell why.
const (
	wrongPassword = "Invalid user name or password"
	wrongCode     = "That code is not right, or was used before"
	notJudged     = "This cannot be judged now. Try again in a moment"
)

// A link leads somewhere.
type link struct{ Name, Href string }

// A fact is what is known of somebody.
type fact struct{ Name, Value string }

type message struct {
	Text  []string
	Facts []fact
	Links []link
}

// withReturn adds where a sign-in leads to a path.
func withReturn(path, to string) string {
	if to == home {
		return path
	}
	return path + "?return=" + url.QueryEscape(to)
}

// choose shows the ways to sign in. There is always a page: who has just signed out
// is not signed in again.
func (a *Access) choose(w http.ResponseWriter, r *http.Request, c *core) {
	to := target(r.URL.Query().Get("return"))
	data := struct {
		Providers []link
		Local     bool
		LocalHref string
	}{Local: !c.admin.Local.Disabled, LocalHref: withReturn(localPath, to)}
	for _, name := range c.names() {
		data.Providers = append(data.Providers, link{c.shown(name), withReturn(loginPath+"/"+url.PathEscape(name), to)})
	}
	a.render(w, r, http.StatusOK, &ui.Page{Title: "Sign in", Main: chooseTemplate, Data: data})
}

type passwordPage struct {
	User, Return, Wrong string
	Others              bool
}

func (a *Access) showPassword(w http.ResponseWriter, r *http.Request, c *core, status int, p passwordPage) {
	p.Others = len(c.providers) > 0
	a.render(w, r, status, &ui.Page{
		Title: "Sign in as a local administrator", Main: passwordTemplate, Data: p, CSRF: c.sessions(r).FormToken(w, r),
	})
}

// refusedPassword shows the form again, with the same words whatever the cause.
func (a *Access) refusedPassword(w http.ResponseWriter, r *http.Request, c *core, p passwordPage, err error) {
	status, text := judged(w, err, wrongPassword)
	p.Wrong = text
	a.showPassword(w, r, c, status, p)
}

// judged returns what is told of a refusal: that it was one, for how long there
// will be no other answer, or that nobody could say.
func judged(w http.ResponseWriter, err error, wrong string) (status int, text string) {
	var blocked *authn.BlockedError
	switch {
	case errors.As(err, &blocked):
		w.Header().Set("Retry-After", strconv.Itoa(int(math.Ceil(max(blocked.Left, time.Second).Seconds()))))
		return http.StatusTooManyRequests, blocked.Text()
	case errors.Is(err, authn.ErrUnavailable), errors.Is(err, authn.ErrOverloaded):
		return http.StatusServiceUnavailable, notJudged
	case errors.Is(err, authn.ErrBadCredentials), errors.Is(err, authn.ErrNoCredentials):
		return http.StatusUnauthorized, wrong
	}
	return http.StatusServiceUnavailable, notJudged
}

func (a *Access) refusedCode(w http.ResponseWriter, _ *http.Request, _ *core, err error, show func(status int, text string)) {
	show(judged(w, err, wrongCode))
}

func (a *Access) showCode(w http.ResponseWriter, r *http.Request, c *core, status int, wrong string) {
	a.render(w, r, status, &ui.Page{
		Title: "Second factor", Main: codeTemplate, CSRF: c.sessions(r).FormToken(w, r), Data: struct{ Wrong string }{wrong},
	})
}

func (a *Access) showSetup(w http.ResponseWriter, r *http.Request, c *core, status int, p *pending, u *directory.User, wrong string) {
	issuer := "soapward"
	if at := c.admin.URL.URL; at != nil {
		issuer += " " + at.Hostname()
	}
	path, size, err := qrPath(totp.URI(p.Secret, issuer, u.Name))
	if err != nil { // the name is long: there is the secret as text
		a.log.WarnContext(r.Context(), "no QR code", "ref", authn.Ref(r.Context()), "user", u.Name, "cause", err.Error())
	}
	a.render(w, r, status, &ui.Page{
		Title: "Set up your second factor", Main: setupTemplate, CSRF: c.sessions(r).FormToken(w, r),
		Data: struct {
			User, Secret, Path, Wrong string
			Size                      int
			Skip                      bool
		}{u.Name, totp.Groups(p.Secret), path, wrong, size, c.admin.Local.AllowWithoutSecondFactor},
	})
}

func (a *Access) showRecovery(w http.ResponseWriter, r *http.Request, codes []string, next string) {
	a.render(w, r, http.StatusOK, &ui.Page{Title: "Recovery codes", Main: recoveryTemplate, Data: struct {
		Codes []string
		Next  string
	}{codes, next}})
}

func (a *Access) show(w http.ResponseWriter, r *http.Request, status int, title string, m message) {
	a.render(w, r, status, &ui.Page{Title: title, Main: messageTemplate, Data: m})
}

var signInAgain = []link{{"Sign in", loginPath}}

// problem shows one sentence.
func (a *Access) problem(w http.ResponseWriter, r *http.Request, status int, text string) {
	if isAPI(r) {
		a.apiError(w, r, status, errorOf(status, text))
		return
	}
	a.show(w, r, status, text, message{Links: signInAgain})
}

func (a *Access) insecure(w http.ResponseWriter, r *http.Request) {
	a.show(w, r, http.StatusForbidden, "Use https", message{Text: []string{
		"Passwords and sessions would cross the network readable. Open the console by https, or on the machine itself.",
	}})
}

func (a *Access) expired(w http.ResponseWriter, r *http.Request, again string) {
	a.show(w, r, http.StatusForbidden, "This page had expired", message{
		Text: []string{"Nothing was done. Open it again, and try once more."}, Links: []link{{"Open again", again}},
	})
}

// unavailable tells that nobody could say, and the log why.
func (a *Access) unavailable(w http.ResponseWriter, r *http.Request, err error) {
	a.log.WarnContext(r.Context(), "administrators cannot be told apart", "ref", authn.Ref(r.Context()), "peer", peer(r), "cause", err.Error())
	if isAPI(r) {
		a.apiRefused(w, r, err)
		return
	}
	w.Header().Set("Retry-After", "5")
	a.show(w, r, http.StatusServiceUnavailable, "Not available", message{
		Text: []string{"The gateway cannot look up who you are. Try again in a moment."}, Links: signInAgain,
	})
}

// refusedProvider shows that a provider let nobody in.
func (a *Access) refusedProvider(w http.ResponseWriter, r *http.Request, c *core, name string, err error) {
	if errors.Is(err, authn.ErrBadCredentials) {
		a.show(w, r, http.StatusForbidden, "Sign-in was refused", message{
			Text: []string{"The sign-in at " + c.shown(name) + " did not come to its end. The log of the gateway has the reason."}, Links: signInAgain,
		})
		return
	}
	if errors.Is(err, authn.ErrOverloaded) {
		w.Header().Set("Retry-After", "60")
		a.show(w, r, http.StatusServiceUnavailable, "Too many sign-ins", message{
			Text:  []string{"Many sign-ins at " + c.shown(name) + " from where you are came to nothing. Try again in a minute. Local administrators can sign in without it."},
			Links: signInAgain,
		})
		return
	}
	w.Header().Set("Retry-After", "10")
	a.show(w, r, http.StatusServiceUnavailable, "The provider "+c.shown(name)+" cannot be used now", message{
		Text:  []string{"The provider does not answer as it should. Local administrators can sign in without it."},
		Links: []link{{"Other ways to sign in", loginPath}},
	})
}

// noRoleError is for the record.
func noRoleError(id *authn.Identity) error {
	return &authn.RefusedError{
		Mechanism: mechOIDC, Reason: authn.ReasonPolicy, User: id.String(), Err: errNoRole,
		Hint: "admin.roles says who may do what: give it a role that this user has",
	}
}

// noRole tells somebody who is known that he is no administrator.
func (a *Access) noRole(w http.ResponseWriter, r *http.Request, mechanism string, id *authn.Identity, err error) {
	if !errors.Is(err, errNoRole) {
		a.decided(r, mechanism, id.String(), nil, err)
		a.unavailable(w, r, err)
		return
	}
	a.decided(r, mechanism, id.String(), nil, noRoleError(id))
	if isAPI(r) {
		a.apiRefused(w, r, noRoleError(id))
		return
	}
	a.show(w, r, http.StatusForbidden, "No role", message{
		Text: []string{
			"It is known who you are, and you have none of the roles viewer, operator and administrator.",
			"Whoever looks after the gateway can give you one in its configuration, below admin.roles.",
		},
		Facts: []fact{{"You are", id.String()}}, Links: []link{{"Sign in as somebody else", loginPath}},
	})
}

func (a *Access) showSignedOut(w http.ResponseWriter, r *http.Request, name, at string) {
	a.show(w, r, http.StatusOK, "Signed out", message{
		Text:  []string{"You are signed out here. " + name + " may still have you signed in."},
		Links: []link{{"Sign out at " + name, at}, {"Sign in again", loginPath}},
	})
}
