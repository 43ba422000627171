package main

import (
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"

	"github.com/soapward/soapward/authclient"
	"github.com/soapward/soapward/wsdl"
)

// explain adds what the reader can do about an error of the resolver, or of the
// transport below. command is what was run.
func explain(command, source string, login loginFlags, err error) error {
	var status *wsdl.StatusError
	var refused *authclient.RefusedError
	var mistakes *wsdl.Error
	switch {
	case schemeless(source):
		scheme := "http://"
		if strings.Contains(source, ":443/") {
			scheme = "https://"
		}
		return withRemedy(err, "did you mean "+shellWord(scheme+source)+"?")
	case errors.As(err, &mistakes) && mistakes.Broken:
		return withRemedy(err, "put the document where the WSDL expects it, or go on without: --allow-broken takes any XML in place of what was in it")
	case errors.As(err, &refused) && refused.Proxy && refused.Anonymous:
		return withRemedy(err, "add --proxy-user USER to log in to the proxy")
	case errors.As(err, &refused) && refused.Proxy:
		return withRemedy(err, "check --proxy-user and its password; --proxy-negotiate logs in by Kerberos")
	case errors.As(err, &status) && status.Code == http.StatusProxyAuthRequired:
		return withRemedy(err, "add --proxy-user USER to log in to the proxy")
	case errors.As(err, &refused) && otherLogins(refused.Offered):
		return withRemedy(err, saveFirst(command, source, refused.Offered))
	case errors.As(err, &refused):
		return withRemedy(err, "check user and password; --negotiate logs in by Kerberos")
	case errors.As(err, &status) && status.Code == http.StatusUnauthorized && !sameOrigin(source, status.URI):
		return withRemedy(err, fmt.Sprintf("credentials stay with %s; if you trust the other server: %s ... %s", source, command, shellWord(status.URI)))
	case errors.As(err, &status) && status.Code == http.StatusUnauthorized && otherLogins(status.Challenges):
		return withRemedy(err, saveFirst(command, source, status.Challenges))
	case errors.As(err, &status) && status.Code == http.StatusUnauthorized && !login.wanted():
		return withRemedy(err, `add -u 'DOMAIN\user' to log in`)
	case errors.As(err, &status) && status.Code == http.StatusUnauthorized:
		return withRemedy(err, "check user and password; --negotiate logs in by Kerberos")
	case errors.As(err, &mistakes) && mistakes.LoginForm:
		return withRemedy(err, "log in with a browser, save the WSDL and what it imports, and give the file")
	case errors.As(err, &status) && status.Code == http.StatusNotFound && !strings.Contains(source, "?"):
		return withRemedy(err, addWSDL(source))
	case isRemote(source) && !strings.Contains(source, "?") &&
		(errors.As(err, &status) && status.Code == http.StatusMethodNotAllowed || errors.As(err, &mistakes) && mistakes.NotWSDL):
		return withRemedy(err, addWSDL(source))
	case isRemote(source) && errors.As(err, &mistakes) && mistakes.NotWSDL:
		return withRemedy(err, "open the address in a browser, and look for that of the WSDL")
	case errors.Is(err, wsdl.ErrOrigin):
		return withRemedy(err, "save the documents to files and use those, or add --allow-private-imports if you trust their source")
	case errors.Is(err, fs.ErrNotExist):
		return withRemedy(err, "check the path; relative ones start at the current directory, imports at the importing file")
	}
	return err
}

// otherLogins reports whether a server offers schemes, but none that commands
// log in by.
func otherLogins(offered []string) bool {
	return len(offered) > 0 && !slices.ContainsFunc(offered, func(s string) bool {
		return strings.EqualFold(s, authclient.SchemeNTLM) || strings.EqualFold(s, authclient.SchemeNegotiate)
	})
}

// saveFirst says how to read a WSDL where neither NTLM nor Kerberos is offered.
func saveFirst(command, source string, offered []string) string {
	login := "-H @FILE, with the header Authorization in FILE, and"
	if slices.ContainsFunc(offered, func(s string) bool { return strings.EqualFold(s, authclient.SchemeBasic) }) {
		login = "-u USER"
	}
	return fmt.Sprintf("soapward logs in by NTLM or Kerberos only: save the WSDL and what it imports, such as with curl %s -o service.wsdl %s, and then: %s service.wsdl",
		login, shellWord(source), command)
}

// hostFirst is an address without its scheme: a host with a port, or a host
// that is asked a question.
var hostFirst = regexp.MustCompile(`^(([A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*|\[[0-9A-Fa-f:]+\]):\d{1,5}($|[/?])|[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+/[^?]*\?)`)

// schemeless reports whether a source that cannot be opened looks like a URL
// whose http:// was left away.
func schemeless(source string) bool {
	if !hostFirst.MatchString(source) {
		return false
	}
	_, err := os.Stat(source)
	return err != nil
}

// addWSDL is the remedy for the address of a service in place of that of its
// description.
func addWSDL(source string) string { return "add ?wsdl to the address: " + shellWord(source+"?wsdl") }

// isRemote reports whether a description is fetched over HTTP.
func isRemote(source string) bool {
	u, err := url.Parse(source)
	return err == nil && (strings.EqualFold(u.Scheme, "http") || strings.EqualFold(u.Scheme, "https"))
}

// sameOrigin reports whether two URLs have scheme, host and port in common.
func sameOrigin(a, b string) bool {
	u, errA := url.Parse(a)
	v, errB := url.Parse(b)
	return errA == nil && errB == nil && authclient.TargetOf(u).Origin() == authclient.TargetOf(v).Origin()
}
