// Package testenv gives tests what lies outside the module: programs that
// others wrote, child processes that never outlive the test, addresses on the
// loopback network.
//
// A test says what it needs with Need, NeedFile, NeedLibrary, NeedPython,
// NeedPHP, NodeModules or NeedRoot, and skips with the reason where it is missing:
//
//	curl := testenv.Need(t, "curl")
//
// With SOAPWARD_TEST_ALL=1 in the environment, as in continuous integration,
// nothing may be skipped: a missing program is then a failure. Every skip for
// lack of something goes through Skip, so that this holds everywhere.
//
// Only tests import this package.
package testenv

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// All reports whether tests must fail for what they lack instead of skipping.
func All() bool { return os.Getenv("SOAPWARD_TEST_ALL") == "1" }

// Skip ends the test because the machine lacks something. The test is skipped,
// or failed when All.
func Skip(tb testing.TB, reason string) {
	tb.Helper()
	if All() {
		tb.Fatalf("%s; SOAPWARD_TEST_ALL=1 makes that a failure", reason)
	}
	tb.Skip(reason)
}

// packages maps the programs, files and Python modules that tests ask for to
// the Debian package that brings them.
var packages = map[string]string{
	"apache2":                              "apache2",
	"cc":                                   "gcc",
	"chromedriver":                         "chromium-driver",
	"chromium":                             "chromium",
	"curl":                                 "curl",
	"initdb":                               "postgresql",
	"kadmin.local":                         "krb5-admin-server",
	"kdb5_util":                            "krb5-kdc",
	"krb5kdc":                              "krb5-kdc",
	"libnss_wrapper.so":                    "libnss-wrapper",
	"ldapadd":                              "ldap-utils",
	"ldapmodify":                           "ldap-utils",
	"ldapsearch":                           "ldap-utils",
	"net":                                  "samba-common-bin",
	"nginx":                                "nginx-light",
	"haproxy":                              "haproxy",
	"ntlm_auth":                            "winbind",
	"kinit":                                "krb5-user",
	"krb5-config":                          "libkrb5-dev",
	"klist":                                "krb5-user",
	"kvno":                                 "krb5-user",
	"buildah":                              "buildah",
	"dpkg":                                 "dpkg",
	"groff":                                "groff-base",
	"lintian":                              "lintian",
	"mandoc":                               "mandoc",
	"systemd-analyze":                      "systemd",
	"mcs":                                  "mono-mcs",
	"mono":                                 "mono-runtime",
	"node":                                 "nodejs",
	"npm":                                  "npm",
	"php":                                  "php-cli",
	"php extension curl":                   "php-curl",
	"samba":                                "samba-ad-dc",
	"samba-tool":                           "samba-ad-dc",
	"slapd":                                "slapd",
	"/usr/lib/ldap/ppolicy.so":             "slapd",
	"smbd":                                 "samba-ad-dc", // which depends on samba
	"wbinfo":                               "winbind",
	"winbindd":                             "winbind",
	"soapcpp2":                             "gsoap",
	"wrk":                                  "wrk",
	"wsdl2h":                               "gsoap",
	"/usr/include/stdsoap2.h":              "libgsoap-dev",
	"squid":                                "squid",
	"systemd-socket-activate":              "systemd",
	"/etc/gss/mech.d/mech.ntlmssp.conf":    "gss-ntlmssp",
	"/usr/include/gssapi/gssapi_krb5.h":    "libkrb5-dev",
	"/usr/include/libxml2/libxml/parser.h": "libxml2-dev",
	"g++":                                  "g++",
	"javac":                                "default-jdk-headless",
	"java":                                 "default-jdk-headless",
	"php extension soap":                   "php-soap",
	"wsdl":                                 "mono-devel",
	"svcutil":                              "mono-devel",
	"wsimport":                             "jaxws",
	"/usr/share/java/jaxws-rt.jar":         "libjaxws-java",
	"xmllint":                              "libxml2-utils",
	"/usr/lib/apache2/modules/mod_auth_gssapi.so": "libapache2-mod-auth-gssapi",
	"/usr/lib/squid/negotiate_kerberos_auth":      "squid",
	"/usr/share/samba/setup/provision.ldif":       "samba-ad-provision",
	Python:                                        "python3",
	"python module cryptography":                  "python3-cryptography",
	"python module jwt":                           "python3-jwt",
	"python module samba":                         "python3-samba",
	"python module gssapi":                        "python3-gssapi",
	"python module zeep":                          "python3-zeep",
	"python module requests":                      "python3-requests",
	"python module requests_kerberos":             "python3-requests-kerberos",
	"python module requests_ntlm":                 "python3-requests-ntlm",
}

// missing is the reason of a skip.
func missing(what string) string {
	pkg, ok := packages[what]
	if !ok {
		return what + " is not on this machine"
	}
	return what + " is not on this machine: apt-get install " + pkg + ", or make setup"
}

// Need returns the path of a program, or skips.
func Need(tb testing.TB, program string) string {
	tb.Helper()
	if p, err := exec.LookPath(program); err == nil {
		return p
	}
	for _, dir := range []string{"/usr/sbin", "/sbin"} { // not in every user's PATH
		if p, err := exec.LookPath(filepath.Join(dir, program)); err == nil {
			return p
		}
	}
	Skip(tb, missing(program))
	return ""
}

// NeedFile skips where a file, such as a module of a server, is missing.
func NeedFile(tb testing.TB, path string) string {
	tb.Helper()
	if _, err := os.Stat(path); err != nil {
		Skip(tb, missing(path))
	}
	return path
}

// NeedLibrary returns the path of a shared library, or skips.
func NeedLibrary(tb testing.TB, name string) string {
	tb.Helper()
	for _, dir := range []string{"/usr/lib/*", "/usr/lib", "/usr/lib64"} { // Debian's are named for the machine
		if found, _ := filepath.Glob(filepath.Join(dir, name)); len(found) > 0 {
			return found[0]
		}
	}
	Skip(tb, missing(name))
	return ""
}

// Python is the interpreter that Debian's Python packages belong to, whatever
// python3 comes first in PATH.
const Python = "/usr/bin/python3"

// NeedPython returns Debian's Python, or skips if it cannot import one of the
// modules.
func NeedPython(tb testing.TB, modules ...string) string {
	tb.Helper()
	NeedFile(tb, Python)
	for _, m := range modules {
		if exec.CommandContext(tb.Context(), Python, "-c", "import "+m).Run() != nil {
			Skip(tb, missing("python module "+m))
		}
	}
	return Python
}

// NeedPHP returns PHP, or skips if it lacks one of the extensions.
func NeedPHP(tb testing.TB, extensions ...string) string {
	tb.Helper()
	php := Need(tb, "php")
	for _, e := range extensions {
		if exec.CommandContext(tb.Context(), php, "-r", "exit(extension_loaded($argv[1]) ? 0 : 1);", e).Run() != nil {
			Skip(tb, missing("php extension "+e))
		}
	}
	return php
}

// NeedRoot skips where the test may not bind ports below 1024.
func NeedRoot(tb testing.TB) {
	tb.Helper()
	if os.Geteuid() != 0 {
		Skip(tb, "needs root for ports below 1024")
	}
}

// Run runs a program to its end with input on standard input and fails the
// test if it fails. It returns what the program wrote to standard output and
// standard error together. Each env entry is added to the test's own
// environment.
func Run(tb testing.TB, env []string, input string, program string, args ...string) string {
	tb.Helper()
	out, err := Try(tb, env, input, program, args...)
	if err != nil {
		tb.Fatalf("%s %s: %v\n%s", filepath.Base(program), strings.Join(args, " "), err, out)
	}
	return out
}

// Try is Run for a program that may fail.
func Try(tb testing.TB, env []string, input string, program string, args ...string) (string, error) {
	tb.Helper()
	cmd := exec.CommandContext(tb.Context(), program, args...)
	cmd.Env = append(os.Environ(), env...)
	cmd.Stdin = strings.NewReader(input)
	out, err := cmd.CombinedOutput()
	return string(out), err
}
