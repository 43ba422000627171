package archtest

// rules say which package may import what.
type rules struct {
	packages map[string]packageRule // by path; "./x/..." is for all below x that have none of their own
	owners   []ownerRule
	tests    []string // packages that only tests import, and that may be tests themselves
}

// packageRule is for what a package itself imports. Its tests may import any
// package of the module.
type packageRule struct {
	standardOnly bool     // no module but this one
	imports      []string // packages of this module
}

// ownerRule gives a foreign module, or a package of one, to those who may
// import it.
type ownerRule struct {
	module   string
	packages []string // in these
	tests    []string // in the tests of these, besides
}

// everything is for packages where all parts meet.
var everything = []string{
	"./admin/...", "./console/...",
	"./authn/...", "./authclient/...", "./authz/...", "./directory/...", "./gateway/...",
	"./soap/...", "./soapserver", "./soapclient", "./wsdl/...",
	"./internal/...", "./examples/...",
}

// ours are the rules of this module.
var ours = rules{
	packages: map[string]packageRule{
		"./.": {standardOnly: true}, // documentation only

		// Messages know nothing of logins, and logins nothing of messages: they
		// meet as http.Handler and http.RoundTripper.
		"./soap":            {standardOnly: true, imports: []string{"./soap/wire", "./soap/xsd"}},
		"./soap/wire":       {standardOnly: true},
		"./soap/addressing": {standardOnly: true, imports: []string{"./soap", "./soap/wire"}},
		"./soap/stdxml":     {standardOnly: true, imports: []string{"./soap/wire"}},
		"./soap/xsd":        {standardOnly: true, imports: []string{"./soap/wire"}},
		"./soapserver":      {standardOnly: true, imports: []string{"./soap/..."}},
		"./soapclient":      {standardOnly: true, imports: []string{"./soap/..."}},
		"./wsdl":            {standardOnly: true, imports: []string{"./soap/wire", "./soap/xsd"}},
		"./wsdl/gen":        {standardOnly: true, imports: []string{"./wsdl", "./soap/..."}},

		"./wsdl/message": {standardOnly: true, imports: []string{"./wsdl", "./soap/...", "./soapclient"}},

		"./authn":               {standardOnly: true},
		"./authn/spnego":        {imports: []string{"./authn"}},
		"./authn/ntlm":          {imports: []string{"./authn"}},
		"./authn/kerberos":      {imports: []string{"./authn", "./internal/krb5/...", "./internal/atomicfile"}},
		"./authn/ntlm/netlogon": {imports: []string{"./authn", "./authn/ntlm"}},
		"./authn/ntlm/winbind":  {standardOnly: true, imports: []string{"./authn", "./authn/ntlm"}},
		"./authn/iwa":           {imports: []string{"./authn", "./authn/spnego"}},
		"./authn/password":      {imports: []string{"./authn", "./directory"}},
		"./authn/password/form": {standardOnly: true, imports: []string{"./authn", "./authn/password", "./authn/session"}},
		"./authn/throttle":      {imports: []string{"./authn", "./authn/ntlm", "./directory"}},
		"./authn/audit":         {standardOnly: true, imports: []string{"./authn", "./directory"}},
		"./authn/session":       {standardOnly: true, imports: []string{"./authn", "./directory"}},
		"./authn/hook":          {imports: []string{"./authn", "./internal/jwt", "./internal/kept"}},

		"./authn/oidc": {imports: []string{"./authn", "./internal/jwt", "./internal/kept"}},
		"./authn/totp": {standardOnly: true},

		"./authn/oidc/oidctest": {standardOnly: true},

		// Administrators: what they can do, who they are, and three ways to it.
		"./admin": {imports: []string{
			"./authn/...", "./authz", "./directory/...", "./gateway/config", "./gateway/health", "./gateway/realm", "./internal/atomicfile",
		}},
		"./admin/access": {imports: []string{
			"./admin", "./admin/api/wire", "./authn", "./authn/oidc", "./authn/password", "./authn/session", "./authn/throttle", "./authn/totp", "./authz",
			"./console/ui", "./directory/...", "./gateway/config",
		}},
		"./admin/api":       {imports: []string{"./admin", "./admin/api/wire", "./authn", "./authz", "./directory/provision"}},
		"./admin/api/wire":  {imports: []string{"./admin", "./authn", "./directory/provision"}},
		"./admin/client":    {imports: []string{"./admin", "./admin/api/wire", "./authn", "./authz", "./directory/provision"}},
		"./admin/admintest": {imports: []string{"./admin", "./authn", "./authz", "./directory/provision"}},
		"./console": {imports: []string{
			"./admin", "./authn", "./authn/throttle", "./authz", "./console/ui", "./directory", "./directory/provision", "./gateway/health",
		}},
		"./console/ui": {standardOnly: true},

		"./authz":                     {standardOnly: true, imports: []string{"./authn", "./directory"}},
		"./authz/integrated":          {standardOnly: true, imports: []string{"./authn", "./authz", "./authz/integrated/security", "./soap/...", "./soapserver"}},
		"./authz/integrated/security": {standardOnly: true, imports: []string{"./soap/...", "./soapserver", "./soapclient"}}, // generated

		// Conformance tests for those who write implementations.
		"./authn/ntlm/ntlmtest":         {standardOnly: true, imports: []string{"./authn", "./authn/ntlm"}},
		"./authn/kerberos/kerberostest": {standardOnly: true, imports: []string{"./authn/kerberos"}},

		"./authclient":            {imports: []string{"./authn", "./authn/spnego", "./authn/kerberos", "./authn/ntlm"}},
		"./authclient/delegation": {imports: []string{"./authn", "./authn/kerberos", "./authclient"}},

		"./directory":           {standardOnly: true, imports: []string{"./authn"}},
		"./directory/store":     {imports: []string{"./authn", "./authn/kerberos", "./directory", "./internal/atomicfile"}},
		"./directory/dirtest":   {standardOnly: true, imports: []string{"./authn", "./directory"}},
		"./directory/ldap":      {imports: []string{"./authn", "./authn/kerberos", "./directory"}},
		"./directory/provision": {standardOnly: true, imports: []string{"./authn", "./directory"}},
		"./directory/computer":  {imports: []string{"./authn", "./authn/kerberos", "./authn/ntlm/netlogon", "./directory/ldap", "./internal/atomicfile"}},

		// The gateway's parts know each other only as written here; all meet in
		// ./gateway.
		"./gateway":          {imports: []string{"./admin/...", "./console/...", "./authn/...", "./authclient/...", "./authz/...", "./directory/...", "./gateway/..."}},
		"./gateway/config":   {imports: []string{"./authn", "./internal/atomicfile"}},
		"./gateway/trail":    {standardOnly: true, imports: []string{"./authn"}},
		"./gateway/health":   {standardOnly: true},
		"./gateway/identity": {imports: []string{"./authn", "./gateway/config"}},
		"./gateway/listen":   {imports: []string{"./authn", "./authn/iwa", "./gateway/config"}},
		"./gateway/realm":    {imports: []string{"./authn/...", "./authz", "./directory/...", "./gateway/config"}},
		"./gateway/login": {imports: []string{
			"./authn/...", "./authz", "./authclient", "./directory/...", "./gateway/config", "./gateway/health", "./gateway/realm", "./gateway/trail",
		}},
		"./gateway/backend": {imports: []string{"./authn", "./gateway/config", "./gateway/health", "./gateway/identity", "./gateway/trail"}},
		"./gateway/publish": {imports: []string{"./authn", "./gateway/config", "./soap/...", "./wsdl"}},
		"./gateway/inbound": {imports: []string{
			"./authn", "./authz", "./authz/integrated", "./soap/...", "./soapserver",
			"./gateway/backend", "./gateway/config", "./gateway/identity", "./gateway/login", "./gateway/publish", "./gateway/realm", "./gateway/trail",
		}},
		"./gateway/outbound": {imports: []string{
			"./authn", "./authn/kerberos", "./authclient/...", "./authz", "./soap/...", "./soapserver",
			"./gateway/config", "./gateway/health", "./gateway/identity", "./gateway/login", "./gateway/publish", "./gateway/realm", "./gateway/trail",
		}},
		"./gateway/observe": {imports: []string{
			"./authn", "./authclient/delegation", "./authz", "./gateway/config", "./gateway/health", "./gateway/trail",
		}},

		"./internal/atomicfile": {standardOnly: true},
		"./internal/kept":       {standardOnly: true},
		"./internal/jwt":        {imports: []string{"./authn", "./internal/kept"}},
		"./internal/terminal":   {standardOnly: true},
		"./internal/doctor":     {imports: []string{"./authn", "./authn/kerberos", "./directory/ldap"}},

		"./internal/doctor/site": {imports: []string{
			"./authn", "./authn/kerberos", "./authn/ntlm", "./authn/spnego", "./internal/doctor", "./internal/tokentext",
		}},

		"./internal/krb5":     {},
		"./internal/krb5/pac": {imports: []string{"./internal/krb5"}},
		"./internal/kdc":      {imports: []string{"./internal/krb5/..."}},
		"./internal/demo":     {imports: everything},

		// A judge of the generator that uses what users use.
		"./internal/corpus":      {standardOnly: true, imports: []string{"./wsdl", "./wsdl/gen", "./internal/corpus/trip"}},
		"./internal/corpus/trip": {standardOnly: true, imports: []string{"./soap/wire"}},

		"./internal/tokentext": {imports: []string{"./authn/kerberos", "./authn/ntlm", "./authn/spnego", "./internal/krb5/..."}},

		"./internal/archtest":     {standardOnly: true},
		"./internal/testenv":      {standardOnly: true},
		"./internal/adtest":       {standardOnly: true, imports: []string{"./internal/testenv"}},
		"./internal/slapdtest":    {standardOnly: true, imports: []string{"./internal/testenv"}},
		"./internal/pgtest":       {standardOnly: true, imports: []string{"./internal/testenv"}},
		"./internal/bigstore":     {standardOnly: true, imports: []string{"./authn", "./directory", "./directory/store"}},
		"./internal/mittest":      {standardOnly: true, imports: []string{"./internal/testenv"}},
		"./internal/e2e/...":      {imports: everything},
		"./internal/bench":        {imports: everything},
		"./internal/soak":         {imports: everything},
		"./internal/bench/orders": {standardOnly: true, imports: []string{"./soap/...", "./soapserver", "./soapclient"}}, // generated
		"./internal/interop/...":  {imports: everything},                                                                 // tests only, and what they generate
		"./internal/gokrb5test":   {standardOnly: true},                                                                  // tests only

		"./examples/...":   {imports: everything},
		"./cmd/soapward":   {imports: everything},
		"./packaging/dist": {standardOnly: true}, // what is released is built from here, and imports nothing of it
	},
	owners: []ownerRule{
		{module: "golang.org/x/crypto/cryptobyte", packages: []string{
			"./authn/spnego", "./authn/kerberos", "./authn/ntlm", "./internal/krb5/...", "./internal/kdc",
		}},
		{module: "golang.org/x/crypto/md4", packages: []string{"./authn/ntlm", "./internal/krb5"}},
		{module: "golang.org/x/crypto/argon2", packages: []string{"./authn/password"}},
		{module: "golang.org/x/text/unicode/norm", packages: []string{"./authn/throttle"}},
		{module: "golang.org/x/text/secure/precis", packages: []string{"./authn/password"}},
		{module: "golang.org/x/net/html", tests: []string{"./console"}},
		{module: "golang.org/x/term", packages: []string{"./cmd/soapward"}},
		{module: "github.com/spf13/cobra", packages: []string{"./cmd/soapward"}},
		{module: "github.com/rogpeppe/go-internal", tests: []string{"./cmd/soapward"}},

		// The RPC and its security provider below Netlogon.
		{module: "github.com/oiweiwei/go-msrpc", packages: []string{"./authn/ntlm/netlogon"}},

		{module: "modernc.org/sqlite", packages: []string{"./directory/store"}},
		{module: "github.com/jackc/pgx/v5", packages: []string{"./directory/store"}},
		{module: "github.com/coreos/go-oidc/v3", packages: []string{"./authn/oidc"}},
		{module: "github.com/go-jose/go-jose/v4", packages: []string{"./authn/hook", "./authn/oidc", "./gateway/identity", "./internal/jwt"}},
		{module: "golang.org/x/oauth2", packages: []string{"./authn/oidc"}},
		{module: "github.com/santhosh-tekuri/jsonschema/v6", tests: []string{"./admin/api"}},
		{module: "rsc.io/qr", packages: []string{"./admin/access"}},
		{module: "go.yaml.in/yaml/v3", packages: []string{"./gateway/config"}},
		{module: "github.com/prometheus/client_golang", packages: []string{"./gateway/observe"}},
		{module: "go.opentelemetry.io/otel", packages: []string{"./gateway/observe"}},
		// What spans are on the way to a collector, which a test plays.
		{module: "go.opentelemetry.io/proto/otlp", tests: []string{"./gateway/observe"}},
		{module: "google.golang.org/protobuf", tests: []string{"./gateway/observe"}},
		{module: "github.com/pires/go-proxyproto", packages: []string{"./gateway/listen"}},
		{module: "github.com/coreos/go-systemd/v22", packages: []string{"./gateway/listen", "./gateway"}},
		{module: "github.com/fsnotify/fsnotify", packages: []string{"./gateway"}},
		{module: "golang.org/x/sys", packages: []string{"./gateway"}},

		{module: "github.com/go-ldap/ldap/v3", packages: []string{"./directory/ldap"}},
		{module: "github.com/go-asn1-ber/asn1-ber", packages: []string{"./directory/ldap"}},

		// gokrb5 reads keytabs, krb5.conf and credential caches; elsewhere it is
		// the peer that tests compare with.
		{
			module:   "github.com/jcmturner/gokrb5/v8",
			packages: []string{"./authn/kerberos"},
			tests:    []string{"./internal/krb5/...", "./internal/kdc", "./internal/e2e", "./internal/bench", "./internal/gokrb5test"},
		},
		// Types that gokrb5's exported structs are made of.
		{module: "github.com/jcmturner/gofork", tests: []string{"./internal/krb5"}},
		// What people use today: peers in tests and examples, never in a library.
		{
			module:   "github.com/Azure/go-ntlmssp",
			packages: []string{"./examples/..."},
			tests:    []string{"./authn/ntlm", "./authn/iwa", "./authclient", "./internal/e2e", "./internal/bench"},
		},
		// Its init makes a directory and may end the process.
		{
			module:   "github.com/hooklift/gowsdl",
			packages: []string{"./internal/e2e/gowsdlstub", "./examples/..."},
			tests:    []string{"./internal/e2e", "./internal/bench"},
		},
	},
	tests: []string{
		"./authn/ntlm/ntlmtest", "./authn/kerberos/kerberostest", "./authn/oidc/oidctest",
		"./directory/dirtest",
		"./admin/admintest",
		"./internal/testenv", "./internal/adtest", "./internal/mittest", "./internal/slapdtest", "./internal/pgtest", "./internal/bigstore", "./internal/e2e/...", "./internal/bench", "./internal/soak", "./internal/gokrb5test",
		"./internal/interop/...",
	},
}
