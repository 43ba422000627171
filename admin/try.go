package admin

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/authn/kerberos"
	"github.com/soapward/soapward/authn/ntlm"
	"github.com/soapward/soapward/authn/ntlm/winbind"
	"github.com/soapward/soapward/authn/password"
	"github.com/soapward/soapward/directory"
	"github.com/soapward/soapward/gateway/config"
	"github.com/soapward/soapward/gateway/realm"
)

// bind tries a password at the directory, with connections of its own.
func (x *try) bind(ctx context.Context) {
	key, servers := "ad", []Detail{}
	urls := config.ServerURLs(nil)
	if x.realm.AD != nil {
		urls = x.realm.AD.URL
	}
	if x.realm.LDAP != nil {
		key, urls = "ldap", x.realm.LDAP.URL
	}
	for _, u := range urls {
		servers = append(servers, Detail{"server", u.Server()})
	}
	remedy := fmt.Sprintf("look at realms.%s.%s: url, base, bind_user, bind_password, ca_file", x.Realm, key)
	x.begin()
	dir, err := realm.Directory(x.realm, x.log)
	if err != nil {
		x.failed("configuration", err, remedy)
		return
	}
	defer func() { _ = dir.Close() }()
	if err := dir.Ping(ctx); err != nil {
		x.failed("servers", err, remedy)
	} else {
		x.passed("servers", "they answer, and take us for whom we are", servers...)
	}
	x.begin()
	id, err := x.prove(ctx, dir.VerifyPassword)
	if err != nil {
		x.failed("password", err, remedy)
	} else {
		x.passed("password", "it is right", who(id)...)
	}
	if errors.Is(err, authn.ErrUnavailable) {
		return
	}
	ref := directory.AccountRef{Name: x.User}
	if id != nil {
		ref = directory.AccountRef{Name: id.String(), SID: id.SID}
	}
	x.begin()
	account, err := dir.Account(ctx, ref)
	switch now := x.now(); {
	case err != nil:
		x.failed("account", err, "the account that reads must see it; "+remedy)
	case account.Disabled:
		x.failed("account", fmt.Errorf("%s is disabled in the directory", account.DN), "enable the account there")
	case !account.Expires.IsZero() && now.After(account.Expires):
		x.failed("account", fmt.Errorf("%s ended at %s", account.DN, account.Expires.Format(time.RFC3339)), "give the account another date at which it ends")
	default:
		details := []Detail{{"DN", account.DN}, {"groups", fmt.Sprint(len(account.Groups))}}
		if account.Email != "" {
			details = append(details, Detail{"e-mail", account.Email})
		}
		x.passed("account", "it is there and may log in", append(details, groupDetails(account.Groups)...)...)
	}
}

// netlogon tries a password by NTLM, as a client and the gateway would.
func (x *try) netlogon(ctx context.Context) {
	x.begin()
	var judge ntlm.Verifier
	var names ntlm.Names
	remedy := "look whether the controller runs, and whether ports 135 and 49152-65535 are open on the way to it; for a refused account soapward join --reset makes a new password"
	switch x.realm.NTLM.Verifier {
	case config.Netlogon:
		v, err := realm.Netlogon(x.realm, x.log)
		if err != nil {
			x.failed("configuration", err, "look at realms."+x.Realm+".ntlm")
			return
		}
		defer func() { _ = v.Close() }()
		if err := v.Check(ctx); err != nil {
			x.failed("channel", err, remedy)
			return
		}
		judge, names = v, v.Names()
	default:
		remedy = "look whether winbindd runs (wbinfo -P), and whether the gateway's user is in the group winbindd_priv"
		v := new(winbind.Verifier)
		defer func() { _ = v.Close() }()
		var err error
		if names, err = v.Names(ctx); err != nil {
			x.failed("channel", err, remedy)
			return
		}
		judge = v
	}
	x.passed("channel", "the controller takes this gateway for whom it is", Detail{"domain", names.Domain}, Detail{"computer", names.Computer})
	x.begin()
	id, err := x.prove(ctx, func(ctx context.Context, user, secret string) (*authn.Identity, error) {
		credential, err := ntlm.NewCredential(user, authn.NewSecret(secret))
		if err != nil {
			return nil, err
		}
		m := &ntlm.Mechanism{Verifier: judge, Names: names, Binding: authn.BindingOff, Logger: x.log}
		return converse(ctx, &ntlm.Initiator{Credential: credential}, m)
	})
	if err != nil {
		x.failed("password", err, remedy)
		return
	}
	x.passed("password", "it is right", who(id)...)
}

// maxLegs bounds an exchange with ourselves.
const maxLegs = 8

// converse has a client log in at a mechanism of ours.
func converse(ctx context.Context, client authn.Initiator, m authn.Mechanism) (*authn.Identity, error) {
	server := m.NewAcceptor(authn.Exchange{Peer: "test"})
	var token []byte
	for range maxLegs {
		next, _, err := client.Step(ctx, token)
		if err != nil {
			return nil, err
		}
		reply, id, err := server.Step(ctx, next)
		if err != nil || id != nil {
			return id, err
		}
		token = reply
	}
	return nil, errors.New("admin: an exchange that does not end")
}

// ticket gets one for a user, as a browser would, and shows it to our keytab.
func (x *try) ticket(ctx context.Context) {
	k := x.realm.Kerberos
	x.begin()
	keytab, err := kerberos.LoadKeytab(string(k.Keytab))
	m := &kerberos.Mechanism{Keytab: keytab, SPNs: k.SPN, Binding: authn.BindingOff, Logger: x.log}
	if err == nil {
		err = m.Check()
	}
	if err != nil {
		x.failed("keytab", err, "soapward doctor --keytab "+string(k.Keytab)+" tells what is wrong with it; soapward join writes a new one")
		return
	}
	spns := serviceNames(k.SPN, keytab.Principals())
	if len(spns) == 0 {
		x.failed("keytab", errors.New("no service name is in it"), "soapward join writes one")
		return
	}
	x.passed("keytab", "its keys can be used", Detail{"service names", strings.Join(spns, ", ")})
	var client *kerberos.Client
	x.begin()
	_, err = x.prove(ctx, func(ctx context.Context, user, secret string) (*authn.Identity, error) {
		if client, err = kerberos.NewPasswordClient(realm.KDCs(k), principalOf(user), authn.NewSecret(secret)); err != nil {
			return nil, err
		}
		if err := client.Login(ctx); err != nil {
			return nil, err
		}
		return &authn.Identity{Account: user}, nil
	})
	if err != nil {
		x.failed("login at the KDC", err, "look whether the KDC runs, and whether port 88 is open on the way to it (UDP and TCP); realms."+x.Realm+".kerberos.kdc names others")
		return
	}
	x.passed("login at the KDC", "the password is right", Detail{"principal", client.Principal()})
	for _, spn := range spns[:min(len(spns), 4)] {
		x.begin()
		id, err := converse(ctx, client.NewInitiator(spn, kerberos.InitiatorConfig{}), m)
		if err != nil {
			x.failed("ticket for "+spn, err, "soapward doctor --keytab "+string(k.Keytab)+" tells more: which account has the name, and whether the file has its keys")
			continue
		}
		x.passed("ticket for "+spn, "the KDC issues it, and our keytab opens it", who(id)...)
	}
}

// principalOf is the name of a user for a KDC. DOMAIN\name is one of its realm.
func principalOf(user string) string {
	if _, name, ok := strings.Cut(user, `\`); ok {
		return name
	}
	return user
}

// serviceNames are those that clients may ask for.
func serviceNames(configured, principals []string) (out []string) {
	if len(configured) > 0 {
		return configured
	}
	for _, p := range principals {
		name, _, _ := strings.Cut(p, "@")
		if strings.Contains(name, "/") && !slices.Contains(out, name) {
			out = append(out, name)
		}
	}
	slices.SortStableFunc(out, func(a, b string) int { // those of HTTP first
		return boolOrder(strings.HasPrefix(b, "HTTP/")) - boolOrder(strings.HasPrefix(a, "HTTP/"))
	})
	return out
}

func boolOrder(b bool) int {
	if b {
		return 1
	}
	return 0
}

// internal tries a password of ours. It is no login: nothing is written but the
// failure.
func (x *try) internal(ctx context.Context) {
	x.begin()
	user, err := x.store.User(ctx, x.User)
	switch {
	case errors.Is(err, directory.ErrNotFound):
		user = nil
	case err != nil:
		x.failed("user", err, "look whether the store runs")
		return
	case user.Realm != "" && user.Realm != x.Realm && !slices.Contains(x.realm.Aliases, user.Realm):
		x.failed("user", fmt.Errorf("the user is of the realm %s", user.Realm), "users of one realm do not log in at another one")
		return
	case user.Password.IsEmpty():
		user = nil
	}
	hasher := &password.Hasher{Params: password.Params{Memory: uint32(x.config.Passwords.MemoryKiB), Time: uint32(x.config.Passwords.Passes)}}
	_, err = x.prove(ctx, func(ctx context.Context, name, secret string) (*authn.Identity, error) {
		if user == nil {
			return nil, &authn.RefusedError{Reason: authn.ReasonUnknownUser, User: name, Err: errors.New("no user of that name has a password of ours")}
		}
		match, _, err := hasher.Verify(ctx, user.Password, secret)
		switch {
		case err != nil:
			return nil, err
		case !match:
			return nil, &authn.RefusedError{Reason: authn.ReasonWrongPassword, User: name}
		}
		return user.Identity(), nil
	})
	if err != nil {
		x.failed("password", err, "set a new one: soapward user passwd")
		return
	}
	x.passed("password", "it is right", who(user.Identity())...)
	x.begin()
	if user.State != directory.Active {
		x.failed("user", errors.New("the user is "+user.State.String()), "enable the user")
		return
	}
	x.passed("user", "may log in")
}

// provider asks for the well-known document and the keys.
func (x *try) provider(ctx context.Context) {
	o := x.realm.OIDC
	remedy := fmt.Sprintf("look at realms.%s.oidc: issuer, ca_file; and whether this machine reaches %s", x.Realm, o.Issuer.Host)
	if u := o.Proxy.URL.URL; u != nil {
		remedy = fmt.Sprintf("look at realms.%s.oidc: issuer, ca_file, proxy; whether this machine reaches %s, and whether that lets it connect to %s", x.Realm, u.Host, o.Issuer.Host)
	}
	x.begin()
	p, err := realm.Provider(x.Realm, x.realm, nil, x.log)
	if err != nil {
		x.failed("configuration", err, remedy)
		return
	}
	m, err := p.Check(ctx)
	if err != nil {
		x.failed("provider", err, remedy)
		return
	}
	yes := map[bool]string{true: "yes", false: "no"}
	x.passed("provider", "its document and its keys can be used",
		Detail{"issuer", m.Issuer}, Detail{"authorization endpoint", m.Authorization}, Detail{"token endpoint", m.Token},
		Detail{"device endpoint", m.Device}, Detail{"ends sessions at", m.EndSession}, Detail{"takes tokens back at", m.Revocation}, Detail{"keys", strings.Join(m.KeyIDs, ", ")},
		Detail{"algorithms", strings.Join(m.Algorithms, ", ")}, Detail{"scopes", strings.Join(m.Scopes, ", ")},
		Detail{"PKCE", yes[m.PKCE]}, Detail{"names itself in answers", yes[m.IssuerInResponse]})
}
