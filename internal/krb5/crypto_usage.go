package krb5

// Usage is a key usage number: it keeps a message made for one purpose from
// being taken for another.
type Usage uint32

// Key usage numbers of RFC 4120 7.5.1, RFC 4121 2 and MS-SFU 2.2.
const (
	UsageASReqTimestamp      Usage = 1  // PA-ENC-TIMESTAMP, client key (RFC 4120 5.2.7.2)
	UsageTicket              Usage = 2  // enc-part of a ticket, service key (RFC 4120 5.3)
	UsageASRepPart           Usage = 3  // AS-REP enc-part, client key (RFC 4120 5.4.2)
	UsageTGSReqAuthDataKey   Usage = 4  // TGS-REQ authorization data, session key (RFC 4120 5.4.1)
	UsageTGSReqAuthDataSub   Usage = 5  // the same, authenticator subkey (RFC 4120 5.4.1)
	UsageTGSReqChecksum      Usage = 6  // checksum in the TGS-REQ authenticator (RFC 4120 5.5.1)
	UsageTGSReqAuthenticator Usage = 7  // authenticator of a TGS-REQ, TGT session key (RFC 4120 5.5.1)
	UsageTGSRepPartKey       Usage = 8  // TGS-REP enc-part, TGT session key (RFC 4120 5.4.2)
	UsageTGSRepPartSub       Usage = 9  // TGS-REP enc-part, authenticator subkey (RFC 4120 5.4.2)
	UsageAPReqChecksum       Usage = 10 // checksum in an AP-REQ authenticator (RFC 4120 5.5.1)
	UsageAPReqAuthenticator  Usage = 11 // authenticator of an AP-REQ, session key (RFC 4120 5.5.1)
	UsageAPRepPart           Usage = 12 // AP-REP enc-part, session key (RFC 4120 5.5.2)
	UsagePrivPart            Usage = 13 // KRB-PRIV (RFC 4120 5.7.1)
	UsageCredPart            Usage = 14 // KRB-CRED enc-part (RFC 4120 5.8.1)
	UsageSafeChecksum        Usage = 15 // KRB-SAFE (RFC 4120 5.6.1)
	UsagePACSignature        Usage = 17 // KERB_NON_KERB_CKSUM_SALT (MS-PAC 2.8)
	UsageForUserChecksum     Usage = 17 // PA-FOR-USER (MS-SFU 2.2.1)
	UsageAcceptorSeal        Usage = 22 // GSS wrap tokens of the acceptor (RFC 4121 2)
	UsageAcceptorSign        Usage = 23 // GSS MIC tokens of the acceptor (RFC 4121 2)
	UsageInitiatorSeal       Usage = 24 // GSS wrap tokens of the initiator (RFC 4121 2)
	UsageInitiatorSign       Usage = 25 // GSS MIC tokens of the initiator (RFC 4121 2)
	UsageS4UX509UserRequest  Usage = 26 // PA-S4U-X509-USER in a request (MS-SFU 2.2.2)
	UsageS4UX509UserReply    Usage = 27 // PA-S4U-X509-USER in a reply (MS-SFU 2.2.2)
	UsageFASTRequestChecksum Usage = 50 // KrbFastArmoredReq (RFC 6113 5.4.2)
	UsageEncASReqPAReqPARep  Usage = 56 // PA-REQ-ENC-PA-REP checksum (RFC 6806 11)
)
