package winbind

import (
	"errors"
	"fmt"
	"strings"

	"github.com/soapward/soapward/authn"
)

// What an operator can do.
const (
	hintDaemon = "winbindd must run, and the host be joined to a domain"
	hintPipe   = "winbindd must run, and the program's user be in the group that may use its privileged pipe: usermod -a -G winbindd_priv USER"
	hintTrust  = "look at the host's join (net ads testjoin, wbinfo --ping-dc) and at the trust of the user's domain"
	hintNames  = "the domain takes the answer for one to another computer's challenge: set ntlm.Mechanism.Names to Verifier.Names. Or the user is not in the group of --require-membership-of"
	hintLogOn  = "the account's \"Log On To\" list does not have this host, which winbind names as the workstation"
	hintChange = "the user must change the password, at a Windows machine or by kpasswd"
)

// A status is one of the answers of a domain that ntlm_auth passes on: by its
// text, and where that has none, by its name (MS-ERREF 2.3.1).
type status struct {
	name, text string
	reason     authn.Reason // empty: the login was not judged
	hint       string
}

// statuses are those of a logon (MS-APDS 3.1.5). The texts are those of Samba's
// libsamba-errors.
var statuses = []status{
	{"NT_STATUS_WRONG_PASSWORD", "When trying to update a password, this return status indicates that the value provided as the current password is not correct.", authn.ReasonWrongPassword, ""},
	{"NT_STATUS_NO_SUCH_USER", "The specified account does not exist.", authn.ReasonUnknownUser, ""},
	{"NT_STATUS_ACCOUNT_DISABLED", "The referenced account is currently disabled and cannot be logged on to.", authn.ReasonDisabled, ""},
	{"NT_STATUS_ACCOUNT_LOCKED_OUT", "The user account has been automatically locked because too many invalid logon attempts or password change attempts have been requested.", authn.ReasonLockedOut, "unlock it in the directory, or wait"},
	{"NT_STATUS_ACCOUNT_EXPIRED", "The user account has expired.", authn.ReasonAccountExpired, ""},
	{"NT_STATUS_PASSWORD_EXPIRED", "The user account password has expired.", authn.ReasonPasswordExpired, hintChange},
	{"NT_STATUS_PASSWORD_MUST_CHANGE", "The user password must be changed before logging on the first time.", authn.ReasonPasswordExpired, hintChange},
	{"NT_STATUS_INVALID_LOGON_HOURS", "The user account has time restrictions and cannot be logged onto at this time.", authn.ReasonRestricted, ""},
	{"NT_STATUS_INVALID_WORKSTATION", "The user account is restricted so that it cannot be used to log on from the source workstation.", authn.ReasonRestricted, hintLogOn},
	{"NT_STATUS_ACCOUNT_RESTRICTION", "Indicates a referenced user name and authentication information are valid, but some user account restriction has prevented successful authentication (such as time-of-day restrictions).", authn.ReasonRestricted, ""},
	{"NT_STATUS_LOGON_TYPE_NOT_GRANTED", "A user has requested a type of logon (for example, interactive or network) that has not been granted. An administrator has control over who can logon interactively and through the network.", authn.ReasonRestricted, ""},
	{"NT_STATUS_NOLOGON_INTERDOMAIN_TRUST_ACCOUNT", "The account used is an interdomain trust account. Use your global user account or local user account to access this server.", authn.ReasonRestricted, ""},
	{"NT_STATUS_NOLOGON_WORKSTATION_TRUST_ACCOUNT", "The account used is a computer account. Use your global user account or local user account to access this server.", authn.ReasonRestricted, ""},
	{"NT_STATUS_NOLOGON_SERVER_TRUST_ACCOUNT", "The account used is a server trust account. Use your global user account or local user account to access this server.", authn.ReasonRestricted, ""},
	{"NT_STATUS_AUTHENTICATION_FIREWALL_FAILED", "Logon Failure: The machine you are logging onto is protected by an authentication firewall. The specified account is not allowed to authenticate to the machine.", authn.ReasonRestricted, ""},
	{"NT_STATUS_LOGON_FAILURE", "The attempted logon is invalid. This is either due to a bad username or authentication information.", authn.ReasonWrongTarget, hintNames},
	{"NT_STATUS_NTLM_BLOCKED", "The authentication failed because NTLM was blocked.", authn.ReasonPolicy, "the domain's policy \"Restrict NTLM\" blocks this logon: use Kerberos, or add this host to its exceptions"},

	{"NT_STATUS_ACCESS_DENIED", "{Access Denied} A process has requested access to an object but has not been granted those access rights.", "", hintPipe},
	{"NT_STATUS_NO_LOGON_SERVERS", "No logon servers are currently available to service the logon request.", "", hintTrust},
	{"NT_STATUS_DOMAIN_CONTROLLER_NOT_FOUND", "A domain controller for this domain was not found.", "", hintTrust},
	{"NT_STATUS_CANT_ACCESS_DOMAIN_INFO", "Configuration information could not be read from the domain controller, either because the machine is unavailable or access has been denied.", "", hintTrust},
	{"NT_STATUS_TRUSTED_RELATIONSHIP_FAILURE", "The logon request failed because the trust relationship between this workstation and the primary domain failed.", "", hintTrust},
	{"NT_STATUS_TRUSTED_DOMAIN_FAILURE", "The logon request failed because the trust relationship between the primary domain and the trusted domain failed.", "", hintTrust},
	{"NT_STATUS_NO_TRUST_SAM_ACCOUNT", "The SAM database on the Windows Server does not have a computer account for this workstation trust relationship.", "", hintTrust},
	{"NT_STATUS_NO_TRUST_LSA_SECRET", "The workstation does not have a trust secret for the primary domain in the local LSA database.", "", hintTrust},
	{"NT_STATUS_DOWNGRADE_DETECTED", "The system detected a possible attempt to compromise security. Ensure that you can contact the server that authenticated you.", "", hintTrust},
	{"NT_STATUS_INVALID_SERVER_STATE", "Indicates the Sam Server was in the wrong state to perform the desired operation.", "", hintTrust},
	{"NT_STATUS_IO_TIMEOUT", "{Device Timeout} The specified I/O operation on %hs was not completed before the time-out period expired.", "", hintTrust},
	{"NT_STATUS_UNSUCCESSFUL", "{Operation Failed} The requested operation was unsuccessful.", "", hintTrust},
	{"NT_STATUS_INTERNAL_ERROR", "An internal error occurred.", "", hintTrust},
	{"NT_STATUS_NO_MEMORY", "{Not Enough Quota} Not enough virtual memory or paging file quota is available to complete the specified operation.", "", ""},
	{"NT_STATUS_INSUFFICIENT_RESOURCES", "Insufficient system resources exist to complete the API.", "", ""},
	{"NT_STATUS_INVALID_HANDLE", "An invalid HANDLE was specified.", "", hintTrust},
	{"NT_STATUS_PIPE_BROKEN", "The pipe operation has failed because the other end of the pipe has been closed.", "", hintTrust},
	{"NT_STATUS_PIPE_DISCONNECTED", "The specified named pipe is in the disconnected state.", "", hintTrust},
	{"NT_STATUS_CONNECTION_DISCONNECTED", "The transport connection is now disconnected.", "", hintTrust},
	{"NT_STATUS_CONNECTION_RESET", "The transport connection has been reset.", "", hintTrust},
	{"NT_STATUS_CONNECTION_REFUSED", "The transport-connection attempt was refused by the remote system.", "", hintTrust},
	{"NT_STATUS_HOST_UNREACHABLE", "The remote system is not reachable by the transport.", "", hintTrust},
	{"NT_STATUS_NETWORK_UNREACHABLE", "The remote network is not reachable by the transport.", "", hintTrust},

	// Not statuses, but what ntlm_auth says of winbindd itself.
	{"winbindd does not answer", "Reading winbind reply failed!", "", hintPipe},
	{"winbindd does not let us ask", "Winbind client not authorized to use winbindd_pam_auth_crap.", "", hintPipe},
}

// statusError is what the mechanism is told of a login that ntlm_auth calls
// wrong for the reason in text.
func statusError(text string) error {
	for _, s := range statuses {
		// NT_STATUS_X, or NT_STATUS_X (0xc0000001)
		if name, _, _ := strings.Cut(text, " ("); name != s.name && !strings.HasPrefix(text, s.text) {
			continue
		}
		err := errors.New(s.name)
		switch {
		case s.reason != "":
			return refuse(s.reason, s.hint, err)
		case s.hint != "":
			return unavailable(fmt.Errorf("%w; %s", err, s.hint))
		}
		return unavailable(err)
	}
	// The names and the response are the client's, and so may be the cause.
	return refuse(authn.ReasonPolicy, "", fmt.Errorf("ntlm_auth says %q", clip(text)))
}
