package krb5

import "strconv"

// ErrorCode is the number of a Kerberos error (RFC 4120 7.5.9).
type ErrorCode int32

// Error codes.
const (
	CodeNone               ErrorCode = 0
	CodeClientExpired      ErrorCode = 1
	CodeServiceExpired     ErrorCode = 2
	CodeBadPVNO            ErrorCode = 3
	CodeClientUnknown      ErrorCode = 6
	CodeServerUnknown      ErrorCode = 7
	CodePrincipalNotUnique ErrorCode = 8
	CodeNullKey            ErrorCode = 9
	CodeCannotPostdate     ErrorCode = 10
	CodeNeverValid         ErrorCode = 11
	CodePolicy             ErrorCode = 12
	CodeBadOption          ErrorCode = 13
	CodeETypeNoSupport     ErrorCode = 14
	CodeSumTypeNoSupport   ErrorCode = 15
	CodePATypeNoSupport    ErrorCode = 16
	CodeTransitedNoSupport ErrorCode = 17
	CodeClientRevoked      ErrorCode = 18
	CodeServiceRevoked     ErrorCode = 19
	CodeTGTRevoked         ErrorCode = 20
	CodeClientNotYet       ErrorCode = 21
	CodeServiceNotYet      ErrorCode = 22
	CodeKeyExpired         ErrorCode = 23
	CodePreauthFailed      ErrorCode = 24
	CodePreauthRequired    ErrorCode = 25
	CodeServerNoMatch      ErrorCode = 26
	CodeMustUseUser2User   ErrorCode = 27
	CodePathNotAccepted    ErrorCode = 28
	CodeServiceUnavailable ErrorCode = 29
	CodeBadIntegrity       ErrorCode = 31
	CodeTicketExpired      ErrorCode = 32
	CodeTicketNotYet       ErrorCode = 33
	CodeRepeat             ErrorCode = 34
	CodeNotUs              ErrorCode = 35
	CodeBadMatch           ErrorCode = 36
	CodeSkew               ErrorCode = 37
	CodeBadAddress         ErrorCode = 38
	CodeBadVersion         ErrorCode = 39
	CodeMsgType            ErrorCode = 40
	CodeModified           ErrorCode = 41
	CodeBadOrder           ErrorCode = 42
	CodeBadKeyVersion      ErrorCode = 44
	CodeServerNoKey        ErrorCode = 45
	CodeMutualFail         ErrorCode = 46
	CodeBadDirection       ErrorCode = 47
	CodeMethod             ErrorCode = 48
	CodeBadSequence        ErrorCode = 49
	CodeBadChecksum        ErrorCode = 50
	CodeResponseTooBig     ErrorCode = 52
	CodeGeneric            ErrorCode = 60
	CodeFieldTooLong       ErrorCode = 61
	CodeNoTGT              ErrorCode = 67
	CodeWrongRealm         ErrorCode = 68
	CodeUser2UserRequired  ErrorCode = 69
	CodeMorePreauth        ErrorCode = 91 // RFC 6113 5.2
)

// Name returns the name the specification gives the code, and "" for a code it
// does not know.
func (c ErrorCode) Name() string { return errorNames[c].name }

// String returns the code in words, then its name.
func (c ErrorCode) String() string {
	if e, ok := errorNames[c]; ok {
		return e.words + " (" + e.name + ")"
	}
	return "error code " + strconv.Itoa(int(c))
}

// errorNames is read only.
var errorNames = map[ErrorCode]struct{ name, words string }{
	CodeNone:               {"KDC_ERR_NONE", "no error"},
	CodeClientExpired:      {"KDC_ERR_NAME_EXP", "the client's account has expired"},
	CodeServiceExpired:     {"KDC_ERR_SERVICE_EXP", "the service's account has expired"},
	CodeBadPVNO:            {"KDC_ERR_BAD_PVNO", "protocol version not supported"},
	4:                      {"KDC_ERR_C_OLD_MAST_KVNO", "the client's key is sealed with an old master key"},
	5:                      {"KDC_ERR_S_OLD_MAST_KVNO", "the service's key is sealed with an old master key"},
	CodeClientUnknown:      {"KDC_ERR_C_PRINCIPAL_UNKNOWN", "client not found"},
	CodeServerUnknown:      {"KDC_ERR_S_PRINCIPAL_UNKNOWN", "service not found"},
	CodePrincipalNotUnique: {"KDC_ERR_PRINCIPAL_NOT_UNIQUE", "several accounts have this name"},
	CodeNullKey:            {"KDC_ERR_NULL_KEY", "the account has no key"},
	CodeCannotPostdate:     {"KDC_ERR_CANNOT_POSTDATE", "ticket cannot be postdated"},
	CodeNeverValid:         {"KDC_ERR_NEVER_VALID", "the asked time ends before it starts"},
	CodePolicy:             {"KDC_ERR_POLICY", "refused by the KDC's policy"},
	CodeBadOption:          {"KDC_ERR_BADOPTION", "the KDC cannot grant an option that was asked for"},
	CodeETypeNoSupport:     {"KDC_ERR_ETYPE_NOSUPP", "no encryption type in common"},
	CodeSumTypeNoSupport:   {"KDC_ERR_SUMTYPE_NOSUPP", "checksum type not supported"},
	CodePATypeNoSupport:    {"KDC_ERR_PADATA_TYPE_NOSUPP", "kind of pre-authentication not supported"},
	CodeTransitedNoSupport: {"KDC_ERR_TRTYPE_NOSUPP", "transited type not supported"},
	CodeClientRevoked:      {"KDC_ERR_CLIENT_REVOKED", "the client's account is disabled or locked"},
	CodeServiceRevoked:     {"KDC_ERR_SERVICE_REVOKED", "the service's account is disabled or locked"},
	CodeTGTRevoked:         {"KDC_ERR_TGT_REVOKED", "the ticket-granting ticket has been revoked"},
	CodeClientNotYet:       {"KDC_ERR_CLIENT_NOTYET", "the client's account is not valid yet"},
	CodeServiceNotYet:      {"KDC_ERR_SERVICE_NOTYET", "the service's account is not valid yet"},
	CodeKeyExpired:         {"KDC_ERR_KEY_EXPIRED", "the password has expired"},
	CodePreauthFailed:      {"KDC_ERR_PREAUTH_FAILED", "wrong password or key"},
	CodePreauthRequired:    {"KDC_ERR_PREAUTH_REQUIRED", "pre-authentication required"},
	CodeServerNoMatch:      {"KDC_ERR_SERVER_NOMATCH", "ticket and service do not match"},
	CodeMustUseUser2User:   {"KDC_ERR_MUST_USE_USER2USER", "the service takes user-to-user tickets only"},
	CodePathNotAccepted:    {"KDC_ERR_PATH_NOT_ACCEPTED", "the path of trusted realms is not accepted"},
	CodeServiceUnavailable: {"KDC_ERR_SVC_UNAVAILABLE", "a service the KDC needs is not available"},
	CodeBadIntegrity:       {"KRB_AP_ERR_BAD_INTEGRITY", "integrity check failed: another key, or altered"},
	CodeTicketExpired:      {"KRB_AP_ERR_TKT_EXPIRED", "ticket expired"},
	CodeTicketNotYet:       {"KRB_AP_ERR_TKT_NYV", "ticket not valid yet"},
	CodeRepeat:             {"KRB_AP_ERR_REPEAT", "request is a replay"},
	CodeNotUs:              {"KRB_AP_ERR_NOT_US", "ticket is for another service"},
	CodeBadMatch:           {"KRB_AP_ERR_BADMATCH", "ticket and authenticator do not match"},
	CodeSkew:               {"KRB_AP_ERR_SKEW", "clocks differ too much"},
	CodeBadAddress:         {"KRB_AP_ERR_BADADDR", "wrong network address"},
	CodeBadVersion:         {"KRB_AP_ERR_BADVERSION", "protocol version does not match"},
	CodeMsgType:            {"KRB_AP_ERR_MSG_TYPE", "message of the wrong type"},
	CodeModified:           {"KRB_AP_ERR_MODIFIED", "message was altered, or its key does not fit"},
	CodeBadOrder:           {"KRB_AP_ERR_BADORDER", "message out of order"},
	CodeBadKeyVersion:      {"KRB_AP_ERR_BADKEYVER", "key version not available"},
	CodeServerNoKey:        {"KRB_AP_ERR_NOKEY", "the service has no key"},
	CodeMutualFail:         {"KRB_AP_ERR_MUT_FAIL", "mutual authentication failed"},
	CodeBadDirection:       {"KRB_AP_ERR_BADDIRECTION", "message in the wrong direction"},
	CodeMethod:             {"KRB_AP_ERR_METHOD", "another method of authentication is required"},
	CodeBadSequence:        {"KRB_AP_ERR_BADSEQ", "wrong sequence number"},
	CodeBadChecksum:        {"KRB_AP_ERR_INAPP_CKSUM", "checksum missing or of the wrong type"},
	51:                     {"KRB_AP_PATH_NOT_ACCEPTED", "the path of trusted realms is not accepted"},
	CodeResponseTooBig:     {"KRB_ERR_RESPONSE_TOO_BIG", "reply too long for UDP"},
	CodeGeneric:            {"KRB_ERR_GENERIC", "the KDC gives no reason"},
	CodeFieldTooLong:       {"KRB_ERR_FIELD_TOOLONG", "field too long"},
	62:                     {"KDC_ERROR_CLIENT_NOT_TRUSTED", "the client's certificate is not trusted"},
	63:                     {"KDC_ERROR_KDC_NOT_TRUSTED", "the KDC's certificate is not trusted"},
	64:                     {"KDC_ERROR_INVALID_SIG", "signature invalid"},
	65:                     {"KDC_ERR_KEY_TOO_WEAK", "key too weak"},
	66:                     {"KDC_ERR_CERTIFICATE_MISMATCH", "the certificate is another client's"},
	CodeNoTGT:              {"KRB_AP_ERR_NO_TGT", "no ticket-granting ticket for user-to-user"},
	CodeWrongRealm:         {"KDC_ERR_WRONG_REALM", "the client belongs to another realm"},
	CodeUser2UserRequired:  {"KRB_AP_ERR_USER_TO_USER_REQUIRED", "the service takes user-to-user tickets only"},
	70:                     {"KDC_ERR_CANT_VERIFY_CERTIFICATE", "certificate cannot be verified"},
	71:                     {"KDC_ERR_INVALID_CERTIFICATE", "certificate invalid"},
	72:                     {"KDC_ERR_REVOKED_CERTIFICATE", "certificate revoked"},
	73:                     {"KDC_ERR_REVOCATION_STATUS_UNKNOWN", "revocation status unknown"},
	75:                     {"KDC_ERR_CLIENT_NAME_MISMATCH", "the certificate is another client's"},
	90:                     {"KDC_ERR_PREAUTH_EXPIRED", "pre-authentication took too long"},
	CodeMorePreauth:        {"KDC_ERR_MORE_PREAUTH_DATA_REQUIRED", "more pre-authentication required"},
	93:                     {"KDC_ERR_UNKNOWN_CRITICAL_FAST_OPTION", "FAST option not known"},
	100:                    {"KDC_ERR_NO_ACCEPTABLE_KDF", "no key derivation in common"},
}
