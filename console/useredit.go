package console

import (
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/soapward/soapward/admin"
	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/console/ui"
)

// userForm is what is typed about a user. Passwords are never shown again.
type userForm struct {
	Name, Realm, DisplayName, Email, Phone string
	Roles                                  []string
	LocalAdmin                             bool
	Version                                int64
}

type userFormData struct {
	viewer
	Add    bool
	Form   userForm
	Bad    string // field that is wrong
	Realms []string
	Roles  []roleChoice
}

// Allowed reports whether the caller may send it.
func (d userFormData) Allowed() bool { return d.Administrator() }

type roleChoice struct {
	Name    string
	Checked bool
}

func (c *console) userForm(r *http.Request, add bool, f userForm, failed error) *answer {
	d := userFormData{viewer: viewerOf(r), Add: add, Form: f, Bad: field(failed), Realms: c.realmNames(r)}
	if f.Realm != "" && !slices.Contains(d.Realms, f.Realm) {
		d.Realms = append(d.Realms, f.Realm)
	}
	for _, name := range c.roleNames(r) {
		d.Roles = append(d.Roles, roleChoice{name, slices.Contains(f.Roles, name)})
	}
	for _, name := range f.Roles { // one that the configuration has no more
		if !slices.ContainsFunc(d.Roles, func(c roleChoice) bool { return c.Name == name }) {
			d.Roles = append(d.Roles, roleChoice{name, true})
		}
	}
	title := "Add a user"
	if !add {
		title = "Edit " + f.Name
	}
	return &answer{page: "userform", title: title, nav: ui.NavUsers, data: d, failed: failed}
}

func typedUser(r *http.Request) userForm {
	p := r.PostForm
	version, _ := strconv.ParseInt(p.Get("version"), 10, 64) // zero is no condition, which only he meets who made it up
	return userForm{
		Name: strings.TrimSpace(p.Get("name")), Realm: p.Get("realm"), DisplayName: strings.TrimSpace(p.Get("display_name")),
		Email: strings.TrimSpace(p.Get("email")), Phone: strings.TrimSpace(p.Get("phone")),
		Roles: p["role"], LocalAdmin: p.Get("local_admin") != "", Version: version,
	}
}

func (c *console) addUser(r *http.Request) (*answer, error) {
	return c.userForm(r, true, userForm{LocalAdmin: r.URL.Query().Get("local") != ""}, nil), nil
}

func (c *console) addUserNow(r *http.Request) (*answer, error) {
	f := typedUser(r)
	pw, err := typedPassword(r)
	if err != nil {
		return c.userForm(r, true, f, err), nil
	}
	u, err := c.areas.AddUser(r.Context(), admin.NewUser{
		Name: f.Name, Realm: f.Realm, DisplayName: f.DisplayName, Email: f.Email, Phone: f.Phone, Roles: f.Roles, LocalAdmin: f.LocalAdmin,
		Password: pw,
	})
	if err != nil {
		return c.userForm(r, true, f, err), nil
	}
	return toUser(u.Name, "added", 0), nil
}

// typedPassword is the one that was typed twice.
func typedPassword(r *http.Request) (authn.Secret, error) {
	pw := r.PostForm.Get("password")
	if pw != r.PostForm.Get("again") {
		return authn.Secret{}, &admin.Error{Kind: admin.Invalid, Text: "the two passwords differ", Remedy: "type both again", Field: "password"}
	}
	return authn.NewSecret(pw), nil
}

func (c *console) editUser(r *http.Request) (*answer, error) {
	u, err := c.areas.User(r.Context(), r.URL.Query().Get("name"))
	if err != nil {
		return nil, err
	}
	return c.userForm(r, false, userForm{
		Name: u.Name, Realm: u.Realm, DisplayName: u.DisplayName, Email: u.Email, Phone: u.Phone,
		Roles: u.Roles, LocalAdmin: u.LocalAdmin, Version: u.Version,
	}, nil), nil
}

func (c *console) editUserNow(r *http.Request) (*answer, error) {
	f := typedUser(r)
	if f.Roles == nil {
		f.Roles = []string{}
	}
	f.Name = r.PostForm.Get("name") // as it is, spaces included
	_, err := c.areas.ChangeUser(r.Context(), f.Name, admin.UserChange{
		Version: f.Version, Realm: &f.Realm, DisplayName: &f.DisplayName, Email: &f.Email, Phone: &f.Phone,
		Roles: &f.Roles, LocalAdmin: &f.LocalAdmin,
	})
	if err != nil {
		return c.userForm(r, false, f, err), nil
	}
	return toUser(f.Name, "saved", 0), nil
}

// askData is a question about a user.
type askData struct {
	viewer
	*admin.User
	Bad string
}

func (c *console) ask(r *http.Request, name, page, title string, failed error) (*answer, error) {
	u, err := c.areas.User(r.Context(), name)
	if err != nil {
		return nil, err
	}
	return &answer{page: page, title: title, nav: ui.NavUsers, data: askData{viewerOf(r), u, field(failed)}, failed: failed}, nil
}

func (c *console) password(r *http.Request) (*answer, error) {
	return c.ask(r, r.URL.Query().Get("name"), "password", "Set a password", nil)
}

func (c *console) setPassword(r *http.Request) (*answer, error) {
	name := r.PostForm.Get("name")
	pw, err := typedPassword(r)
	if err == nil && pw.IsEmpty() {
		err = &admin.Error{Kind: admin.Invalid, Text: "the password is empty", Field: "password"}
	}
	ended := 0
	if err == nil {
		ended, err = c.areas.SetPassword(r.Context(), name, admin.NewPassword{Password: pw, KeepSessions: r.PostForm.Get("keep_sessions") != ""})
	}
	if err != nil {
		return c.ask(r, name, "password", "Set a password", err)
	}
	return toUser(name, "password", ended), nil
}

func (c *console) secondFactor(r *http.Request) (*answer, error) {
	return c.ask(r, r.URL.Query().Get("name"), "secondfactor", "Take the second factor away", nil)
}

func (c *console) clearSecondFactor(r *http.Request) (*answer, error) {
	name := r.PostForm.Get("name")
	if err := c.areas.ClearSecondFactor(r.Context(), name); err != nil {
		return c.ask(r, name, "secondfactor", "Take the second factor away", err)
	}
	return toUser(name, "second-factor", 0), nil
}

func (c *console) deleteUser(r *http.Request) (*answer, error) {
	return c.ask(r, r.URL.Query().Get("name"), "deleteuser", "Delete a user", nil)
}

func (c *console) deleteUserNow(r *http.Request) (*answer, error) {
	name := r.PostForm.Get("name")
	if err := c.areas.DeleteUser(r.Context(), name); err != nil {
		return c.ask(r, name, "deleteuser", "Delete a user", err)
	}
	return done("/console/users", nil, "deleted", 0), nil
}
