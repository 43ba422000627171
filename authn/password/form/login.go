package form

import (
	"cmp"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/authn/password"
	"github.com/soapward/soapward/authn/session"
)

// Mechanism is the name of this login in identities and in the log.
const Mechanism = "form"

// Bounds of what a browser sends, in bytes.
const (
	maxBody     = 16 << 10
	maxUser     = 512
	maxPassword = 1024
)

// The fields of the page besides session.TokenField.
const (
	fieldUser     = "user"
	fieldPassword = "password"
	fieldRemember = "remember"
	fieldReturn   = "return"
)

// show is the page. Who is logged in already goes on.
func (f *Form) show(w http.ResponseWriter, r *http.Request) {
	back := f.target(r.URL.Query().Get(fieldReturn))
	if res, err := f.c.Sessions.Authenticate(r); err == nil && res.Identity != nil {
		redirect(w, back)
		return
	}
	p := f.page(r, back)
	if r.URL.Query().Has("out") {
		p.Message = p.Texts.SignedOut
	} else if only := f.only(back); only != "" {
		redirect(w, only)
		return
	}
	f.write(w, r, http.StatusOK, p)
}

// done is where a browser comes back to that was led elsewhere to end a session
// there.
func (f *Form) done(w http.ResponseWriter, r *http.Request) {
	p := f.page(r, f.c.Home)
	p.Message = p.Texts.SignedOut
	f.write(w, r, http.StatusOK, p)
}

// login is what the browser sends when the button was pressed.
func (f *Form) login(w http.ResponseWriter, r *http.Request) {
	if !f.ours(w, r, f.c.Sessions.CheckForm) {
		return
	}
	f.posted.ServeHTTP(w, r)
}

// ours reads the posted form and asks check whether our own page sent it. If
// not, it has written the answer.
func (f *Form) ours(w http.ResponseWriter, r *http.Request, check func(*http.Request) error) bool {
	r.Body = http.MaxBytesReader(w, r.Body, maxBody)
	status, err := http.StatusForbidden, r.ParseForm()
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		status = http.StatusRequestEntityTooLarge
	case err != nil:
		status = http.StatusBadRequest
	default:
		err = check(r)
	}
	if err == nil {
		return true
	}
	f.logger().LogAttrs(r.Context(), slog.LevelInfo, "form refused",
		slog.String("ref", authn.Ref(r.Context())), slog.String("peer", peer(r)), slog.Int("status", status), slog.String("cause", err.Error()))
	p := f.pageOfForm(r)
	p.Message, p.Failed = p.Texts.Expired, true
	f.write(w, r, status, p)
	return false
}

// begin starts the session of a caller who proved who they are.
func (f *Form) begin(w http.ResponseWriter, r *http.Request) {
	remember := r.Method == http.MethodPost && r.PostForm.Get(fieldRemember) != ""
	if err := f.c.Sessions.Start(w, r, authn.FromContext(r.Context()), remember); err != nil {
		f.logger().LogAttrs(r.Context(), slog.LevelError, "session could not begin",
			slog.String("ref", authn.Ref(r.Context())), slog.String("peer", peer(r)), slog.String("cause", err.Error()))
		f.unavailable(w, r)
		return
	}
	redirect(w, f.target(r.FormValue(fieldReturn)))
}

func (f *Form) unavailable(w http.ResponseWriter, r *http.Request) {
	p := f.pageOfForm(r)
	p.Message, p.Failed = p.Texts.Unavailable, true
	f.write(w, r, http.StatusServiceUnavailable, p)
}

// askOut is for those who follow a link. Only what they send from the page ends
// the session.
func (f *Form) askOut(w http.ResponseWriter, r *http.Request) {
	if res, err := f.c.Sessions.Authenticate(r); err != nil || res.Identity == nil {
		redirect(w, f.c.Path)
		return
	}
	p := f.page(r, f.target(r.URL.Query().Get(fieldReturn)))
	p.SignOut, p.Title, p.Action = true, p.Texts.SignOut, f.c.Path+pathOut
	f.write(w, r, http.StatusOK, p)
}

// logout ends the session. Pages of the application may have the button: they
// send what session.Manager.Token gave them.
func (f *Form) logout(w http.ResponseWriter, r *http.Request) {
	if f.c.Sessions.Token(r) == "" { // logged out already, in another tab
		redirect(w, f.c.Path+"?out=")
		return
	}
	if !f.ours(w, r, f.c.Sessions.CheckLogout) {
		return
	}
	var elsewhere Link
	if f.c.SignOutAt != nil {
		elsewhere = f.c.SignOutAt(r)
	}
	if err := f.c.Sessions.End(w, r); err != nil {
		f.logger().LogAttrs(r.Context(), slog.LevelError, "session could not be ended",
			slog.String("ref", authn.Ref(r.Context())), slog.String("peer", peer(r)), slog.String("cause", err.Error()))
		f.unavailable(w, r)
		return
	}
	if elsewhere.URL == "" {
		redirect(w, f.c.Path+"?out=")
		return
	}
	// Not by a redirect: form-action has browsers refuse one to another host, and
	// where that leads on to nobody here knows.
	p := f.page(r, f.c.Home)
	p.Message, p.NoForm, p.Links, p.Windows, p.SignOutAt = p.Texts.SignedOut, true, nil, "", elsewhere
	w.Header().Set("Refresh", "0; url="+elsewhere.URL)
	f.write(w, r, http.StatusOK, p)
}

// integrated logs in by Negotiate those who followed the link on the page.
// Another site cannot have them log in, which would end the session they have.
func (f *Form) integrated(w http.ResponseWriter, r *http.Request) {
	asPost := r.Clone(r.Context())
	asPost.Method = http.MethodPost
	if http.NewCrossOriginProtection().Check(asPost) != nil {
		redirect(w, f.pageURL(f.target(r.URL.Query().Get(fieldReturn))))
		return
	}
	f.windows.ServeHTTP(w, r)
}

// typed checks the user name and password of a request whose form was read.
type typed struct {
	verifier  password.Verifier
	sessions  *session.Manager
	challenge authn.Challenge
}

var _ authn.Authenticator = (*typed)(nil)

// Challenges implements authn.Authenticator.
func (t *typed) Challenges(*http.Request) []authn.Challenge { return []authn.Challenge{t.challenge} }

// Authenticate implements authn.Authenticator. The identity carries a
// *password.Secret, as that of password.Basic does.
func (t *typed) Authenticate(r *http.Request) (*authn.Result, error) {
	user, pw := strings.TrimSpace(r.PostForm.Get(fieldUser)), r.PostForm.Get(fieldPassword)
	switch {
	case user == "":
		return nil, refuse(authn.ReasonAnonymous, "", errors.New("empty user name"))
	case len(user) > maxUser || !printable(user):
		return nil, refuse(authn.ReasonMalformed, "", errors.New("user name too long, not UTF-8 or with control characters"))
	case pw == "":
		// Not a guess that counts, but what LDAP takes for an anonymous login
		// (RFC 4513 5.1.2).
		return nil, refuse(authn.ReasonAnonymous, user, errors.New("empty password"))
	case len(pw) > maxPassword || !printable(pw):
		return nil, refuse(authn.ReasonMalformed, user, errors.New("password too long, not UTF-8 or with control characters"))
	}
	// The verifier may be one that counts failures by the client's address.
	ctx := authn.WithClient(r.Context(), authn.ClientAddr(r))
	id, err := t.verifier.VerifyPassword(ctx, user, pw)
	if err != nil {
		return nil, verifierError(err, user)
	}
	if id == nil {
		return nil, errors.New("form: verifier returned neither an identity nor an error")
	}
	c := *id // an Identity is never modified after it was made
	c.Mechanism, c.AuthTime = Mechanism, t.now()
	c.Evidence = &password.Secret{User: user, Password: authn.NewSecret(pw)}
	return &authn.Result{Identity: &c, Fresh: true}, nil
}

func (t *typed) now() time.Time {
	if t.sessions.Now != nil {
		return t.sessions.Now()
	}
	return time.Now()
}

func printable(s string) bool {
	return utf8.ValidString(s) && !strings.ContainsFunc(s, unicode.IsControl)
}

func refuse(reason authn.Reason, user string, err error) *authn.RefusedError {
	return &authn.RefusedError{Mechanism: Mechanism, Reason: reason, User: user, Err: err}
}

// verifierError completes a refusal with what the verifier need not know, and
// keeps other errors, such as authn.ErrUnavailable, apart from refusals.
func verifierError(err error, user string) error {
	var re *authn.RefusedError
	var be *authn.BlockedError
	switch {
	case errors.As(err, &be) && be.Mechanism == "":
		c := *be
		c.Mechanism = Mechanism
		return &c
	case errors.As(err, &re):
		if re.Mechanism == Mechanism && re.User != "" {
			return err
		}
		if error(re) != err { // within an error that says more, which must stay
			return err
		}
		c := *re // the verifier may hold on to its own
		c.Mechanism = Mechanism
		c.User = cmp.Or(c.User, user)
		return &c
	case errors.Is(err, authn.ErrNoCredentials): // there were credentials
		return refuse(authn.ReasonUnknownUser, user, nil)
	}
	return fmt.Errorf("form: verify: %w", err)
}

// redirect leads to a target that is safe already. http.Redirect would clean
// its path.
func redirect(w http.ResponseWriter, target string) {
	h := w.Header()
	h.Set("Location", target)
	h.Set("Cache-Control", "no-store")
	w.WriteHeader(http.StatusSeeOther)
}

// pageURL is the page for those who want to go on to back.
func (f *Form) pageURL(back string) string {
	if back == f.c.Home {
		return f.c.Path
	}
	return f.c.Path + "?" + fieldReturn + "=" + url.QueryEscape(back)
}

// probe is a request that everything would be offered to.
func probe() *http.Request {
	return &http.Request{
		Method: http.MethodGet, URL: &url.URL{Path: "/"}, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: http.Header{}, Host: "localhost", TLS: &tls.ConnectionState{},
	}
}
