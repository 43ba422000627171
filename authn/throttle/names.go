package throttle

import (
	"crypto/sha256"
	"encoding/hex"
	"net/netip"
	"strconv"
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"

	"github.com/soapward/soapward/authn/ntlm"
)

// Names gives each user of a realm one spelling. Its method Canonical is for
// Limiter.Canonical.
//
// It makes names equal that a directory takes for equal, and a few more:
// Active Directory compares them without regard to case, diacritics, width and
// kind of kana (MS-ADTS 6.5), so that björn, BJØRN and ｂｊｏｒｎ are one. Two
// users whom it makes one share a count at the same address, and that is all.
//
// It does not know that a UPN such as alice.smith@corp.test is CORP\alice. Where
// both are in use a user has two counts, and the rules for addresses bound them
// together; a Canonical that asks the directory has one.
type Names struct {
	// Domains has the spellings of each domain that users may write, such as
	// {"CORP", "corp.test"}. The first one of each is the one in keys. The first
	// domain is that of users who write none. Names of all other domains are one
	// more domain: who makes up domains has one count for all of them.
	Domains [][]string

	// AnyDomain says that whoever checks passwords does not look at a domain that
	// is not in Domains: it is as if none was written.
	AnyDomain bool
}

// anyDomain stands for all domains that are not in Names.
const anyDomain = "*"

// Canonical returns DOMAIN\user in folded form, for CORP\alice, alice@corp.test,
// corp.test\alice, .\alice and alice.
func (n Names) Canonical(user string) string {
	domain, name := splitName(fold(user))
	if i := strings.LastIndexByte(name, '@'); i >= 0 {
		// CORP\alice@corp.test is one more way to write it.
		if suffix := domainName(name[i+1:]); domain == "" || n.find(suffix) != "" {
			name = strings.TrimSpace(name[:i])
			if domain == "" {
				domain = suffix
			}
		}
	}
	switch known := n.find(domain); {
	case known != "":
		return known + `\` + name
	case domain != "" && !n.AnyDomain:
		return anyDomain + `\` + name
	}
	if len(n.Domains) > 0 && len(n.Domains[0]) > 0 {
		return fold(n.Domains[0][0]) + `\` + name
	}
	return name
}

// find returns what stands for a domain in keys, or nothing if it is not known.
func (n Names) find(domain string) string {
	for _, spellings := range n.Domains {
		for _, s := range spellings {
			if domain != "" && fold(s) == domain {
				return fold(spellings[0])
			}
		}
	}
	return ""
}

// domainName is the part of a name that says the domain. A dot is how
// Windows users write that of local accounts, and corp.test. is corp.test.
func domainName(s string) string { return strings.TrimSuffix(strings.TrimSpace(s), ".") }

// stroked are letters that Windows takes for others with a diacritic or for two
// letters, and that Unicode does not decompose (MS-UCODEREF 3.1.5.2.3.1).
var stroked = strings.NewReplacer(
	"ø", "o", "ł", "l", "đ", "d", "ð", "d", "ħ", "h", "ŧ", "t", "ı", "i", "ƀ", "b", "ǥ", "g", "ɨ", "i", "ƶ", "z",
	"æ", "ae", "œ", "oe", "ß", "ss", "þ", "th", "ς", "σ",
)

// fold makes one of the spellings that directories compare as equal.
func fold(s string) string {
	if name, ok := foldASCII(s); ok {
		return name
	}
	// NFKD passes over what stands beside a byte that is not UTF-8.
	s = string([]rune(s))
	s = strings.ToLower(strings.ToUpper(norm.NFKD.String(s)))
	s = strings.Map(func(r rune) rune {
		switch {
		case unicode.Is(unicode.M, r), unicode.Is(unicode.Cf, r), unicode.Is(unicode.Other_Default_Ignorable_Code_Point, r):
			return -1 // diacritics, and what nobody sees
		case unicode.IsSpace(r):
			return ' '
		case 0x3041 <= r && r <= 0x3096: // hiragana
			return r + 0x60
		}
		return r
	}, norm.NFKD.String(s))
	return strings.Join(strings.Fields(stroked.Replace(s)), " ") // RFC 4518 2.6.1
}

// foldASCII is fold for names of ASCII letters without space.
func foldASCII(s string) (string, bool) {
	for i := range len(s) {
		if s[i] <= ' ' || s[i] >= 0x7f {
			return "", false
		}
	}
	return strings.ToLower(s), true
}

// client is whom a failure counts for: an address or, with IPv6, its network of
// 64 bits, of which one host has all addresses. Clients without an address, as
// over a Unix socket, are one.
type client struct {
	addr netip.Addr
}

func clientOf(addr netip.Addr) client {
	addr = addr.Unmap().WithZone("")
	if addr.Is6() {
		addr = netip.PrefixFrom(addr, 64).Masked().Addr()
	}
	return client{addr}
}

func (c client) String() string {
	switch {
	case !c.addr.IsValid():
		return "unknown"
	case c.addr.Is6():
		return netip.PrefixFrom(c.addr, 64).String()
	}
	return c.addr.String()
}

func (c client) key() string { return "address " + c.String() }

// AddressKey returns the key under which an address is counted and blocked.
func AddressKey(addr netip.Addr) string { return clientOf(addr).key() }

// UserKey returns the key under which a user, spelled as Limiter.Canonical does,
// is counted and blocked at an address.
func UserKey(canonical string, addr netip.Addr) string { return userKey(canonical, clientOf(addr)) }

// KeyIsOf reports whether a key is of a user at whatever address, as an operator
// writes the user: CORP\alice, alice@corp.test, or alice, which is meant in each
// domain. The count that users of all domains share which are not known (see
// Names) is meant by any domain. A name in a key that is not as it was written,
// being too long or no text, is of nobody.
func KeyIsOf(key, user string) bool {
	name, ok := strings.CutPrefix(key, "user ")
	i := strings.LastIndex(name, " at ")
	if !ok || i < 0 {
		return false
	}
	domain, account := splitName(name[:i])
	wantDomain, want := splitName(fold(user))
	if at := strings.LastIndexByte(want, '@'); at >= 0 && wantDomain == "" {
		wantDomain, want = domainName(want[at+1:]), strings.TrimSpace(want[:at])
		if short, _, _ := strings.Cut(wantDomain, "."); short == domain {
			wantDomain = domain
		}
	}
	return want != "" && account == want && (wantDomain == "" || domain == wantDomain || domain == anyDomain)
}

func splitName(name string) (domain, account string) {
	if d, u, ok := strings.Cut(name, `\`); ok {
		return domainName(d), strings.TrimSpace(u)
	}
	return "", name
}

// maxName bounds the name in a key, in bytes.
const maxName = 128

// userKey has no character that moves a cursor, and no name too long for a
// column of a table.
func userKey(canonical string, c client) string {
	name := canonical
	if strings.ContainsFunc(name, func(r rune) bool { return !unicode.IsGraphic(r) || r == unicode.ReplacementChar }) {
		name = strconv.QuoteToGraphic(name)
	}
	if len(name) > maxName {
		sum := sha256.Sum256([]byte(canonical))
		name = "sha256:" + hex.EncodeToString(sum[:])
	}
	return "user " + name + " at " + c.String()
}

// ntlmName is the user that a client names in an NTLM message.
func ntlmName(a *ntlm.Attempt) string {
	if a.Domain == "" {
		return a.User
	}
	return a.Domain + `\` + a.User
}
