package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/soapward/soapward/authclient"
	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/authn/kerberos"
)

// passwordVariable is the environment variable a password may come from.
const passwordVariable = "SOAPWARD_PASSWORD"

// proxyPasswordVariable is the same for the proxy.
const proxyPasswordVariable = "SOAPWARD_PROXY_PASSWORD"

// maxPasswordFile bounds what is read of a password file.
const maxPasswordFile = 4096

// loginFlags are the flags of commands that log in to a server.
type loginFlags struct {
	user         string
	passwordFile string
	negotiate    bool
	keytab       string

	proxy             string
	proxyUser         string
	proxyPasswordFile string
	proxyNegotiate    bool
}

func (l *loginFlags) register(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVarP(&l.user, "user", "u", "", `log in as `+"`USER`"+`: CORP\alice or alice@corp.test`)
	f.StringVar(&l.passwordFile, "password-file", "", "read the password from the first line of `FILE`")
	f.BoolVar(&l.negotiate, "negotiate", false, "log in by Kerberos: as USER, or with the tickets of kinit")
	f.StringVar(&l.keytab, "keytab", "", "with --negotiate: log in with the keys in `FILE` instead of a password")
	f.StringVar(&l.proxy, "proxy", "", "go through the HTTP proxy at `URL` (default: as HTTP_PROXY, HTTPS_PROXY and NO_PROXY say)")
	f.StringVar(&l.proxyUser, "proxy-user", "", "log in to the proxy as `USER`")
	f.StringVar(&l.proxyPasswordFile, "proxy-password-file", "", "read the password for the proxy from the first line of `FILE` (default: "+proxyPasswordVariable+", or a prompt)")
	f.BoolVar(&l.proxyNegotiate, "proxy-negotiate", false, "log in to the proxy by Kerberos, with what --negotiate logs in with")
}

// wanted reports whether the flags ask for a login to the server.
func (l *loginFlags) wanted() bool { return l.user != "" || l.negotiate }

// transport returns what logs in as the flags say, nil for no login and no
// proxy of their own. It may ask for passwords.
func (l *loginFlags) transport(cmd *cobra.Command) (*authclient.Transport, error) {
	cred, err := l.credential(cmd)
	if err != nil {
		return nil, err
	}
	t := &authclient.Transport{}
	if cred != nil {
		t.Source = authclient.Static(cred)
	}
	at, err := l.proxyCredential(cmd, cred)
	if err != nil {
		return nil, err
	}
	if at != nil {
		t.Proxy = authclient.Static(at)
	}
	if l.proxy != "" {
		u, err := url.Parse(l.proxy)
		if err != nil {
			return nil, err
		}
		base, ok := http.DefaultTransport.(*http.Transport)
		if !ok {
			base = &http.Transport{}
		}
		t.Base = base.Clone()
		t.Base.Proxy = http.ProxyURL(u)
	}
	if cred == nil && at == nil && t.Base == nil {
		return nil, nil
	}
	return t, nil
}

// proxyCredential is the credential for the proxy, nil for none. server is
// that for the server.
func (l *loginFlags) proxyCredential(cmd *cobra.Command, server authclient.Credential) (authclient.Credential, error) {
	switch {
	case l.proxyNegotiate:
		return server, nil // Kerberos, as check has seen to
	case l.proxyUser == "":
		return nil, nil
	}
	pw, err := readPassword(cmd, l.proxyUser, l.proxyPasswordFile, proxyPasswordVariable, "--proxy-password-file")
	if err != nil {
		return nil, err
	}
	return &authclient.NTLM{User: l.proxyUser, Password: pw}, nil
}

// check refuses flags that make no sense together.
func (l *loginFlags) check(cmd *cobra.Command) error {
	switch {
	case l.keytab != "" && !l.negotiate:
		return usagef(cmd, "--keytab needs --negotiate")
	case l.keytab != "" && l.passwordFile != "":
		return usagef(cmd, "--keytab and --password-file exclude each other")
	case l.user == "" && l.passwordFile != "":
		return usagef(cmd, "--password-file needs -u USER")
	case strings.Contains(l.user, ":"):
		return usagef(cmd, "-u takes a user without password; set %s or use --password-file", passwordVariable)
	}
	return l.checkProxy(cmd)
}

func (l *loginFlags) checkProxy(cmd *cobra.Command) error {
	switch {
	case l.proxyNegotiate && !l.negotiate:
		return usagef(cmd, "--proxy-negotiate needs --negotiate")
	case l.proxyNegotiate && l.proxyUser != "":
		return usagef(cmd, "--proxy-negotiate and --proxy-user exclude each other")
	case l.proxyPasswordFile != "" && l.proxyUser == "":
		return usagef(cmd, "--proxy-password-file needs --proxy-user USER")
	case strings.Contains(l.proxyUser, ":"):
		return usagef(cmd, "--proxy-user takes a user without password; set %s or use --proxy-password-file", proxyPasswordVariable)
	case l.proxy == "":
		return nil
	}
	u, err := url.Parse(l.proxy)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return usagef(cmd, "--proxy wants a URL such as http://proxy.corp.test:3128")
	}
	if u.User != nil {
		return usagef(cmd, "--proxy takes a URL without user and password; use --proxy-user")
	}
	return nil
}

func (l *loginFlags) credential(cmd *cobra.Command) (authclient.Credential, error) {
	switch {
	case l.negotiate:
		client, err := l.kerberos(cmd)
		if err != nil {
			return nil, err
		}
		return &authclient.Kerberos{Client: client}, nil
	case l.user == "":
		return nil, nil
	}
	pw, err := l.password(cmd)
	if err != nil {
		return nil, err
	}
	return &authclient.NTLM{User: l.user, Password: pw}, nil
}

func (l *loginFlags) kerberos(cmd *cobra.Command) (*kerberos.Client, error) {
	cfg, err := kerberos.LoadConfig(krb5Config())
	if err != nil {
		return nil, withRemedy(err, "set KRB5_CONFIG to a krb5.conf that names the realm")
	}
	switch {
	case l.keytab != "":
		kt, err := kerberos.LoadKeytab(l.keytab)
		if err != nil {
			return nil, err
		}
		return kerberos.NewKeytabClient(*cfg, l.user, kt)
	case l.user == "":
		c, err := kerberos.NewCacheClient(*cfg, "")
		return c, withRemedy(err, "kinit USER, or add -u USER")
	}
	pw, err := l.password(cmd)
	if err != nil {
		return nil, err
	}
	return kerberos.NewPasswordClient(*cfg, l.user, pw)
}

// password is that of the user for the server.
func (l *loginFlags) password(cmd *cobra.Command) (authn.Secret, error) {
	return readPassword(cmd, l.user, l.passwordFile, passwordVariable, "--password-file")
}

// passwordInEnvironment reports whether readPassword finds one there.
func passwordInEnvironment() bool {
	_, ok := os.LookupEnv(passwordVariable)
	return ok
}

// readPassword takes a password from the file that a flag names, the
// environment, or the terminal, in this order. It is never an argument: those
// are shown by ps.
func readPassword(cmd *cobra.Command, user, file, variable, flag string) (authn.Secret, error) {
	var s string
	switch env, ok := os.LookupEnv(variable); {
	case file != "":
		var err error
		if s, err = firstLine(file); err != nil {
			return authn.Secret{}, err
		}
	case ok:
		s = env
	default:
		var err error
		if s, err = ask(cmd, user, variable, flag); err != nil {
			return authn.Secret{}, err
		}
	}
	if s == "" {
		return authn.Secret{}, withRemedy(errors.New("the password is empty"),
			"type it at the prompt, set "+variable+", or add "+flag+" FILE")
	}
	return authn.NewSecret(s), nil
}

// hasTerminal reports whether standard input is one.
func hasTerminal(cmd *cobra.Command) bool {
	in, isFile := cmd.InOrStdin().(*os.File)
	return isFile && term.IsTerminal(int(in.Fd()))
}

// ask reads a password from the terminal, until the command is interrupted.
func ask(cmd *cobra.Command, user, variable, flag string) (string, error) {
	return askFor(cmd, "Password of "+user+": ", variable, flag)
}

// askFor reads what nobody is to see from the terminal.
func askFor(cmd *cobra.Command, prompt, variable, flag string) (string, error) {
	in, isFile := cmd.InOrStdin().(*os.File)
	if !isFile || !term.IsTerminal(int(in.Fd())) {
		return "", withRemedy(errors.New("no password: standard input is not a terminal"),
			"set "+variable+" or add "+flag+" FILE")
	}
	fd := int(in.Fd())
	echoing, err := term.GetState(fd)
	if err != nil {
		return "", fmt.Errorf("read password: %w", err)
	}
	fmt.Fprint(cmd.ErrOrStderr(), oneLine(prompt))
	defer fmt.Fprintln(cmd.ErrOrStderr())
	type answer struct {
		password []byte
		err      error
	}
	answered := make(chan answer, 1)
	go func() { // a read of a terminal cannot be cancelled; it ends with the process
		b, err := term.ReadPassword(fd)
		answered <- answer{b, err}
	}()
	select {
	case a := <-answered:
		if a.err != nil {
			return "", fmt.Errorf("read password: %w", a.err)
		}
		return string(a.password), nil
	case <-cmd.Context().Done():
		return "", errors.Join(cmd.Context().Err(), term.Restore(fd, echoing))
	}
}

// firstLine reads the first line of a file that others cannot read.
func firstLine(name string) (string, error) {
	f, err := os.Open(name)
	if err != nil {
		return "", fmt.Errorf("read password: %w", err)
	}
	defer func() { _ = f.Close() }()
	fi, err := f.Stat()
	if err != nil {
		return "", fmt.Errorf("read password: %w", err)
	}
	if fi.Mode().IsRegular() && fi.Mode().Perm()&0o077 != 0 {
		return "", withRemedy(fmt.Errorf("%s can be read by others (mode %04o)", name, fi.Mode().Perm()), "chmod 600 "+name)
	}
	sc := bufio.NewScanner(io.LimitReader(f, maxPasswordFile))
	sc.Scan()
	if err := sc.Err(); err != nil {
		return "", fmt.Errorf("read password: %w", err)
	}
	return strings.TrimSuffix(sc.Text(), "\r"), nil
}

// krb5Config is where the configuration of Kerberos is.
func krb5Config() string {
	if name := os.Getenv("KRB5_CONFIG"); name != "" {
		return name
	}
	return "/etc/krb5.conf"
}
