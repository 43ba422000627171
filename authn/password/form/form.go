package form

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"html/template"
	"log/slog"
	"net/http"
	"path"
	"slices"
	"strings"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/authn/password"
	"github.com/soapward/soapward/authn/session"
)

// DefaultPath is where the page is unless Config says otherwise.
const DefaultPath = "/login"

// Below the path of the page.
const (
	pathOut     = "/out"     // GET asks, POST ends the session
	pathDone    = "/done"    // says that the session has ended
	pathWindows = "/windows" // logs in by Negotiate
)

// Config says how people log in. Sessions must be set, and Verifier or Links.
type Config struct {
	// Verifier checks what is typed. Nil means that the page asks for no password,
	// and has Links only. Where there is one of them, browsers are led there without
	// seeing the page.
	Verifier password.Verifier
	Sessions *session.Manager

	// Links are other places to log in, such as that of an external provider.
	Links []Link

	// Windows is integrated login, an *iwa.Authenticator with Kerberos and
	// without NTLM. Nil means that there is none.
	Windows authn.Authenticator

	// WindowsByLink asks a browser for integrated login only when its user
	// follows the link on the page.
	WindowsByLink bool

	// Others are asked after the session and before Windows, for clients that
	// are no browsers. Browsers never see what they offer.
	Others []authn.Authenticator

	// Guard returns its argument, which checks what was typed into the page, in
	// the wrappers that each login goes through. Nil adds none. A wrapper that
	// refuses who had the right password tells so by its time: provisioning of
	// users belongs into the Verifier (provision.Provisioner.Verifier), inside of
	// password.Chain and throttle.Limiter.Password.
	Guard func(authn.Authenticator) authn.Authenticator

	// Path is where the page is, without a slash at its end. All that is below
	// belongs to the Form. Empty means DefaultPath.
	Path string

	// Home is where a login leads that began at the page itself. Empty means
	// "/".
	Home string

	// Service is the name of what people log in to, for the heading. It may be
	// empty.
	Service string

	// SignOutAt is asked before the session of r ends where else it is to be ended,
	// as at an external provider. The browser is led to that URL, which may be
	// empty, once the session is over. Nil means nowhere.
	SignOutAt func(r *http.Request) Link

	// Texts are the languages of the page, of which the browser's preference
	// chooses. The first is for everybody else. Nil means English and German.
	Texts []Texts

	// Style takes the place of the style sheet. Pictures that it names are
	// loaded from this server only.
	Style string

	// Template takes the place of the page. It is executed with a *Page. It may
	// use style sheets, fonts and pictures of this server, and no scripts.
	Template *template.Template

	Logger *slog.Logger // nil means slog.Default()

	// Observe is told each login and each refusal, as authn.Middleware.Observe.
	Observe func(ctx context.Context, d *authn.Decision)
}

// A Link leads to a place that people log in or out at. Name is what they know it
// by. A place to log in is told where to go on, by a parameter "return" that is
// added to the URL, and has to check that again: see SafeTarget.
type Link struct{ Name, URL string }

// A Form is a login page and what belongs to it. It is safe for concurrent use.
type Form struct {
	c       Config
	posted  http.Handler // checks what was typed; nil if there is no password
	windows http.Handler // nil if there is no integrated login
	policy  string       // Content-Security-Policy
}

var _ http.Handler = (*Form)(nil)

// New returns a Form, or an error that says what is wrong with c.
func New(c Config) (*Form, error) {
	c.Path, c.Home = cmp.Or(c.Path, DefaultPath), cmp.Or(c.Home, "/")
	if c.Texts == nil {
		c.Texts = []Texts{English(), German()}
	}
	if err := c.check(); err != nil {
		return nil, fmt.Errorf("form: %w", err)
	}
	f := &Form{c: c}
	f.policy = policy(&f.c)
	if c.Verifier != nil {
		var check authn.Authenticator = &typed{verifier: c.Verifier, sessions: c.Sessions, challenge: f.challenge()}
		if c.Guard != nil {
			check = c.Guard(check)
		}
		f.posted = f.middleware(f.denyTyped, check).Wrap(http.HandlerFunc(f.begin))
	}
	if c.Windows != nil {
		f.windows = f.middleware(f.denyWindows, c.Windows).Wrap(http.HandlerFunc(f.begin))
	}
	return f, nil
}

func (c *Config) check() error {
	switch {
	case c.Verifier == nil && len(c.Links) == 0:
		return errors.New("no Verifier: nobody knows the users")
	case slices.ContainsFunc(c.Links, func(l Link) bool { return l.Name == "" || safeTarget(l.URL) == "" }):
		return errors.New("a link has a name, and leads to a path of this server")
	case c.Sessions == nil || c.Sessions.Store == nil:
		return errors.New("no Sessions, or none with a Store: a login would be forgotten at once")
	case c.Path == "/" || c.Path != path.Clean(c.Path) || safeTarget(c.Path) == "":
		return fmt.Errorf("path %q: want one such as %q", c.Path, DefaultPath)
	case safeTarget(c.Home) == "":
		return fmt.Errorf("home %q: want a path of this server, such as \"/\"", c.Home)
	case len(c.Texts) == 0:
		return errors.New("no texts")
	case strings.Contains(c.Style, "</"):
		return errors.New("the style sheet has \"</\" in it, which would end it")
	}
	for _, t := range c.Texts {
		if err := t.check(); err != nil {
			return err
		}
	}
	if c.Windows != nil {
		if s := schemes(c.Windows); slices.ContainsFunc(s, func(s string) bool { return !strings.EqualFold(s, "Negotiate") }) {
			return fmt.Errorf("integrated login offers %s: browsers open a password window for all but Negotiate, in front of the form; "+
				"leave NTLM of the iwa.Authenticator nil, and give NTLM or Basic a service of its own", strings.Join(s, ", "))
		}
	}
	return nil
}

// schemes returns what a may offer. What an authenticator offers can depend on
// the request, so it is asked for all it has if it can tell.
func schemes(a authn.Authenticator) []string {
	if s, ok := a.(interface{ Schemes() []string }); ok {
		return s.Schemes()
	}
	var all []string
	for _, c := range a.Challenges(probe()) {
		all = append(all, c.Scheme)
	}
	return all
}

// middleware is how all logins are decided and logged.
func (f *Form) middleware(deny func(http.ResponseWriter, *http.Request, int, string), as ...authn.Authenticator) *authn.Middleware {
	return &authn.Middleware{Authenticators: as, Logger: f.c.Logger, Observe: f.c.Observe, Deny: deny}
}

// Wrap returns next behind the login, together with the page. next finds the
// caller with authn.FromContext.
func (f *Form) Wrap(next http.Handler) http.Handler {
	as := append([]authn.Authenticator{f.c.Sessions}, f.c.Others...)
	if f.c.Windows != nil {
		as = append(as, f.c.Windows)
	}
	protected := f.middleware(f.Deny, as...).Wrap(f.c.Sessions.Renew(next))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == f.c.Path || strings.HasPrefix(r.URL.Path, f.c.Path+"/") {
			f.ServeHTTP(w, r)
			return
		}
		protected.ServeHTTP(w, r)
	})
}

// ServeHTTP serves the page and what is below it. Programs that use Wrap need
// not mount it.
func (f *Form) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	below, ok := strings.CutPrefix(r.URL.Path, f.c.Path)
	if !ok || below == pathWindows && f.windows == nil {
		http.NotFound(w, r)
		return
	}
	read, post := r.Method == http.MethodGet || r.Method == http.MethodHead, r.Method == http.MethodPost
	var serve http.HandlerFunc
	allow := "GET, HEAD, POST"
	switch {
	case below != "" && below != pathOut && below != pathDone && below != pathWindows:
		http.NotFound(w, r)
		return
	case !f.c.Sessions.Usable(r):
		serve = f.insecure
	case below == "" && read:
		serve = f.show
	case below == "" && post && f.posted != nil:
		serve = f.login
	case below == "":
		allow = "GET, HEAD"
	case below == pathDone && read:
		serve = f.done
	case below == pathDone:
		allow = "GET, HEAD"
	case below == pathOut && read:
		serve = f.askOut
	case below == pathOut && post:
		serve = f.logout
	case below == pathWindows && read:
		serve = f.integrated
	case below == pathWindows:
		allow = "GET, HEAD"
	}
	if serve == nil {
		w.Header().Set("Allow", allow)
		http.Error(w, "method not allowed", http.StatusMethodNotAllowed)
		return
	}
	serve(w, r)
}

func (f *Form) logger() *slog.Logger {
	if f.c.Logger != nil {
		return f.c.Logger
	}
	return slog.Default()
}

// peer is the client's address for the log.
func peer(r *http.Request) string {
	if a := authn.ClientAddr(r); a.IsValid() {
		return a.String()
	}
	return r.RemoteAddr
}
