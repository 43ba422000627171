package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/soapward/soapward/admin"
	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/authn/password"
	"github.com/soapward/soapward/directory"
	"github.com/soapward/soapward/directory/store"
)

// newPasswordFlags are the flags of commands that set a password.
type newPasswordFlags struct {
	*userFlags
	passwordFile string
}

const newPasswordHelp = `The password is asked for twice on the terminal, or taken from ` + passwordVariable + `
or --password-file. It must have at least 12 characters, or as many as
passwords.min_length says in the configuration, be none of the first that are
guessed, and not be the user's name. Only its hash (argon2id) is kept; where the
configuration lets internal users log in by NTLM, the hash for that as well.`

func (f *newPasswordFlags) register(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.passwordFile, "password-file", "", "read the password from the first line of `FILE`")
}

// ask asks for the new password of a user, and checks it where the rules are
// known.
func (f *newPasswordFlags) ask(cmd *cobra.Command, a areas, u *directory.User) (authn.Secret, error) {
	return readNewPassword(cmd, u.Name, f.passwordFile, func(pw authn.Secret) error {
		if a.passwords == nil {
			return nil
		}
		err := a.passwords.Check(u, pw.Reveal())
		var refused *password.PolicyError
		if errors.As(err, &refused) {
			return errors.New(refused.Text())
		}
		return err
	})
}

// readNewPassword is readPassword with a check, and with a second question on a
// terminal, where nobody sees what he types.
func readNewPassword(cmd *cobra.Command, user, file string, check func(authn.Secret) error) (authn.Secret, error) {
	known := file != "" || passwordInEnvironment()
	who := user
	if !known {
		who += " (new)"
	}
	first, err := readPassword(cmd, who, file, passwordVariable, "--password-file")
	if err != nil {
		return first, err
	}
	if err := check(first); err != nil || known {
		return first, err
	}
	second, err := readPassword(cmd, user+" (again)", file, passwordVariable, "--password-file")
	if err != nil {
		return second, err
	}
	if first.Reveal() != second.Reveal() {
		return authn.Secret{}, errors.New("the two passwords differ; nothing was changed")
	}
	return first, nil
}

type addFlags struct {
	newPasswordFlags
	user       admin.NewUser
	noPassword bool
}

func newUserAddCommand(uf *userFlags) *cobra.Command {
	f := &addFlags{newPasswordFlags: newPasswordFlags{userFlags: uf}}
	cmd := &cobra.Command{
		Use:   "add NAME [flags]",
		Short: "Add a user with a password",
		Long: `Add a user. Users of a directory need not be added: they are at their first login.

` + newPasswordHelp,
		Example: `  soapward user add carol --display 'Carol Clark' --email carol@example.com
  soapward user add admin --local-admin`,
		Args: oneName,
		RunE: func(cmd *cobra.Command, args []string) error { return f.run(cmd, args[0]) },
	}
	f.register(cmd)
	fl := cmd.Flags()
	fl.StringVar(&f.user.Realm, "realm", "", "`REALM` that the user logs in at")
	fl.StringVar(&f.user.DisplayName, "display", "", "`NAME` to people")
	fl.StringVar(&f.user.Email, "email", "", "e-mail `ADDRESS`")
	fl.StringVar(&f.user.Phone, "phone", "", "mobile phone `NUMBER`")
	fl.StringArrayVar(&f.user.Roles, "role", nil, "a `ROLE` of the user; may be repeated")
	fl.BoolVar(&f.user.LocalAdmin, "local-admin", false, "may log in to the console without the external provider")
	fl.BoolVar(&f.noPassword, "no-password", false, "without a password: the user cannot log in with one of ours")
	return cmd
}

// oneName takes the name of a user.
func oneName(cmd *cobra.Command, args []string) error {
	if len(args) != 1 {
		return usagef(cmd, "want one NAME, not %d", len(args))
	}
	return nil
}

func (f *addFlags) run(cmd *cobra.Command, name string) error {
	if f.noPassword && f.passwordFile != "" {
		return usagef(cmd, "--no-password and --password-file exclude each other")
	}
	f.user.Name = strings.TrimSpace(name)
	f.makes, f.realm = true, f.user.Realm
	u := &directory.User{
		Name: f.user.Name, Realm: f.user.Realm, DisplayName: f.user.DisplayName, Email: f.user.Email, Phone: f.user.Phone, Roles: f.user.Roles,
	}
	if err := store.CheckUser(u); err != nil {
		return err
	}
	return f.with(cmd, func(ctx context.Context, a areas) error {
		// Before somebody types a password twice for nothing.
		switch u, err := a.User(ctx, name); {
		case err == nil:
			return existsAlready(u.Name)
		case !isKind(err, admin.NotFound):
			return err
		}
		if !f.noPassword {
			var err error
			if f.user.Password, err = f.ask(cmd, a, u); err != nil {
				return err
			}
		}
		added, err := a.AddUser(ctx, f.user)
		if isKind(err, admin.Exists) {
			return existsAlready(name)
		}
		if err != nil {
			return err
		}
		return printUser(cmd, added, "was added")
	})
}

func existsAlready(name string) error {
	return withRemedy(fmt.Errorf("user %s exists already", name), "soapward user passwd "+shellWord(name)+" sets a new password")
}

func newUserPasswdCommand(uf *userFlags) *cobra.Command {
	f := &newPasswordFlags{userFlags: uf}
	keep := false
	cmd := &cobra.Command{
		Use:   "passwd NAME [flags]",
		Short: "Set a user's password, and end the sessions",
		Long: `Set a user's password. Sessions of the user end, unless --keep-sessions: whoever
knew the old password may have one.

` + newPasswordHelp,
		Example: `  soapward user passwd carol`,
		Args:    oneName,
		RunE: func(cmd *cobra.Command, args []string) error {
			return f.with(cmd, func(ctx context.Context, a areas) error { return f.passwd(ctx, cmd, a, args[0], keep) })
		},
	}
	f.register(cmd)
	cmd.Flags().BoolVar(&keep, "keep-sessions", false, "leave the user's sessions as they are")
	return cmd
}

func (f *newPasswordFlags) passwd(ctx context.Context, cmd *cobra.Command, a areas, name string, keep bool) error {
	u, err := a.userNamed(ctx, name)
	if err != nil {
		return err
	}
	pw, err := f.ask(cmd, a, &directory.User{Name: u.Name, UPN: u.UPN, DisplayName: u.DisplayName, Email: u.Email})
	if err != nil {
		return err
	}
	n, err := a.SetPassword(ctx, name, admin.NewPassword{Password: pw, KeepSessions: keep})
	if err != nil {
		return noUser(name, err)
	}
	if u, err = a.userNamed(ctx, name); err != nil {
		return err
	}
	text := "has a new password"
	if n > 0 {
		text += "; " + count(n, "session was ended", "sessions were ended")
	}
	return printUser(cmd, u, text)
}

// printUser says what became of a user.
func printUser(cmd *cobra.Command, u *admin.User, text string) error {
	if wantJSON(cmd) {
		return printJSON(cmd.OutOrStdout(), asUserJSON(u))
	}
	p := printer(cmd)
	p.Line(oneLine(u.Name + " " + text))
	return p.Err
}
