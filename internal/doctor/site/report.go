package site

import (
	"strings"
	"time"
	"unicode"

	"github.com/soapward/soapward/internal/doctor"
	"github.com/soapward/soapward/internal/tokentext"
)

// Report is what was found out.
type Report struct {
	OK        bool             `json:"ok"` // no finding breaks logins
	URL       string           `json:"url"`
	Host      string           `json:"host"`
	Alias     string           `json:"alias_of,omitempty"`
	Addresses []Address        `json:"addresses"`
	Proxy     string           `json:"proxy,omitempty"`
	TLS       *TLS             `json:"tls,omitempty"`
	HTTP      *Answer          `json:"http,omitempty"` // to the first request, without a login
	NTLM      *Challenge       `json:"ntlm,omitempty"`
	Kerberos  *Kerberos        `json:"kerberos,omitempty"`
	Logins    []Login          `json:"logins"`
	Tokens    []Token          `json:"server_tokens"` // what the server said in its tokens
	Findings  []doctor.Finding `json:"findings"`      // in the order of looking
}

// Address is one of the server, or of the proxy.
type Address struct {
	Addr         string  `json:"addr"`
	Milliseconds float64 `json:"milliseconds,omitempty"`
	Error        string  `json:"error,omitempty"`
}

// TLS is what the server shows of itself.
type TLS struct {
	Version  string    `json:"version"`
	Subject  string    `json:"subject"`
	Issuer   string    `json:"issuer"`
	Names    []string  `json:"names"`
	NotAfter time.Time `json:"not_after"`
	ALPN     string    `json:"alpn,omitempty"`    // that it chose out of h2 and http/1.1
	Binding  string    `json:"binding,omitempty"` // what logins are bound to, in hexadecimal
}

// Answer is one of the server.
type Answer struct {
	Status   int      `json:"status"`
	Proto    string   `json:"proto"`
	Server   string   `json:"server,omitempty"`
	Location string   `json:"location,omitempty"`
	Schemes  []string `json:"schemes"`           // offered, in their order
	Between  []string `json:"between,omitempty"` // signs of a proxy or balancer
	Closes   bool     `json:"closes"`
}

// Challenge is what an NTLM server says of itself.
type Challenge struct {
	Scheme      string     `json:"scheme"`
	Domain      string     `json:"domain,omitempty"`
	Computer    string     `json:"computer,omitempty"`
	DNSDomain   string     `json:"dns_domain,omitempty"`
	DNSComputer string     `json:"dns_computer,omitempty"`
	Time        *time.Time `json:"time,omitempty"`
}

// Kerberos is what a client of the service needs.
type Kerberos struct {
	SPN     string       `json:"spn"`
	Realm   string       `json:"realm,omitempty"` // that is asked
	Client  string       `json:"client,omitempty"`
	KDCs    []doctor.KDC `json:"kdcs"`
	Service string       `json:"service,omitempty"` // that the ticket is for
	EType   string       `json:"etype,omitempty"`
	Session string       `json:"session_etype,omitempty"`
	KVNO    uint32       `json:"kvno,omitempty"`
	Expires *time.Time   `json:"expires,omitempty"`
	Header  int          `json:"header_bytes,omitempty"` // of the Authorization header

	Forwardable  bool `json:"forwardable"`
	OKAsDelegate bool `json:"ok_as_delegate"`
}

// Login is one that was tried.
type Login struct {
	Mechanism string `json:"mechanism"` // "Kerberos" or "NTLM"
	Scheme    string `json:"scheme"`
	Binding   string `json:"binding"` // "right", "none" or "wrong"
	Status    int    `json:"status,omitempty"`
	OK        bool   `json:"ok"`
	Mutual    bool   `json:"mutual"`
	Error     string `json:"error,omitempty"`
}

// Token is one that the server sent.
type Token struct {
	Step string            `json:"step"`
	Text *tokentext.Report `json:"token"`
}

// maxTokens bounds how many tokens of the server are kept.
const maxTokens = 8

// Count returns how many findings have a severity.
func (r *Report) Count(s doctor.Severity) int {
	n := 0
	for _, f := range r.Findings {
		if f.Severity == s {
			n++
		}
	}
	return n
}

// Has reports whether there is a finding.
func (r *Report) Has(id string) bool {
	for _, f := range r.Findings {
		if f.ID == id {
			return true
		}
	}
	return false
}

// found adds a finding of the catalog. An ID that is not there is a bug that the
// first test to come by finds.
func (r *Report) found(id, why string) *doctor.Finding {
	for _, e := range catalog {
		if e.ID == id {
			r.Findings = append(r.Findings, doctor.Finding{ID: id, Severity: e.Severity, What: e.What, Why: why, Remedy: e.Remedy})
			return &r.Findings[len(r.Findings)-1]
		}
	}
	panic("site: finding " + id + " is not in the catalog")
}

// maxText bounds what is repeated of a text that others chose.
const maxText = 200

// clean is a text that others chose, to be shown.
func clean(s string) string {
	var b strings.Builder
	for i, r := range []rune(s[:min(len(s), 4*maxText)]) {
		switch {
		case i == maxText:
			b.WriteString("...")
			return b.String()
		case unicode.IsPrint(r) && r != unicode.ReplacementChar:
			b.WriteRune(r)
		default:
			b.WriteByte('?')
		}
	}
	return b.String()
}

// cleanError is an error, in which others may have had a hand, without the names
// of our packages.
func cleanError(err error) string {
	s := err.Error()
	for _, p := range []string{"site: ", "spnego: ", "kerberos: ", "ntlm: "} {
		s = strings.TrimPrefix(s, p)
	}
	return clean(s)
}
