package winbind

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/soapward/soapward/authn"
)

const (
	maxOutput = 256 << 10 // of wbinfo; some thousand groups
	maxName   = 200       // Samba cuts names off at 255 bytes, and then means another
	maxSIDs   = 500       // in one command line
)

// Output of wbinfo.
var (
	// S-1-5-21-1-2-3-1103 SID_USER (1)
	nameToSID = regexp.MustCompile(`^(S-1-[0-9-]+) SID_(\w+) \(\d+\)$`)
	// S-1-5-21-1-2-3-513 -> <none>\Domain Users 2
	sidToName = regexp.MustCompile(`^(S-1-[0-9-]+) -> (.+) (\d+)$`)
	// The SID of an account or group of a domain, or of a host (MS-DTYP 2.4.2.4).
	accountSID = regexp.MustCompile(`^S-1-5-21-\d+-\d+-\d+-\d+$`)
)

const (
	hintUPN  = "winbind cannot tell whose name that is: log on as DOMAIN\\user, or as user@domain alone"
	hintName = "the name has characters that no account's has, or blanks around it"
	hintLost = "the domain accepted the password but does not know the name; log on as DOMAIN\\user"
)

// errNotFound is wbinfo's word on names that winbindd does not know, whatever
// is wrong with them.
var errNotFound = errors.New("no such domain or name")

// lookupName is the name by which wbinfo is asked who a user is. It refuses
// names that wbinfo or winbindd would take for another than the domain did.
func lookupName(domain, user, separator string) (string, error) {
	for _, s := range []string{domain, user} {
		if !utf8.ValidString(s) || strings.TrimSpace(s) != s || len(s) > maxName ||
			strings.ContainsFunc(s, func(r rune) bool {
				return unicode.IsControl(r) || r == utf8.RuneError || r == '\\' || r == '/'
			}) || strings.Contains(s, separator) {
			return "", refuse(authn.ReasonUnknownUser, hintName, errors.New("no name of an account"))
		}
	}
	switch {
	case user == "":
		return "", refuse(authn.ReasonAnonymous, "", errors.New("no user"))
	case domain == "":
		return user, nil // of the host's own domain, or a UPN
	case strings.EqualFold(domain, "BUILTIN"):
		// Winbindd takes it for a domain, and its silence for an outage.
		return "", refuse(authn.ReasonUnknownUser, "", errors.New("nobody logs in to BUILTIN"))
	case strings.Contains(domain+user, "@"):
		return "", refuse(authn.ReasonUnknownUser, hintUPN, errors.New("both a domain and a UPN"))
	}
	return domain + separator + user, nil
}

// identity is the account that a name means which the domain has just accepted.
func (v *Verifier) identity(ctx context.Context, name, separator string) (*authn.Identity, error) {
	if id := v.known.get(name, v.now()); id != nil {
		return id, nil
	}
	select {
	case v.lookups <- struct{}{}:
		defer func() { <-v.lookups }()
	case <-ctx.Done():
		return nil, unavailable(ctx.Err())
	}
	if id := v.known.get(name, v.now()); id != nil { // somebody else asked meanwhile
		return id, nil
	}
	id, err := v.lookup(ctx, name, separator)
	if err != nil {
		return nil, err
	}
	keep := v.CacheFor
	if keep == 0 {
		keep = defaultCacheFor
	}
	if now := v.now(); keep > 0 {
		v.known.put(name, id, now, now.Add(keep))
	}
	return id, nil
}

func (v *Verifier) lookup(ctx context.Context, name, separator string) (*authn.Identity, error) {
	out, err := v.wbinfo(ctx, "--name-to-sid="+name)
	if err != nil {
		if errors.Is(err, errNotFound) {
			return nil, refuse(authn.ReasonUnknownUser, hintLost, errors.New("name not found after the login"))
		}
		return nil, err
	}
	m := nameToSID.FindStringSubmatch(out)
	// Winbindd knows names that are nobody's in a domain, such as "Unix User\root".
	if m == nil || m[2] != "USER" || !accountSID.MatchString(m[1]) {
		return nil, refuse(authn.ReasonRestricted, "", fmt.Errorf("not a user of a domain: %q", clip(out)))
	}
	sid := m[1]
	if out, err = v.wbinfo(ctx, "--sid-to-name="+sid); err != nil {
		return nil, err
	}
	// CORP\alice 1
	full, ok := strings.CutSuffix(out, " 1")
	domain, account, both := strings.Cut(full, separator)
	switch {
	case !ok || !both || domain == "" || account == "" || !utf8.ValidString(out) || strings.ContainsFunc(out, unicode.IsControl):
		return nil, unavailable(fmt.Errorf("wbinfo names %s %q", sid, clip(out)))
	case strings.HasSuffix(account, "$"):
		return nil, refuse(authn.ReasonRestricted, "", errors.New("computer account"))
	}
	if out, err = v.wbinfo(ctx, "--user-sids="+sid); err != nil {
		return nil, err
	}
	var groups []string
	for line := range strings.Lines(out) {
		// Not what only this host says of the user, such as BUILTIN\Users.
		if g := strings.TrimSpace(line); g != sid && accountSID.MatchString(g) && !slices.Contains(groups, g) {
			groups = append(groups, g)
		}
	}
	id := &authn.Identity{Account: account, Domain: domain, SID: authn.SID(sid)}
	if id.Groups, err = v.named(ctx, groups, id, separator); err != nil {
		return nil, err
	}
	return id, nil
}

// named gives groups their names. Those that winbindd does not know stay
// without.
func (v *Verifier) named(ctx context.Context, sids []string, id *authn.Identity, separator string) ([]authn.Group, error) {
	names := make(map[string]string, len(sids))
	for some := range slices.Chunk(sids, maxSIDs) {
		out, err := v.wbinfo(ctx, "--lookup-sids="+strings.Join(some, ","))
		if err != nil {
			return nil, err
		}
		for line := range strings.Lines(out) {
			m := sidToName.FindStringSubmatch(strings.TrimRight(line, "\n"))
			if m == nil || m[3] != "2" && m[3] != "4" { // global or universal, domain local
				continue
			}
			domain, name, ok := strings.Cut(m[2], separator)
			if domain == "<none>" { // Samba 4.17 forgets it
				domain = ""
				if domainOf(m[1]) == domainOf(string(id.SID)) {
					domain = id.Domain
				}
			}
			if ok && domain != "" && name != "" && utf8.ValidString(name) {
				names[m[1]] = domain + `\` + name
			}
		}
	}
	groups := make([]authn.Group, len(sids))
	for i, sid := range sids {
		groups[i] = authn.Group{SID: authn.SID(sid), Name: names[sid]}
	}
	return groups, nil
}

// domainOf is the SID of the domain of an account's.
func domainOf(sid string) string { return sid[:max(strings.LastIndexByte(sid, '-'), 0)] }

// separator is what stands between domain and name in winbindd's names
// ("winbind separator"). It does not change while winbindd runs.
func (v *Verifier) separator(ctx context.Context) (string, error) {
	v.init()
	v.known.mu.Lock()
	s := v.known.separator
	v.known.mu.Unlock()
	if s != "" {
		return s, nil
	}
	s, err := v.wbinfo(ctx, "--separator")
	if err != nil {
		return "", err
	}
	if len(s) != 1 {
		return "", unavailable(fmt.Errorf("wbinfo says that %q separates domain and name", clip(s)))
	}
	v.known.mu.Lock()
	defer v.known.mu.Unlock()
	v.known.separator = s
	return s, nil
}

// wbinfo runs wbinfo with one more argument and returns its output without the
// last line end.
func (v *Verifier) wbinfo(ctx context.Context, arg string) (string, error) {
	c := command(v.Lookup, "wbinfo")
	cmd := exec.CommandContext(ctx, c[0], append(c[1:len(c):len(c)], arg)...)
	cmd.Env = v.Env
	cmd.WaitDelay = waitDelay
	out, notes := &bounded{limit: maxOutput, strict: true}, &bounded{limit: maxNotes}
	cmd.Stdout, cmd.Stderr = out, notes
	option, _, _ := strings.Cut(arg, "=")
	switch err := cmd.Run(); {
	case err == nil:
		return strings.TrimRight(string(out.b), "\n"), nil
	case ctx.Err() != nil:
		return "", unavailable(fmt.Errorf("wbinfo %s: %w", option, ctx.Err()))
	case cmd.ProcessState == nil:
		return "", unavailable(startError(err))
	case strings.Contains(notes.String(), "WBC_ERR_DOMAIN_NOT_FOUND"):
		return "", unavailable(fmt.Errorf("wbinfo %s: %w", option, errNotFound))
	default:
		return "", unavailable(fmt.Errorf("wbinfo %s: %w: %q; %s", option, err, notes.String(), hintDaemon))
	}
}
