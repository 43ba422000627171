package access

import (
	"errors"
	"fmt"
	"net/http"
	"strings"

	"rsc.io/qr"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/authn/totp"
	"github.com/soapward/soapward/directory"
)

// setupPage shows the secret that a local administrator's device is to have.
func (a *Access) setupPage(w http.ResponseWriter, r *http.Request, c *core) {
	if p, u := a.settingUp(w, r, c); p != nil {
		a.showSetup(w, r, c, http.StatusOK, p, u, "")
	}
}

// settingUp is goOn for somebody who has no second factor.
func (a *Access) settingUp(w http.ResponseWriter, r *http.Request, c *core) (*pending, *directory.User) {
	p, u := a.goOn(w, r, c)
	if p != nil && (!u.SecondFactor.IsEmpty() || p.Secret == "") {
		http.Redirect(w, r, localPath, http.StatusSeeOther)
		return nil, nil
	}
	return p, u
}

// setupTyped keeps the secret once a code shows that the device has it.
func (a *Access) setupTyped(w http.ResponseWriter, r *http.Request, c *core) {
	p, u := a.settingUp(w, r, c)
	if p == nil || !a.typedForm(w, r, c, setupPath) {
		return
	}
	if r.PostFormValue("skip") != "" && c.admin.Local.AllowWithoutSecondFactor {
		if a.startLocal(w, r, c, p, u) {
			http.Redirect(w, r, target(p.Return), http.StatusSeeOther)
		}
		return
	}
	code := strings.TrimSpace(r.PostFormValue("code"))
	counter, ok, err := totp.Verify(p.Secret, code, a.now(), 0)
	if err != nil || !ok {
		// No guess: who is here sees the secret.
		a.showSetup(w, r, c, http.StatusUnauthorized, p, u, wrongCode)
		return
	}
	codes, hashes := totp.NewRecovery()
	changed := *u
	changed.SecondFactor, changed.RecoveryCodes = authn.NewSecret(p.Secret), hashes
	err = c.keepFactor(r, &changed)
	if err == nil {
		_, err = c.once(r.Context(), "code", fmt.Sprint(u.ID, " ", counter, " ", p.Secret)) // it was shown here
	}
	switch {
	case errors.Is(err, directory.ErrConflict):
		http.Redirect(w, r, localPath, http.StatusSeeOther) // somebody else changed the user: once more
		return
	case err != nil:
		a.decided(r, mechLocal, u.Name, nil, err)
		a.unavailable(w, r, err)
		return
	}
	if a.startLocal(w, r, c, p, &changed) {
		a.showRecovery(w, r, codes, target(p.Return))
	}
}

// keepFactor writes a user's new second factor, and that there is one.
func (c *core) keepFactor(r *http.Request, u *directory.User) error {
	by := localCaller(r, u)
	change := &directory.Change{
		Time: c.a.now(), Ref: authn.Ref(r.Context()), Actor: by.Name, Peer: by.Peer,
		Action: "user.set-second-factor", Target: u.Name, Before: `{"second_factor":false}`, After: `{"second_factor":true}`,
	}
	err := c.audited(r.Context(), change, u)
	if err != nil {
		return fmt.Errorf("access: keep a second factor: %w", err)
	}
	return nil
}

// qrPath draws a QR code as the path of an SVG, in modules, with its quiet zone.
func qrPath(text string) (path string, size int, err error) {
	code, err := qr.Encode(text, qr.M)
	if err != nil {
		return "", 0, fmt.Errorf("access: %w", err)
	}
	const quiet = 4 // ISO/IEC 18004 has four modules
	var b strings.Builder
	for y := range code.Size {
		for x := 0; x < code.Size; x++ {
			run := 0
			for x+run < code.Size && code.Black(x+run, y) {
				run++
			}
			if run > 0 {
				fmt.Fprintf(&b, "M%d %dh%dv1h-%dz", x+quiet, y+quiet, run, run)
				x += run
			}
		}
	}
	return b.String(), code.Size + 2*quiet, nil
}
