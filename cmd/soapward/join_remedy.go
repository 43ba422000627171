package main

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"regexp"
	"slices"
	"strings"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/directory/computer"
	"github.com/soapward/soapward/directory/ldap"
)

// quotaExceeded is ERROR_DS_MACHINE_ACCOUNT_QUOTA_EXCEEDED (MS-ERREF 2.2).
const quotaExceeded = 0x216D

// remedyAuthority is for a controller whose certificate is not trusted.
const remedyAuthority = "--ca-file FILE with the certificate of the domain's authority (on Windows: certutil -ca.cert FILE, on Samba: private/tls/ca.pem)"

// explain adds to an error of soapward join what the reader can do.
func (j *joining) explain(err error) error {
	var known *remedyError
	if errors.As(err, &known) {
		return err
	}
	return withRemedy(err, j.remedy(err))
}

// remedy is empty where nothing better is known than the error itself.
func (j *joining) remedy(err error) string {
	var cert *tls.CertificateVerificationError
	var refused *authn.RefusedError
	var answer *ldap.Error
	var dns *net.DNSError
	var dial *net.OpError
	var file *fs.PathError
	switch {
	case errors.As(err, &cert):
		return j.certificateRemedy(cert)
	case errors.Is(err, computer.ErrUnsure):
		return "run the same command again"
	case errors.Is(err, computer.ErrFileExists):
		return "--rotate changes the password of that account; for another account name another file: --secret FILE"
	case errors.Is(err, computer.ErrCreator):
		return "find out who that is (ms-DS-CreatorSID); then remove the account, on Samba samba-tool computer delete, and run the command without --reset"
	case errors.Is(err, computer.ErrSPNTaken):
		return "leave the name out, or remove it from that account: setspn -D SERVICE ACCOUNT, on Samba samba-tool spn delete"
	case errors.Is(err, computer.ErrTaken):
		return "choose another --computer; or set a new password for this account with --reset, which locks out whoever uses it; with its password file at hand, --rotate"
	case errors.Is(err, computer.ErrNoContainer):
		return "list the units: dsquery ou, on Samba samba-tool ou list --full-dn"
	case errors.Is(err, computer.ErrNoAccount):
		return "make it: soapward join without --reset and --rotate"
	case errors.Is(err, computer.ErrRefused):
		return "set a new password: soapward join --reset -u USER"
	case errors.Is(err, computer.ErrNoSecret):
		return "name the file with --secret FILE; if it is lost, set a new password: soapward join --reset -u USER"
	case errors.As(err, &answer) && answer.Status() == quotaExceeded:
		return "the user has created as many computers as the domain lets everybody (ms-DS-MachineAccountQuota); " + j.delegation()
	case errors.Is(err, computer.ErrDenied):
		return j.delegation()
	case errors.As(err, &refused):
		return loginRemedy(refused.Reason)
	case errors.Is(err, computer.ErrLocked):
		return "wait until it is done"
	case errors.As(err, &file) && errors.Is(err, fs.ErrPermission):
		return "run it as the user who may write " + file.Path + " and its directory; files that another user made, root for instance, are given with chown"
	case errors.As(err, &dns):
		return "check the name, and whether this machine asks the domain's DNS server"
	case errors.As(err, &dial):
		return "is it a domain controller, and are the ports 636 or 389 open? One of Windows has LDAPS once it has a certificate"
	}
	return ""
}

// hostName is what a shell takes for a word and nothing else.
var hostName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9.-]*$`)

// certificateRemedy says what to do about a certificate, which may be that of
// somebody in between: of the names in it only those in the domain are told.
func (j *joining) certificateRemedy(err *tls.CertificateVerificationError) string {
	var host x509.HostnameError
	var invalid x509.CertificateInvalidError
	switch {
	case errors.As(err, &host):
		in := "." + strings.ToLower(j.flags.account.Domain)
		names := slices.DeleteFunc(slices.Clone(host.Certificate.DNSNames), func(n string) bool {
			return !hostName.MatchString(n) || !strings.HasSuffix(strings.ToLower(n), in)
		})
		if len(names) == 0 {
			return "--controller HOST with the full name of a domain controller; if that is what was dialled, somebody may be in between"
		}
		return "name the controller as its certificate does: --controller " + strings.Join(names, " or ")
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return "renew the controller's certificate, and look at this machine's clock"
	}
	return remedyAuthority
}

func loginRemedy(r authn.Reason) string {
	switch r {
	case authn.ReasonDisabled, authn.ReasonLockedOut, authn.ReasonAccountExpired, authn.ReasonRestricted:
		return "another user, or have an administrator look at the account"
	case authn.ReasonPasswordExpired:
		return "change the password first, at a Windows machine or by kpasswd"
	}
	return `check user, password and --domain; a user of another domain is NAME@DOMAIN or DOMAIN\NAME`
}

// delegation says who can give the right that is missing, and how.
func (j *joining) delegation() string {
	user := j.flags.userName()
	if j.flags.reset {
		return fmt.Sprintf(`an administrator can give the right: dsacls "%s" /G "%s:CA;Reset Password", or in Users and Computers, Delegate Control`, pasteable(j.report.DN), user)
	}
	ou := j.flags.ou
	if ou == "" {
		return "name an organizational unit where the user may create computers: --ou DN"
	}
	return fmt.Sprintf(`an administrator can give the right: dsacls "%s" /G "%s:CC;computer", or in Users and Computers, Delegate Control; `+
		`on Samba: samba-tool dsacl set --objectdn="%s" --sddl="(OA;CI;CC;bf967a86-0de6-11d0-a285-00aa003049e2;;SID-OF-USER)"`, ou, user, ou)
}

// pasteable is a name of the directory in quotes, unless a shell would run
// something of it.
func pasteable(dn string) string {
	if strings.ContainsAny(dn, "\"$`%!") {
		return "DN-OF-THE-ACCOUNT"
	}
	return dn
}
