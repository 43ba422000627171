package access

import (
	"errors"
	"net/http"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/soapward/soapward/admin"
	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/authn/totp"
	"github.com/soapward/soapward/directory"
)

// Bounds of what is typed, in bytes.
const (
	maxBody     = 16 << 10
	maxUser     = 512
	maxPassword = 1024
	maxCode     = 64
)

// localPage shows the form for name and password. It asks nobody but the
// configuration.
func (a *Access) localPage(w http.ResponseWriter, r *http.Request, c *core) {
	if a.localOff(w, r, c) {
		return
	}
	a.showPassword(w, r, c, http.StatusOK, passwordPage{Return: target(r.URL.Query().Get("return"))})
}

// localOff tells that local administrators are kept out, or that there is no TLS.
func (a *Access) localOff(w http.ResponseWriter, r *http.Request, c *core) bool {
	switch {
	case c.admin.Local.Disabled:
		a.problem(w, r, http.StatusNotFound, "Local administrators cannot sign in here")
	case !c.sessions(r).Usable(r):
		a.insecure(w, r)
	default:
		return false
	}
	return true
}

// typedForm reads a form of a page of ours. It has answered if it returns false.
func (a *Access) typedForm(w http.ResponseWriter, r *http.Request, c *core, again string) bool {
	r.Body = http.MaxBytesReader(w, r.Body, maxBody)
	err := r.ParseForm()
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		a.problem(w, r, http.StatusRequestEntityTooLarge, "That was too long")
		return false
	case err != nil:
		a.problem(w, r, http.StatusBadRequest, "The form cannot be read")
		return false
	}
	if err := c.sessions(r).CheckForm(r); err != nil {
		a.decided(r, mechLocal, "", nil, &authn.RefusedError{
			Mechanism: mechLocal, Reason: authn.ReasonPolicy, Err: err, Hint: "another site, or a page that was open for long, sent the form",
		})
		a.expired(w, r, again)
		return false
	}
	return true
}

// localPassword judges name and password.
func (a *Access) localPassword(w http.ResponseWriter, r *http.Request, c *core) {
	if a.localOff(w, r, c) || !a.typedForm(w, r, c, localPath) {
		return
	}
	user, secret := strings.TrimSpace(r.PostFormValue("user")), r.PostFormValue("password")
	back := target(r.PostFormValue("return"))
	u, err := c.judgePassword(r, user, secret)
	if err != nil {
		a.decided(r, mechLocal, user, nil, err)
		a.refusedPassword(w, r, c, passwordPage{User: clip(strings.ToValidUTF8(user, "")), Return: back}, err)
		return
	}
	p := &pending{ID: u.ID, Name: u.Name, Password: digest(u.Password.Reveal()), Return: back}
	next := codePath
	if u.SecondFactor.IsEmpty() {
		next, p.Secret = setupPath, totp.NewSecret()
	}
	if err := c.startPending(w, r, p); err != nil {
		a.decided(r, mechLocal, u.Name, nil, err)
		a.unavailable(w, r, err)
		return
	}
	http.Redirect(w, r, next, http.StatusSeeOther)
}

// judgePassword returns the local administrator whose password was right.
func (c *core) judgePassword(r *http.Request, user, secret string) (*directory.User, error) {
	if !typable(user, maxUser) || !typable(secret, maxPassword) {
		return nil, &authn.RefusedError{
			Mechanism: mechLocal, Reason: authn.ReasonMalformed, Err: errors.New("empty, too long, or with control characters"),
		}
	}
	id, err := c.passwords.verify(r, user, secret)
	if err != nil {
		return nil, err
	}
	return c.Store.User(r.Context(), id.String())
}

// judgeCode judges the second factor of a user whose password was right.
func (c *core) judgeCode(r *http.Request, u *directory.User, code string) error {
	code = strings.TrimSpace(code)
	if !typable(code, maxCode) {
		return &authn.RefusedError{Mechanism: mechLocal, Reason: authn.ReasonMalformed, User: u.Name, Err: errors.New("no code")}
	}
	_, err := c.codes.verify(r, u.Name, tryOf(code))
	return err
}

// typable reports whether somebody can have meant what he typed.
func typable(s string, most int) bool {
	return s != "" && len(s) <= most && utf8.ValidString(s) && !strings.ContainsFunc(s, unicode.IsControl)
}

// codePage asks for the second factor.
func (a *Access) codePage(w http.ResponseWriter, r *http.Request, c *core) {
	if p, u := a.goOn(w, r, c); p != nil && !u.SecondFactor.IsEmpty() {
		a.showCode(w, r, c, http.StatusOK, "")
	} else if p != nil {
		http.Redirect(w, r, setupPath, http.StatusSeeOther)
	}
}

// goOn returns the sign-in that r goes on with. It has answered if there is none.
func (a *Access) goOn(w http.ResponseWriter, r *http.Request, c *core) (*pending, *directory.User) {
	if a.localOff(w, r, c) {
		return nil, nil
	}
	p, u, err := c.pendingOf(r)
	switch {
	case errors.Is(err, errPending):
		http.Redirect(w, r, localPath, http.StatusSeeOther)
	case err != nil:
		a.unavailable(w, r, err)
	}
	return p, u
}

// codeTyped judges the second factor, and begins the session.
func (a *Access) codeTyped(w http.ResponseWriter, r *http.Request, c *core) {
	p, u := a.goOn(w, r, c)
	if p == nil || !a.typedForm(w, r, c, codePath) {
		return
	}
	if u.SecondFactor.IsEmpty() {
		http.Redirect(w, r, setupPath, http.StatusSeeOther)
		return
	}
	if err := c.judgeCode(r, u, r.PostFormValue("code")); err != nil {
		a.decided(r, mechLocal, u.Name, nil, err)
		a.refusedCode(w, r, c, err, func(status int, text string) { a.showCode(w, r, c, status, text) })
		return
	}
	if a.startLocal(w, r, c, p, u) {
		http.Redirect(w, r, target(p.Return), http.StatusSeeOther)
	}
}

// startLocal begins the session of a local administrator. It has answered if it
// returns false.
func (a *Access) startLocal(w http.ResponseWriter, r *http.Request, c *core, p *pending, u *directory.User) bool {
	err := c.endPending(r.Context(), w, r, p)
	id := localIdentity(u, a)
	if err == nil {
		err = c.sessions(r).Start(w, r, id, false)
	}
	if err != nil {
		a.decided(r, mechLocal, u.Name, nil, err)
		a.unavailable(w, r, err)
		return false
	}
	a.decided(r, mechLocal, u.Name, id, nil)
	return true
}

func localIdentity(u *directory.User, a *Access) *authn.Identity {
	id := u.Identity()
	id.Mechanism, id.AuthTime = mechLocal, a.now()
	id.Groups = nil // nothing asks for them, and they may be many
	return id
}

// localCaller is a local administrator, for the record of what he changes while he
// signs in.
func localCaller(r *http.Request, u *directory.User) *admin.Caller {
	return &admin.Caller{Name: u.Name, Role: admin.Administrator, Local: true, Login: LocalName, Peer: peer(r)}
}
