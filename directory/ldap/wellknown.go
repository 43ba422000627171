package ldap

import (
	"strings"

	"github.com/soapward/soapward/authn"
)

// Groups that each account of a domain is in, without the directory saying so
// (MS-DTYP 2.4.2.4).
const (
	sidEveryone      authn.SID = "S-1-1-0"
	sidAuthenticated authn.SID = "S-1-5-11"
)

// wellKnownName returns the name of a SID that is the same in each domain, and
// "" for others (MS-DTYP 2.4.2.4). They are names of Windows in English,
// whatever language a server has.
func wellKnownName(sid authn.SID) string {
	switch sid {
	case "S-1-0-0":
		return "NULL SID"
	case sidEveryone:
		return "Everyone"
	case "S-1-2-0":
		return "LOCAL"
	case "S-1-3-0":
		return "CREATOR OWNER"
	case "S-1-5-1":
		return `NT AUTHORITY\DIALUP`
	case "S-1-5-2":
		return `NT AUTHORITY\NETWORK`
	case "S-1-5-3":
		return `NT AUTHORITY\BATCH`
	case "S-1-5-4":
		return `NT AUTHORITY\INTERACTIVE`
	case "S-1-5-6":
		return `NT AUTHORITY\SERVICE`
	case "S-1-5-7":
		return `NT AUTHORITY\ANONYMOUS LOGON`
	case "S-1-5-9":
		return `NT AUTHORITY\ENTERPRISE DOMAIN CONTROLLERS`
	case "S-1-5-10":
		return `NT AUTHORITY\SELF`
	case sidAuthenticated:
		return `NT AUTHORITY\Authenticated Users`
	case "S-1-5-13":
		return `NT AUTHORITY\TERMINAL SERVER USER`
	case "S-1-5-14":
		return `NT AUTHORITY\REMOTE INTERACTIVE LOGON`
	case "S-1-5-15":
		return `NT AUTHORITY\This Organization`
	case "S-1-5-17":
		return `NT AUTHORITY\IUSR`
	case "S-1-5-18":
		return `NT AUTHORITY\SYSTEM`
	case "S-1-5-19":
		return `NT AUTHORITY\LOCAL SERVICE`
	case "S-1-5-20":
		return `NT AUTHORITY\NETWORK SERVICE`
	}
	if rid, ok := strings.CutPrefix(string(sid), builtinPrefix); ok {
		return builtinName(rid)
	}
	return ""
}

const builtinPrefix = "S-1-5-32-"

func builtinName(rid string) string {
	name := ""
	switch rid {
	case "544":
		name = "Administrators"
	case "545":
		name = "Users"
	case "546":
		name = "Guests"
	case "547":
		name = "Power Users"
	case "548":
		name = "Account Operators"
	case "549":
		name = "Server Operators"
	case "550":
		name = "Print Operators"
	case "551":
		name = "Backup Operators"
	case "552":
		name = "Replicator"
	case "554":
		name = "Pre-Windows 2000 Compatible Access"
	case "555":
		name = "Remote Desktop Users"
	case "556":
		name = "Network Configuration Operators"
	case "557":
		name = "Incoming Forest Trust Builders"
	case "558":
		name = "Performance Monitor Users"
	case "559":
		name = "Performance Log Users"
	case "560":
		name = "Windows Authorization Access Group"
	case "561":
		name = "Terminal Server License Servers"
	case "562":
		name = "Distributed COM Users"
	case "568":
		name = "IIS_IUSRS"
	case "569":
		name = "Cryptographic Operators"
	case "573":
		name = "Event Log Readers"
	case "574":
		name = "Certificate Service DCOM Access"
	case "575":
		name = "RDS Remote Access Servers"
	case "576":
		name = "RDS Endpoint Servers"
	case "577":
		name = "RDS Management Servers"
	case "578":
		name = "Hyper-V Administrators"
	case "579":
		name = "Access Control Assistance Operators"
	case "580":
		name = "Remote Management Users"
	case "582":
		name = "Storage Replica Administrators"
	default:
		return ""
	}
	return `BUILTIN\` + name
}

// wellKnownSID is the other way round, without regard to case.
func wellKnownSID(name string) authn.SID {
	for _, sid := range wellKnownSIDs() {
		known := wellKnownName(sid)
		if known == "" {
			continue
		}
		if strings.EqualFold(known, name) {
			return sid
		}
		if _, bare, ok := strings.Cut(known, `\`); ok && strings.HasPrefix(known, `NT AUTHORITY\`) && strings.EqualFold(bare, name) {
			return sid // "Authenticated Users", as people write it
		}
	}
	return ""
}

func wellKnownSIDs() []authn.SID {
	sids := []authn.SID{"S-1-0-0", sidEveryone, "S-1-2-0", "S-1-3-0"}
	for rid := uint32(1); rid <= 20; rid++ {
		sids = append(sids, relative("S-1-5", rid))
	}
	for rid := uint32(544); rid <= 582; rid++ {
		sids = append(sids, relative("S-1-5-32", rid))
	}
	return sids
}
