package doctor

import (
	"slices"
	"time"
)

// Severity says what a finding means for logins.
type Severity string

// Severities.
const (
	Broken Severity = "error"   // logins fail
	Risk   Severity = "warning" // some fail, or will, or the domain is less safe
	Note   Severity = "note"    // good to know; also what could not be looked at
	Good   Severity = "ok"      // looked at and in order; package site says so of each step
)

// maxSubjects bounds how many names one finding lists.
const maxSubjects = 20

// A Finding is something that is not as it should be.
type Finding struct {
	ID       string   `json:"id"` // stable, such as "kvno.old"
	Severity Severity `json:"severity"`
	Subjects []string `json:"subjects,omitempty"` // principals, services or hosts it is about
	More     int      `json:"more,omitempty"`     // subjects that are not listed
	What     string   `json:"what"`
	Why      string   `json:"why"`
	Remedy   string   `json:"remedy"`

	// Commands that do it, in this order, with an Active Directory of Windows,
	// and with one of Samba.
	Windows []string `json:"windows,omitempty"`
	Samba   []string `json:"samba,omitempty"`
}

// Report is what was found out.
type Report struct {
	OK        bool       `json:"ok"` // no finding is Broken
	Offline   bool       `json:"offline"`
	Keytab    Keytab     `json:"keytab"`
	Realm     string     `json:"realm,omitempty"`
	KDCs      []KDC      `json:"kdcs"`
	Accounts  []Account  `json:"accounts"`
	AskedAs   string     `json:"asked_as,omitempty"` // who got the tickets
	Services  []Service  `json:"services"`
	Directory *Directory `json:"directory,omitempty"`
	Findings  []Finding  `json:"findings"`
}

// Keytab is the file.
type Keytab struct {
	File  string `json:"file"`
	Mode  string `json:"mode,omitempty"` // "0600"
	Owner string `json:"owner,omitempty"`
	Keys  []Key  `json:"keys"`
}

// Key is what the file has of one version of one principal.
type Key struct {
	Principal string     `json:"principal"` // with realm
	KVNO      uint32     `json:"kvno"`
	ETypes    []string   `json:"etypes"`
	Written   *time.Time `json:"written,omitempty"`

	name, realm string // of the principal
	account     int
	usable      []string // of ETypes
}

// KDC is one that was asked, over one protocol.
type KDC struct {
	Addr         string   `json:"addr"`
	Network      string   `json:"network"`
	Milliseconds float64  `json:"milliseconds"`
	Error        string   `json:"error,omitempty"` // why there is no answer
	ClockOffset  *float64 `json:"clock_offset_seconds,omitempty"`
}

// Account is one whose own keys are in the file.
type Account struct {
	Principal string   `json:"principal"`
	LoggedIn  bool     `json:"logged_in"`
	Error     string   `json:"error,omitempty"`
	Code      int32    `json:"code,omitempty"`   // of the KDC's refusal (RFC 4120 7.5.9)
	ETypes    []string `json:"etypes,omitempty"` // that the KDC says it has keys of
}

// Service is a service name, in the file or asked for.
type Service struct {
	Name     string   `json:"name"`
	Realm    string   `json:"realm"`
	Versions []uint32 `json:"keytab_versions"` // in the file, newest first
	Wanted   bool     `json:"wanted"`          // clients call it by this name
	Ticket   *Ticket  `json:"ticket,omitempty"`
	Error    string   `json:"error,omitempty"` // why there is no ticket
	Code     int32    `json:"code,omitempty"`  // of the KDC's refusal (RFC 4120 7.5.9)
	Owners   []string `json:"owners,omitempty"`
}

// Ticket is what the KDC issues for a service.
type Ticket struct {
	KVNO         uint32 `json:"kvno"` // of the key it is sealed with; 0 if the KDC does not tell
	EType        string `json:"etype"`
	SessionEType string `json:"session_etype"`
	Opens        bool   `json:"opens"`               // a key in the file opens it
	OpenedBy     uint32 `json:"opened_by,omitempty"` // version of that key in the file
	AskedFor     string `json:"asked_for,omitempty"` // if by another spelling
}

// Directory is what was asked there.
type Directory struct {
	Error    string  `json:"error,omitempty"` // why it was not asked
	Base     string  `json:"base,omitempty"`
	Accounts []Entry `json:"accounts,omitempty"`
}

// Entry is an account as the directory has it.
type Entry struct {
	Name     string   `json:"name"` // sAMAccountName
	DN       string   `json:"dn"`
	SPNs     []string `json:"service_names"`
	KVNO     uint32   `json:"kvno"` // msDS-KeyVersionNumber
	EncTypes uint32   `json:"enc_types"`
	Control  uint32   `json:"user_account_control"`
}

// Count returns how many findings have a severity.
func (r *Report) Count(s Severity) int {
	n := 0
	for _, f := range r.Findings {
		if f.Severity == s {
			n++
		}
	}
	return n
}

// add puts a finding into the report. One that says the same of another subject
// becomes one with both.
func (r *Report) add(f Finding) {
	for i := range r.Findings {
		o := &r.Findings[i]
		if o.ID != f.ID || o.What != f.What || o.Why != f.Why || o.Remedy != f.Remedy {
			continue
		}
		for _, s := range f.Subjects {
			switch {
			case slices.Contains(o.Subjects, s):
			case len(o.Subjects) < maxSubjects:
				o.Subjects = append(o.Subjects, s)
				o.Windows, o.Samba = appendNew(o.Windows, f.Windows), appendNew(o.Samba, f.Samba)
			default:
				o.More++
			}
		}
		return
	}
	if more := len(f.Subjects) - maxSubjects; more > 0 {
		f.Subjects, f.More = f.Subjects[:maxSubjects], f.More+more
	}
	r.Findings = append(r.Findings, f)
}

func appendNew(list, more []string) []string {
	for _, s := range more {
		if !slices.Contains(list, s) {
			list = append(list, s)
		}
	}
	return list
}

// finish orders the findings, the worst first.
func (r *Report) finish() {
	rank := map[Severity]int{Broken: 0, Risk: 1, Note: 2}
	slices.SortStableFunc(r.Findings, func(a, b Finding) int { return rank[a.Severity] - rank[b.Severity] })
	r.OK = r.Count(Broken) == 0
}
