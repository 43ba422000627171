package pac

import (
	"strconv"
	"strings"
	"time"
)

// Attributes of a group membership (MS-PAC 2.2.1).
const (
	GroupMandatory        = 0x1
	GroupEnabledByDefault = 0x2
	GroupEnabled          = 0x4
	GroupDenyOnly         = 0x10
	GroupResource         = 0x20000000

	// GroupDefault is what a domain controller sends for ordinary groups.
	GroupDefault = GroupMandatory | GroupEnabledByDefault | GroupEnabled
)

// User flags that say which lists are filled in (MS-PAC 2.5).
const (
	userFlagExtraSIDs      = 0x20
	userFlagResourceGroups = 0x200
)

// GroupMembership is a group named by its RID in a domain the context gives
// (MS-PAC 2.2.2).
type GroupMembership struct {
	RID        uint32
	Attributes uint32
}

// SIDAttributes is a group named by its whole SID (MS-PAC 2.2.1).
type SIDAttributes struct {
	SID        SID
	Attributes uint32
}

// LogonInfo is what a domain says about a user: KERB_VALIDATION_INFO (MS-PAC
// 2.5) without the fields that Kerberos leaves zero. Times that are not set
// are the zero time.
type LogonInfo struct {
	LogonTime          time.Time
	LogoffTime         time.Time
	KickOffTime        time.Time
	PasswordLastSet    time.Time
	PasswordCanChange  time.Time
	PasswordMustChange time.Time

	Account       string // sAMAccountName
	FullName      string
	LogonScript   string
	ProfilePath   string
	HomeDirectory string
	HomeDrive     string
	LogonCount    uint16
	BadPasswords  uint16

	UserID         uint32            // RID of the user
	PrimaryGroupID uint32            // RID of the primary group
	Groups         []GroupMembership // in the user's domain
	UserFlags      uint32            // which of the lists below count; Build sets the bits itself

	LogonServer    string
	Domain         string // NetBIOS name
	DomainSID      SID
	AccountControl uint32

	ExtraSIDs         []SIDAttributes
	ResourceDomainSID SID
	ResourceGroups    []GroupMembership // domain local groups of the service's domain
}

// SID returns the user's SID.
func (l *LogonInfo) SID() SID {
	if l.UserID == 0 && len(l.ExtraSIDs) > 0 {
		return l.ExtraSIDs[0].SID // MS-PAC 2.5, UserId: a user without RID
	}
	return l.DomainSID.RID(l.UserID)
}

// GroupSIDs returns the groups the user is a member of, the primary group
// among them. Groups that are not enabled or count only for denying access are
// left out.
func (l *LogonInfo) GroupSIDs() []SID {
	// All SIDs share one string: a thousand groups cost two allocations.
	n := 1 + len(l.Groups) + len(l.ResourceGroups) + len(l.ExtraSIDs)
	g := sidList{ends: make([]int, 0, n)}
	g.text.Grow(n * 48)
	primary := l.PrimaryGroupID != 0 && l.DomainSID != ""
	for _, m := range l.Groups {
		if m.RID == l.PrimaryGroupID {
			primary = false // listed, with attributes that decide
		}
		g.addRID(l.DomainSID, m)
	}
	if primary {
		g.addRID(l.DomainSID, GroupMembership{RID: l.PrimaryGroupID, Attributes: GroupDefault})
	}
	for _, m := range l.ResourceGroups {
		g.addRID(l.ResourceDomainSID, m)
	}
	for i, e := range l.ExtraSIDs {
		if i == 0 && l.UserID == 0 {
			continue // the user, see SID
		}
		if granted(e.Attributes) {
			g.text.WriteString(string(e.SID))
			g.ends = append(g.ends, g.text.Len())
		}
	}
	return g.sids()
}

func granted(attributes uint32) bool {
	return attributes&GroupEnabled != 0 && attributes&GroupDenyOnly == 0
}

// sidList gathers SIDs in one piece of text.
type sidList struct {
	text strings.Builder
	ends []int
}

func (g *sidList) addRID(domain SID, m GroupMembership) {
	if !granted(m.Attributes) {
		return
	}
	var rid [11]byte
	g.text.WriteString(string(domain))
	g.text.Write(strconv.AppendUint(append(rid[:0], '-'), uint64(m.RID), 10))
	g.ends = append(g.ends, g.text.Len())
}

func (g *sidList) sids() []SID {
	text, start := SID(g.text.String()), 0
	out := make([]SID, len(g.ends))
	for i, end := range g.ends {
		out[i], start = text[start:end], end
	}
	return out
}

// parseLogonInfo reads KERB_VALIDATION_INFO (MS-PAC 2.5).
func parseLogonInfo(b []byte) (*LogonInfo, error) {
	r, err := newNDRReader(b)
	if err != nil {
		return nil, err
	}
	l := &LogonInfo{}
	for _, t := range l.times() {
		*t = r.time()
	}
	names := l.names()
	var nameRefs [6]strRef
	for i := range names {
		nameRefs[i] = r.strRef()
	}
	l.LogonCount, l.BadPasswords = r.u16(), r.u16()
	l.UserID, l.PrimaryGroupID = r.u32(), r.u32()
	groupCount, groupPtr := r.u32(), r.u32()
	l.UserFlags = r.u32()
	r.take(4, 16) // UserSessionKey, zero for Kerberos
	serverRef, domainRef := r.strRef(), r.strRef()
	domainSIDPtr := r.u32()
	r.take(4, 8) // Reserved1
	l.AccountControl = r.u32()
	r.take(4, 4+8+8+4+4) // SubAuthStatus, last logons, FailedILogonCount, Reserved3
	extraCount, extraPtr := r.u32(), r.u32()
	resourceSIDPtr := r.u32()
	resourceCount, resourcePtr := r.u32(), r.u32()

	for i, s := range names {
		*s = r.str(nameRefs[i])
	}
	l.Groups = r.memberships(groupCount, groupPtr)
	l.LogonServer, l.Domain = r.str(serverRef), r.str(domainRef)
	l.DomainSID = r.sidAt(domainSIDPtr)
	l.ExtraSIDs = r.sidAttributes(extraCount, extraPtr)
	l.ResourceDomainSID = r.sidAt(resourceSIDPtr)
	l.ResourceGroups = r.memberships(resourceCount, resourcePtr)

	switch {
	case r.err != nil:
		return nil, r.err
	case l.DomainSID == "" && (l.UserID != 0 || len(l.Groups) != 0):
		return nil, errNDR // RIDs of no domain
	case l.DomainSID == "" && len(l.ExtraSIDs) == 0:
		return nil, errNDR // a user without any SID
	case l.ResourceDomainSID == "" && len(l.ResourceGroups) != 0:
		return nil, errNDR
	}
	return l, nil
}

func (l *LogonInfo) times() [6]*time.Time {
	return [6]*time.Time{&l.LogonTime, &l.LogoffTime, &l.KickOffTime,
		&l.PasswordLastSet, &l.PasswordCanChange, &l.PasswordMustChange}
}

func (l *LogonInfo) names() [6]*string {
	return [6]*string{&l.Account, &l.FullName, &l.LogonScript,
		&l.ProfilePath, &l.HomeDirectory, &l.HomeDrive}
}

func (r *ndrReader) memberships(count, ptr uint32) []GroupMembership {
	n := r.array(count, ptr, 8)
	if n == 0 {
		return nil
	}
	out := make([]GroupMembership, n)
	for i := range out {
		out[i] = GroupMembership{RID: r.u32(), Attributes: r.u32()}
	}
	return out
}

func (r *ndrReader) sidAt(ptr uint32) SID {
	if ptr == 0 {
		return ""
	}
	b := r.sid()
	if b == nil {
		return ""
	}
	s, _, err := decodeSID(b)
	if err != nil {
		r.fail(err)
	}
	return s
}

func (r *ndrReader) sidAttributes(count, ptr uint32) []SIDAttributes {
	n := r.array(count, ptr, 8)
	if n == 0 {
		return nil
	}
	out := make([]SIDAttributes, n)
	for i := range out {
		if r.u32() == 0 {
			r.fail(errNDR)
		}
		out[i].Attributes = r.u32()
	}
	// The SIDs follow the array. They share one string, as in GroupSIDs.
	text, ends := make([]byte, 0, 48*n), make([]int, n)
	for i := range out {
		b := r.sid()
		if b == nil {
			return nil
		}
		text, _, _ = appendSID(text, b) // sid has checked it
		ends[i] = len(text)
	}
	all, start := SID(text), 0
	for i, end := range ends {
		out[i].SID, start = all[start:end], end
	}
	return out
}

// encode writes KERB_VALIDATION_INFO.
func (l *LogonInfo) encode() ([]byte, error) {
	w := newNDRWriter()
	for _, t := range l.times() {
		w.time(*t)
	}
	for _, s := range l.names() {
		w.str(*s)
	}
	w.u16(l.LogonCount)
	w.u16(l.BadPasswords)
	w.u32(l.UserID)
	w.u32(l.PrimaryGroupID)
	w.memberships(l.Groups)
	flags := l.UserFlags &^ (userFlagExtraSIDs | userFlagResourceGroups)
	if len(l.ExtraSIDs) > 0 {
		flags |= userFlagExtraSIDs
	}
	if len(l.ResourceGroups) > 0 {
		flags |= userFlagResourceGroups
	}
	w.u32(flags)
	w.b = append(w.b, make([]byte, 16)...)
	w.str(l.LogonServer)
	w.str(l.Domain)
	w.sidPointer(l.DomainSID)
	w.b = append(w.b, make([]byte, 8)...)
	w.u32(l.AccountControl)
	w.b = append(w.b, make([]byte, 4+8+8+4+4)...)
	w.extraSIDs(l.ExtraSIDs)
	w.sidPointer(l.ResourceDomainSID)
	w.memberships(l.ResourceGroups)
	return w.finish()
}

func (w *ndrWriter) memberships(ms []GroupMembership) {
	w.u32(uint32(len(ms)))
	if len(ms) == 0 {
		w.u32(0)
		return
	}
	w.pointer(func() {
		w.u32(uint32(len(ms)))
		for _, m := range ms {
			w.u32(m.RID)
			w.u32(m.Attributes)
		}
	})
}

func (w *ndrWriter) sidPointer(s SID) {
	if s == "" {
		w.u32(0)
		return
	}
	w.pointer(func() { w.sid(s) })
}

func (w *ndrWriter) extraSIDs(es []SIDAttributes) {
	w.u32(uint32(len(es)))
	if len(es) == 0 {
		w.u32(0)
		return
	}
	w.pointer(func() {
		w.u32(uint32(len(es)))
		for _, e := range es {
			w.pointer(func() { w.sid(e.SID) })
			w.u32(e.Attributes)
		}
	})
}
