package site

import (
	"slices"

	"github.com/soapward/soapward/internal/doctor"
)

// An Entry is what a finding is, whatever the case at hand.
type Entry struct {
	ID       string
	Severity doctor.Severity
	What     string
	Remedy   string // empty if there is nothing to do
}

// Catalog returns all findings there are, in the order in which they are looked
// for.
func Catalog() []Entry { return slices.Clone(catalog) }

const (
	broken = doctor.Broken
	risk   = doctor.Risk
	note   = doctor.Note
	good   = doctor.Good
)

// ntp is the remedy for clocks.
const ntp = "set the clock that is wrong, and keep both with NTP; on Linux: timedatectl set-ntp true, on Windows: w32tm /resync"

var catalog = []Entry{
	// The URL and its name.
	{"url.address", risk, "the URL has an address in place of a name", "call the service by the host name that its service name is registered for: there are no Kerberos tickets for addresses"},
	{"url.plain", risk, "the URL is http, without TLS", "serve https: on plain http anybody on the way reads and changes everything after the login, and can pass the login on to another server"},
	{"url.short", note, "the host name has no domain", "use the full name in URLs; tickets for the short name need a service name of their own, HTTP/NAME"},
	{"dns.none", broken, "the host name has no address", "mend the name in the URL, or its A or AAAA record, or have this machine ask the DNS server that knows it"},
	{"dns.found", good, "the host name has addresses", ""},
	{"dns.hosts", note, "the host name is in the hosts file of this machine", "remember that other machines may find another server by that name"},
	{"dns.alias", risk, "the host name is an alias (CNAME)", "give the name an A record of its own, or register the service names of both: browsers and programs with MIT's library ask for a ticket of the name that the alias stands for; soapward, curl on Windows and .NET for the one in the URL"},
	{"dns.reverse", note, "the address leads back to another name", "nothing for soapward, browsers and Windows; programs with MIT's library ask for a ticket of that name unless krb5.conf says rdns = false"},

	// Proxy and connection.
	{"proxy.used", note, "the way to the server leads through an HTTP proxy", "compare with a run that goes past it (NO_PROXY), if that is possible"},
	{"proxy.plain", risk, "a proxy stands on the way to a server without TLS", "use https, or go past the proxy: NTLM logs connections in, and a proxy may give one to several clients. Nothing logs in that way here"},
	{"proxy.unreachable", broken, "the proxy does not answer", "check its name and port, and whether this machine may use it"},
	{"proxy.login", broken, "the proxy wants a login of its own", "clients must log in there first (soapward call --proxy-user); run this again past the proxy to see the server"},
	{"proxy.refused", broken, "the proxy does not open a way to the server", "ask who runs it; its log knows why"},
	{"tcp.unreachable", broken, "no address of the server takes a connection", "is the service up, is the port right, and does no firewall stand in between?"},
	{"tcp.some", risk, "some addresses of the server take no connection", "take them out of DNS, or mend what is behind them: clients that try them first wait, or fail"},
	{"tcp.connected", good, "the server takes connections", ""},

	// TLS.
	{"tls.failed", broken, "there is no TLS with the server", "does the port speak TLS at all, and a version and cipher of today? Compare: openssl s_client -connect HOST:PORT"},
	{"tls.untrusted", broken, "the certificate is signed by nobody whom this machine trusts", "have the server send the whole chain, and trust the authority that signed it: --ca FILE, or the machine's list. No login is sent to this server before"},
	{"tls.name", broken, "the certificate is for other names", "call the server by a name in the certificate, or get one with this name in it. No login is sent to this server before"},
	{"tls.expired", broken, "the certificate is not valid at this time", "renew it, or mend this machine's clock. No login is sent to this server before"},
	{"tls.expires", risk, "the certificate ends soon", "renew it; channel bindings follow by themselves, except where its hash is configured, as behind a load balancer"},
	{"tls.old", broken, "the server speaks TLS 1.1 or older only", "switch TLS 1.2 on: soapward and most clients of today refuse anything older. No login is sent to this server before"},
	{"tls.client-certificate", note, "the server asks for a certificate of the client", "find out whether it insists; one is not sent here"},
	{"tls.good", good, "TLS is in order", ""},
	{"tls.binding", good, "logins can be bound to the certificate", ""},
	{"tls.binding-odd", risk, "clients do not agree on the channel binding for this kind of certificate", "use a certificate signed with RSA or ECDSA and SHA-256, SHA-384 or SHA-512"},

	// HTTP.
	{"http.h2-only", broken, "the server speaks HTTP/2 only", "have it take HTTP/1.1 too: NTLM cannot be used over HTTP/2, and soapward logs in over HTTP/1.1"},
	{"http.h2-offered", risk, "the server offers HTTP/2 and NTLM", "switch HTTP/2 off for this site, unless it is IIS, which turns clients back to HTTP/1.1: NTLM logs connections in, and HTTP/2 shares them"},
	{"http.h2-kerberos", note, "the server offers HTTP/2", "nothing, for Kerberos; were NTLM offered, HTTP/2 would have to be off"},
	{"http.no-answer", broken, "the server gives no answer in HTTP", "does the port speak HTTP, and does what stands in front of the server let the request pass?"},
	{"http.redirect-host", broken, "the server sends clients to another host", "give clients the URL they end up at, and look at that one; soapward's clients send no login to another host than the one they were given"},
	{"http.login-page", broken, "the server shows a login page in place of a challenge", "have the site, or what stands in front of it, ask for integrated authentication at this path: programs cannot fill in forms"},
	{"http.redirect", risk, "the server sends clients to another URL", "give clients that URL, and look at that one"},
	{"http.anonymous", risk, "the server answers without a login", "name a URL that needs one, such as the service's own; or anonymous access is on, and then clients are never asked"},
	{"http.forbidden", broken, "the server refuses without asking for a login (403)", "a rule on addresses, certificates or paths decided before any login: look at the server's log"},
	{"http.not-found", broken, "there is nothing at that URL", "check the path"},
	{"http.error", broken, "the server fails before it asks for a login", "look at the server's log, and at what stands in front of it"},
	{"http.status", broken, "the server answers with a status that is neither success nor a challenge", "check the URL, and the server's log"},
	{"http.no-challenge", broken, "the server answers 401 and offers no way to log in", "switch Windows authentication on at the server; where it is on, something in between removes the WWW-Authenticate header"},
	{"http.other-schemes", broken, "the server offers neither Negotiate nor NTLM", "switch Windows authentication on at the server, or use what it offers"},
	{"http.basic-plain", risk, "the server takes passwords in clear text (Basic without TLS)", "switch Basic off, or http"},
	{"http.order", note, "NTLM is offered before Negotiate", "offer Negotiate first: clients that take the first do without Kerberos"},
	{"http.ntlm-only", risk, "the server offers NTLM and not Negotiate", "offer Negotiate too: with NTLM the server proves nothing, and cannot call on as the caller"},
	{"http.challenge", good, "the server asks for a Windows login", ""},
	{"http.between", risk, "something stands between here and the server", "see to it that it keeps one connection to the server for each of a client's (NTLM), passes on headers of 64 KiB (Kerberos), and if TLS ends there, that the server knows its certificate (channel binding)"},

	// Connections and NTLM's challenge.
	{"conn.closed", broken, "the connection is closed in the middle of an NTLM login", "keep connections open (keep-alive), at the server and at all that stands in front of it: NTLM logs in the connection that it began on"},
	{"conn.balanced", broken, "requests of one connection reach different servers", "have the balancer keep a connection at one server; NTLM cannot work otherwise"},
	{"conn.several", note, "different connections reach different servers", "nothing, as long as the requests of one connection stay together; Kerberos wants the keys of one account at all of them"},
	{"conn.shared", broken, "a connection that nobody logged in on is answered as one that somebody did", "do not use NTLM through this proxy: it gives one person's connection to others. Kerberos is safe, if each request logs in"},
	{"conn.kept", good, "the connection stays open and with the same server during a login", ""},
	{"ntlm.challenge", good, "the server answers NTLM", ""},
	{"ntlm.none", note, "the server does not take NTLM under Negotiate", "nothing, where Kerberos is meant to be the only way in"},
	{"ntlm.broken", broken, "the server offers NTLM and does not answer it", "a proxy in between that drops the header or the connection is the likely cause; else see the server's log"},
	{"ntlm.repeated", broken, "the server's challenge is the same twice", "an answer that somebody recorded works again there: a cache stands in between, or the server is not to be trusted"},
	{"clock.server", broken, "this machine's clock and the server's are too far apart", ntp},
	{"clock.drifts", risk, "this machine's clock and the server's drift apart", ntp},
	{"clock.good", good, "this machine's clock and the server's agree", ""},

	// Kerberos.
	{"krb.not-offered", note, "Kerberos was not looked at, for the server does not offer Negotiate", "offer Negotiate at the server"},
	{"krb.no-config", risk, "there is no configuration of Kerberos on this machine", "name the realm and its KDCs in /etc/krb5.conf, or in the file that KRB5_CONFIG names"},
	{"krb.user-domain", note, "the domain of the user does not say which realm it is", "give the user with the domain's DNS name, such as alice@corp.test"},
	{"krb.realm", good, "krb5.conf knows the realm of the server", ""},
	{"krb.realm-other", note, "krb5.conf has the server in another realm than the user", "nothing, if the realms trust each other; if not, mend [domain_realm]"},
	{"spn.name", good, "clients ask for a ticket of this service name", ""},
	{"kdc.not-found", broken, "no KDC of the realm is known here", "name one in krb5.conf; or have this machine ask the domain's DNS (nslookup -type=SRV _kerberos._tcp.DOMAIN)"},
	{"kdc.unreachable", broken, "no KDC of the realm answers this machine", "is it up, and is port 88 open from here, TCP and UDP?"},
	{"kdc.some", risk, "some KDCs of the realm do not answer", "take them out of krb5.conf or DNS, or open port 88 to them"},
	{"kdc.good", good, "a KDC answers", ""},
	{"clock.skew", broken, "this machine's clock and the KDC's are too far apart", ntp},
	{"clock.drift", risk, "this machine's clock and the KDC's drift apart", ntp},
	{"krb.no-tickets", note, "there is no Kerberos ticket to try with", "name a user, -u alice@corp.test, or log in with kinit before"},
	{"krb.login-failed", broken, "the user gets no Kerberos login", "check name and password; the KDC's log has more"},
	{"spn.unknown", broken, "the realm does not know the service name", "register it for the account that the service runs as"},
	{"ticket.none", broken, "the KDC gives no ticket for the service", "the KDC's log has more"},
	{"ticket.no-aes", broken, "the KDC has no AES key of the service's account", "have the account use AES (msDS-SupportedEncryptionTypes 24), set its password again, which makes the keys, then export the keytab again"},
	{"ticket.rc4", risk, "the ticket is sealed with RC4", "have the service's account use AES (msDS-SupportedEncryptionTypes 24), and set its password again"},
	{"ticket.good", good, "the KDC gives a ticket for the service", ""},
	{"ticket.long", risk, "the Authorization header is longer than many servers take", "raise the limit in front of the service (nginx: large_client_header_buffers, Apache: LimitRequestFieldSize, Tomcat: maxHttpHeaderSize), or put the user into fewer groups"},
	{"ticket.too-long", broken, "the Authorization header is longer than Windows servers take", "raise MaxFieldLength and MaxRequestBytes of http.sys at the server, or put the user into fewer groups"},

	// Logins.
	{"login.not-tried", note, "no login was tried", "see why; or name a user, -u USER"},
	{"login.kerberos", good, "the login by Kerberos works", ""},
	{"login.kerberos-refused", broken, "the server refuses the Kerberos login", "look at the keytab where the service runs: soapward doctor --keytab FILE"},
	{"login.mutual", good, "the server proved that it is the service", ""},
	{"login.no-mutual", risk, "the server did not prove that it is the service", "do not rely on who the server is; soapward's clients refuse such a login. A proxy that drops the header of the last answer does the same"},
	{"login.false-proof", broken, "the server's proof is false", "somebody else answers in the service's place, or something in between changes the answer"},
	{"login.ntlm", good, "the login by NTLM works", ""},
	{"login.ntlm-refused", broken, "the server refuses the NTLM login", "check name, domain and password; where they are right, the server may not reach its domain controller, forbid NTLM, or demand a channel binding that a proxy in between makes wrong"},
	{"login.error", broken, "the login ends in an error", "see why; the server's log has its side"},
	{"login.status", risk, "the login works, and the server then answers with an error", "the user may lack rights there, or the URL is wrong: look at the server's log"},

	// Channel binding.
	{"binding.required", good, "the server demands the channel binding", ""},
	{"binding.checked", note, "the server checks the channel binding of clients that send one, and takes logins without", "demand it once all clients send it (extended protection: required; soapward: channel_binding: required)"},
	{"binding.unchecked", risk, "the server takes a login that is bound to another TLS connection", "switch extended protection on: a login can be passed on to this server by whoever it was meant for"},
	{"binding.not-probed", note, "channel bindings were not tried", "add --probe-binding"},

	// What comes after.
	{"hop.ntlm", note, "after NTLM the server cannot call on as the caller", "use Kerberos for callers whose identity is to be passed on; or the service's account needs protocol transition (S4U2Self)"},
	{"hop.unconstrained", risk, "the service may act as its callers everywhere (ok-as-delegate)", "prefer constrained delegation to the services it calls"},
	{"hop.forwardable", note, "the ticket may be passed on", "whether the service passes it on is up to its account: msDS-AllowedToDelegateTo, or resource-based delegation at the next server"},
	{"hop.not-forwardable", note, "the ticket may not be passed on", "the account is sensitive or in Protected Users, or the ticket-granting ticket was not forwardable (kinit -f): a call to a second server as the caller fails"},
}
