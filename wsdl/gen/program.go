package gen

import (
	"fmt"
	"go/format"
	"path"
	"slices"
	"strings"
)

// Login says how a first program logs in. The zero value is no login.
type Login struct {
	User     string // NTLM, or with Kerberos its principal
	Kerberos bool   // by tickets
	Keytab   string // file with the keys of User; with Kerberos only

	Proxy     string // URL of the proxy; empty means that of the environment
	ProxyUser string // NTLM to the proxy
	ProxySame bool   // log in to the proxy as to the server
}

// Program returns a program that calls the first operation of r, which is in
// the package at importPath. It compiles as it is, for somebody to go on from
// there. It is empty where r has no operation whose request can be named in
// another package.
func Program(r *Result, importPath string, l Login) (source, operation string, err error) {
	for _, s := range r.Services {
		for _, op := range s.Operations {
			if q, _, ok := strings.Cut(op.In, "."); ok && q != "wire" {
				continue
			}
			src, err := program(r, s, op, importPath, l)
			return src, op.Name, err
		}
	}
	return "", "", nil
}

// programNames are those a first program uses itself.
var programNames = []string{
	"authclient", "authn", "cmp", "context", "errors", "fmt", "http", "json", "kerberos", "keytab", "log", "os", "soapclient", "url",
	"wire", "client", "config", "err", "kdc", "main", "out", "password", "proxy", "proxyPassword", "req", "res", "run", "transport",
	"base", "login", "init",
}

type programT struct {
	imports map[string]bool
	setup   strings.Builder
}

func (p *programT) use(paths ...string) {
	for _, i := range paths {
		p.imports[i] = true
	}
}

const (
	moduleRoot = "github.com/soapward/soapward/"
	loginPath  = moduleRoot + "authclient"
	authnPath  = moduleRoot + "authn"
)

func program(r *Result, s Service, op Operation, importPath string, l Login) (string, error) {
	p := &programT{imports: map[string]bool{}}
	p.use("context", "log", moduleRoot+"soapclient")
	name := r.Package
	if slices.Contains(programNames, name) {
		name += "api"
	}
	httpClient := p.login(l)
	fields := ""
	if !strings.HasPrefix(s.URL, "http") {
		fields = "\t\tURL: \"http://localhost:8080/\", // the description has no address\n"
	}
	if httpClient != "" {
		fields += "\t\tHTTP: " + httpClient + ",\n"
	}
	if fields != "" {
		fields = "\n" + fields + "\t"
	}
	in := name + "." + op.In
	if strings.HasPrefix(op.In, "wire.") {
		in = op.In
		p.use(moduleRoot + "soap/wire")
	}
	var b strings.Builder
	fmt.Fprintf(&b, "// Command try-%s calls %s once.\npackage main\n\n", r.Package, op.Name)
	call := fmt.Sprintf("client := %s.New%sClient(&soapclient.Client{%s})\n\treq := &%s{\n\t\t// what the operation wants goes here\n\t}\n", name, s.Name, fields, in)
	if op.Out == "" {
		call += fmt.Sprintf("\treturn client.%s(context.Background(), req)\n", op.Name)
	} else {
		p.use("encoding/json", "fmt")
		call += fmt.Sprintf(`	res, err := client.%s(context.Background(), req)
	if err != nil {
		return err
	}
	out, err := json.MarshalIndent(res, "", "  ")
	if err != nil {
		return err
	}
	fmt.Println(string(out))
	return nil
`, op.Name)
	}
	b.WriteString(p.importBlock(name, r.Package, importPath))
	b.WriteString("func main() {\n\tif err := run(); err != nil {\n\t\tlog.Fatal(err)\n\t}\n}\n\nfunc run() error {\n")
	b.WriteString(p.setup.String())
	b.WriteString("\t" + call + "}\n")
	src, err := format.Source([]byte(b.String()))
	if err != nil {
		return "", fmt.Errorf("gen: the first program does not parse, which is a bug in the generator: %w", err)
	}
	return string(src), nil
}

func (p *programT) importBlock(name, pkg, importPath string) string {
	var std, own []string
	for i := range p.imports {
		if strings.HasPrefix(i, moduleRoot) {
			own = append(own, fmt.Sprintf("\t%q\n", i))
		} else {
			std = append(std, fmt.Sprintf("\t%q\n", i))
		}
	}
	spec := fmt.Sprintf("\t%q\n", importPath)
	if name != pkg || path.Base(importPath) != pkg {
		spec = fmt.Sprintf("\t%s %q\n", name, importPath)
	}
	slices.Sort(std)
	slices.Sort(own)
	if strings.HasPrefix(importPath, moduleRoot) {
		own = append(own, spec)
	} else {
		own = append(own, "\n"+spec)
	}
	return "import (\n" + strings.Join(std, "") + "\n" + strings.Join(own, "") + ")\n\n"
}

// login writes how the transport is made, and returns the HTTP client, "" for
// the default one.
func (p *programT) login(l Login) string {
	if l == (Login{}) {
		return ""
	}
	p.use("net/http", loginPath)
	w := func(format string, args ...any) { fmt.Fprintf(&p.setup, format+"\n", args...) }
	password := func(variable, env string) {
		p.use("errors", "os", authnPath)
		w("\t%s := os.Getenv(%q)", variable, env)
		w("\tif %s == \"\" {\n\t\treturn errors.New(%q)\n\t}", variable, env+" is not set")
	}
	var fields []string
	if l.Kerberos {
		p.kerberos(l, w, password)
		w("\tlogin := authclient.Static(&authclient.Kerberos{Client: kdc})")
		fields = append(fields, "Source: login")
	} else if l.User != "" {
		password("password", "SOAPWARD_PASSWORD")
		w("\tlogin := authclient.Static(&authclient.NTLM{User: %s, Password: authn.NewSecret(password)})", quoted(l.User))
		fields = append(fields, "Source: login")
	}
	switch {
	case l.ProxySame:
		fields = append(fields, "Proxy: login")
	case l.ProxyUser != "":
		password("proxyPassword", "SOAPWARD_PROXY_PASSWORD")
		w("\tproxy := authclient.Static(&authclient.NTLM{User: %s, Password: authn.NewSecret(proxyPassword)})", quoted(l.ProxyUser))
		fields = append(fields, "Proxy: proxy")
	}
	if l.Proxy != "" {
		p.use("net/url")
		w("\tat, err := url.Parse(%q)\n\tif err != nil {\n\t\treturn err\n\t}", l.Proxy)
		fields = append(fields, "Base: &http.Transport{Proxy: http.ProxyURL(at)}")
	}
	w("\ttransport := &authclient.Transport{%s}\n\tdefer transport.CloseIdleConnections()\n", strings.Join(fields, ", "))
	return "&http.Client{Transport: transport}"
}

func (p *programT) kerberos(l Login, w func(string, ...any), password func(string, string)) {
	p.use("cmp", "os", authnPath+"/kerberos")
	w("\tconfig, err := kerberos.LoadConfig(cmp.Or(os.Getenv(\"KRB5_CONFIG\"), \"/etc/krb5.conf\"))\n\tif err != nil {\n\t\treturn err\n\t}")
	switch {
	case l.Keytab != "":
		w("\tkeytab, err := kerberos.LoadKeytab(%q)\n\tif err != nil {\n\t\treturn err\n\t}", l.Keytab)
		w("\tkdc, err := kerberos.NewKeytabClient(*config, %s, keytab)", quoted(l.User))
	case l.User != "":
		password("password", "SOAPWARD_PASSWORD")
		w("\tkdc, err := kerberos.NewPasswordClient(*config, %s, authn.NewSecret(password))", quoted(l.User))
	default:
		w("\tkdc, err := kerberos.NewCacheClient(*config, \"\") // the tickets of kinit")
	}
	w("\tif err != nil {\n\t\treturn err\n\t}")
}
