package tokentext

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/soapward/soapward/authn/kerberos"
	"github.com/soapward/soapward/authn/ntlm"
	"github.com/soapward/soapward/internal/krb5"
	"github.com/soapward/soapward/internal/krb5/pac"
)

// A bitName is the name the specification has for a bit.
type bitName struct {
	bit  uint32
	name string
}

// bits returns the names of the bits that are set, those without one as a
// number, or "none".
func bits(v uint32, names []bitName) string {
	var out []string
	for _, n := range names {
		if v&n.bit != 0 {
			out = append(out, n.name)
			v &^= n.bit
		}
	}
	if v != 0 {
		out = append(out, fmt.Sprintf("%#x", v))
	}
	if len(out) == 0 {
		return "none"
	}
	return strings.Join(out, ", ")
}

// MS-NLMP 2.2.2.5.
var ntlmFlags = []bitName{
	{uint32(ntlm.Flag56), "NTLMSSP_NEGOTIATE_56"},
	{uint32(ntlm.FlagKeyExchange), "NTLMSSP_NEGOTIATE_KEY_EXCH"},
	{uint32(ntlm.Flag128), "NTLMSSP_NEGOTIATE_128"},
	{uint32(ntlm.FlagVersion), "NTLMSSP_NEGOTIATE_VERSION"},
	{uint32(ntlm.FlagTargetInfo), "NTLMSSP_NEGOTIATE_TARGET_INFO"},
	{uint32(ntlm.FlagNonNTSessionKey), "NTLMSSP_REQUEST_NON_NT_SESSION_KEY"},
	{uint32(ntlm.FlagIdentify), "NTLMSSP_NEGOTIATE_IDENTIFY"},
	{uint32(ntlm.FlagExtendedSecurity), "NTLMSSP_NEGOTIATE_EXTENDED_SESSIONSECURITY"},
	{uint32(ntlm.FlagTargetTypeServer), "NTLMSSP_TARGET_TYPE_SERVER"},
	{uint32(ntlm.FlagTargetTypeDomain), "NTLMSSP_TARGET_TYPE_DOMAIN"},
	{uint32(ntlm.FlagAlwaysSign), "NTLMSSP_NEGOTIATE_ALWAYS_SIGN"},
	{uint32(ntlm.FlagWorkstationSupplied), "NTLMSSP_NEGOTIATE_OEM_WORKSTATION_SUPPLIED"},
	{uint32(ntlm.FlagDomainSupplied), "NTLMSSP_NEGOTIATE_OEM_DOMAIN_SUPPLIED"},
	{uint32(ntlm.FlagAnonymous), "anonymous"},
	{uint32(ntlm.FlagNTLM), "NTLMSSP_NEGOTIATE_NTLM"},
	{uint32(ntlm.FlagLMKey), "NTLMSSP_NEGOTIATE_LM_KEY"},
	{uint32(ntlm.FlagDatagram), "NTLMSSP_NEGOTIATE_DATAGRAM"},
	{uint32(ntlm.FlagSeal), "NTLMSSP_NEGOTIATE_SEAL"},
	{uint32(ntlm.FlagSign), "NTLMSSP_NEGOTIATE_SIGN"},
	{uint32(ntlm.FlagRequestTarget), "NTLMSSP_REQUEST_TARGET"},
	{uint32(ntlm.FlagOEM), "NTLM_NEGOTIATE_OEM"},
	{uint32(ntlm.FlagUnicode), "NTLMSSP_NEGOTIATE_UNICODE"},
}

// MS-NLMP 2.2.2.1.
var avNames = map[ntlm.AVID]string{
	ntlm.AVComputer: "MsvAvNbComputerName", ntlm.AVDomain: "MsvAvNbDomainName",
	ntlm.AVDNSComputer: "MsvAvDnsComputerName", ntlm.AVDNSDomain: "MsvAvDnsDomainName",
	ntlm.AVDNSForest: "MsvAvDnsTreeName", ntlm.AVFlags: "MsvAvFlags",
	ntlm.AVTimestamp: "MsvAvTimestamp", ntlm.AVSingleHost: "MsvAvSingleHost",
	ntlm.AVTargetName: "MsvAvTargetName", ntlm.AVChannelBindings: "MsvAvChannelBindings",
}

// MS-NLMP 2.2.2.1, MsvAvFlags.
var avFlags = []bitName{
	{ntlm.AVFlagConstrained, "account authentication is constrained"},
	{ntlm.AVFlagMIC, "MIC present"},
	{ntlm.AVFlagUntrustedName, "target name from an untrusted source"},
}

// RFC 4120 5.5.1.
var apOptions = []bitName{
	{uint32(krb5.APUseSessionKey), "use-session-key"},
	{uint32(krb5.APMutualRequired), "mutual-required"},
}

// RFC 4120 5.3, RFC 6806 11, RFC 8062.
var ticketFlags = []bitName{
	{uint32(krb5.FlagForwardable), "forwardable"}, {uint32(krb5.FlagForwarded), "forwarded"},
	{uint32(krb5.FlagProxiable), "proxiable"}, {uint32(krb5.FlagProxy), "proxy"},
	{uint32(krb5.FlagMayPostdate), "may-postdate"}, {uint32(krb5.FlagPostdated), "postdated"},
	{uint32(krb5.FlagInvalid), "invalid"}, {uint32(krb5.FlagRenewable), "renewable"},
	{uint32(krb5.FlagInitial), "initial"}, {uint32(krb5.FlagPreAuthent), "pre-authent"},
	{uint32(krb5.FlagHWAuthent), "hw-authent"}, {uint32(krb5.FlagTransited), "transited-policy-checked"},
	{uint32(krb5.FlagOKAsDelegate), "ok-as-delegate"}, {uint32(krb5.FlagEncPARep), "enc-pa-rep"},
	{uint32(krb5.FlagAnonymous), "anonymous"},
}

// RFC 4121 4.1.1.1, RFC 4757 7.1.
var gssFlags = []bitName{
	{uint32(kerberos.ContextDelegate), "GSS_C_DELEG_FLAG"}, {uint32(kerberos.ContextMutual), "GSS_C_MUTUAL_FLAG"},
	{uint32(kerberos.ContextReplay), "GSS_C_REPLAY_FLAG"}, {uint32(kerberos.ContextSequence), "GSS_C_SEQUENCE_FLAG"},
	{uint32(kerberos.ContextConfidential), "GSS_C_CONF_FLAG"}, {uint32(kerberos.ContextIntegrity), "GSS_C_INTEG_FLAG"},
	{0x1000, "GSS_C_DCE_STYLE"}, {0x2000, "GSS_C_IDENTIFY_FLAG"},
	{0x4000, "GSS_C_EXTENDED_ERROR_FLAG"},
}

// MS-SAMR 2.2.1.12, which MS-PAC 2.5 refers to.
var accountControl = []bitName{
	{0x1, "USER_ACCOUNT_DISABLED"}, {0x2, "USER_HOME_DIRECTORY_REQUIRED"},
	{0x4, "USER_PASSWORD_NOT_REQUIRED"}, {0x8, "USER_TEMP_DUPLICATE_ACCOUNT"},
	{0x10, "USER_NORMAL_ACCOUNT"}, {0x20, "USER_MNS_LOGON_ACCOUNT"},
	{0x40, "USER_INTERDOMAIN_TRUST_ACCOUNT"}, {0x80, "USER_WORKSTATION_TRUST_ACCOUNT"},
	{0x100, "USER_SERVER_TRUST_ACCOUNT"}, {0x200, "USER_DONT_EXPIRE_PASSWORD"},
	{0x400, "USER_ACCOUNT_AUTO_LOCKED"}, {0x800, "USER_ENCRYPTED_TEXT_PASSWORD_ALLOWED"},
	{0x1000, "USER_SMARTCARD_REQUIRED"}, {0x2000, "USER_TRUSTED_FOR_DELEGATION"},
	{0x4000, "USER_NOT_DELEGATED"}, {0x8000, "USER_USE_DES_KEY_ONLY"},
	{0x10000, "USER_DONT_REQUIRE_PREAUTH"}, {0x20000, "USER_PASSWORD_EXPIRED"},
	{0x40000, "USER_TRUSTED_TO_AUTHENTICATE_FOR_DELEGATION"}, {0x80000, "USER_NO_AUTH_DATA_REQUIRED"},
	{0x100000, "USER_PARTIAL_SECRETS_ACCOUNT"}, {0x200000, "USER_USE_AES_KEYS"},
}

// MS-PAC 2.5.
var userFlags = []bitName{
	{0x1, "LOGON_GUEST"}, {0x2, "LOGON_NOENCRYPTION"}, {0x4, "LOGON_CACHED_ACCOUNT"},
	{0x8, "LOGON_USED_LM_PASSWORD"}, {0x20, "LOGON_EXTRA_SIDS"}, {0x40, "LOGON_SUBAUTH_SESSION_KEY"},
	{0x80, "LOGON_SERVER_TRUST_ACCOUNT"}, {0x100, "LOGON_NTLMV2_ENABLED"},
	{0x200, "LOGON_RESOURCE_GROUPS"}, {0x400, "LOGON_PROFILE_PATH_RETURNED"},
}

// MS-PAC 2.2.1.
var groupAttributes = []bitName{
	{pac.GroupMandatory, "mandatory"}, {pac.GroupEnabledByDefault, "enabled by default"},
	{pac.GroupEnabled, "enabled"}, {0x8, "owner"}, {pac.GroupDenyOnly, "deny only"},
	{pac.GroupResource, "resource"},
}

// MS-PAC 2.14.
var pacAttributes = []bitName{
	{0x1, "PAC_WAS_REQUESTED"}, {0x2, "PAC_WAS_GIVEN_IMPLICITLY"},
}

// RFC 4120 6.2, RFC 6111, RFC 6806 5, MS-KILE 2.2.
var nameTypes = map[krb5.NameType]string{
	krb5.NameUnknown: "NT-UNKNOWN", krb5.NamePrincipal: "NT-PRINCIPAL", krb5.NameService: "NT-SRV-INST",
	krb5.NameHost: "NT-SRV-HST", 4: "NT-SRV-XHST", 5: "NT-UID", 6: "NT-X500-PRINCIPAL", 7: "NT-SMTP-NAME",
	krb5.NameEnterprise: "NT-ENTERPRISE", krb5.NameWellKnown: "NT-WELLKNOWN",
	-128: "NT-MS-PRINCIPAL", -129: "NT-MS-PRINCIPAL-AND-ID", -130: "NT-ENT-PRINCIPAL-AND-ID",
}

// RFC 4120 7.5.4, MS-KILE.
var adNames = map[krb5.ADType]string{
	krb5.ADIfRelevant: "AD-IF-RELEVANT", krb5.ADKDCIssued: "AD-KDCIssued", krb5.ADAndOr: "AD-AND-OR",
	krb5.ADMandatoryForKDC: "AD-MANDATORY-FOR-KDC", krb5.ADPAC: "AD-WIN2K-PAC",
	krb5.ADETypeNegotiation: "AD-ETYPE-NEGOTIATION", krb5.ADTokenRestrictions: "KERB_AUTH_DATA_TOKEN_RESTRICTIONS",
	142: "KERB-LOCAL", krb5.ADAPOptions: "AD-AUTH-DATA-AP-OPTIONS", krb5.ADTargetPrincipal: "AD-TARGET-PRINCIPAL",
}

// RFC 4120 7.5.2 and those who extend it.
var paNames = map[krb5.PAType]string{
	krb5.PATGSReq: "PA-TGS-REQ", krb5.PAEncTimestamp: "PA-ENC-TIMESTAMP", krb5.PAPWSalt: "PA-PW-SALT",
	krb5.PAETypeInfo: "PA-ETYPE-INFO", 14: "PA-PK-AS-REQ_OLD", 15: "PA-PK-AS-REP_OLD", 16: "PA-PK-AS-REQ", 17: "PA-PK-AS-REP",
	krb5.PAETypeInfo2: "PA-ETYPE-INFO2", krb5.PAPACRequest: "PA-PAC-REQUEST", krb5.PAForUser: "PA-FOR-USER",
	krb5.PAS4UX509User: "PA-S4U-X509-USER", krb5.PAFXCookie: "PA-FX-COOKIE", krb5.PAFXFast: "PA-FX-FAST",
	138: "PA-ENCRYPTED-CHALLENGE", 147: "PA-PKINIT-KX", krb5.PAReqEncPARep: "PA-REQ-ENC-PA-REP", 150: "PA-AS-FRESHNESS",
	151: "PA-SPAKE", krb5.PASupportedETys: "PA-SUPPORTED-ENCTYPES", krb5.PAPACOptionsType: "PA-PAC-OPTIONS",
}

// MS-PAC 2.4.
var pacNames = map[pac.Kind]string{
	pac.KindLogonInfo: "logon information", 2: "credentials information", pac.KindServerSum: "server signature",
	pac.KindKDCSum: "KDC signature", pac.KindClientInfo: "client name and ticket information",
	pac.KindDelegationInfo: "constrained delegation information", pac.KindUPNInfo: "UPN and DNS information",
	13: "client claims", 14: "device information", 15: "device claims", pac.KindTicketSum: "ticket signature",
	pac.KindAttributes: "PAC attributes", pac.KindRequestor: "PAC requestor",
	pac.KindFullSum: "extended KDC signature", 20: "PAC requestor GUID",
}

// Checksum types (RFC 3961 8, RFC 8009 8, RFC 4757 4).
var checksumNames = map[krb5.ChecksumType]string{
	krb5.HMACSHA1AES128: "hmac-sha1-96-aes128", krb5.HMACSHA1AES256: "hmac-sha1-96-aes256",
	krb5.HMACSHA256AES128: "hmac-sha256-128-aes128", krb5.HMACSHA384AES256: "hmac-sha384-192-aes256",
	krb5.HMACMD5: "KERB_CHECKSUM_HMAC_MD5", krb5.GSSChecksum: "GSS checksum, RFC 4121 4.1.1",
}

// numbered returns the name of a number in one of the tables, or "type N".
func numbered[K ~int32 | ~uint32](names map[K]string, k K) string {
	if s, ok := names[k]; ok {
		return s
	}
	return "type " + strconv.FormatInt(int64(k), 10)
}

func etype(e krb5.EType) string { return fmt.Sprintf("%v (%d)", e, int32(e)) }
