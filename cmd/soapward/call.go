package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/soapward/soapward/authclient"
	"github.com/soapward/soapward/soap"
	"github.com/soapward/soapward/soap/wire"
	"github.com/soapward/soapward/soapclient"
	"github.com/soapward/soapward/wsdl"
	"github.com/soapward/soapward/wsdl/message"
)

// maxData bounds what is read of a file with data to send.
const maxData = 64 << 20

type callFlags struct {
	login       loginFlags
	data        string
	template    string
	port        string
	soap        string
	url         string
	headers     []string
	soapHeaders []string
	timeout     time.Duration
	verbose     bool

	allowPrivate bool
}

func newCallCommand() *cobra.Command {
	var f callFlags
	cmd := &cobra.Command{
		Use:   "call [flags] WSDL-URL [OPERATION [NAME=VALUE...]]",
		Short: "Call an operation from the shell, without generated code",
		Long: `Read a WSDL 1.1 document, a file or a URL, and call one of its operations. Without
OPERATION, list what there is.

The request is made of NAME=VALUE arguments, or is JSON or XML in --data; begin
with what --template prints. XML is the element in the body, or a whole envelope.
It is sent as it is: only its outer element is compared with the WSDL, and of an
envelope nothing. JSON and arguments are put in the order of the schema, and what
that does not know is an error:
  name=value             an element; again, it is repeated
  customer.name=value    an element within another
  line[0].sku=value      one of a repeated element
  @id=7                  an attribute
  scan=@file             the value is in a file, and made base64 if need be
  note:=null             JSON
  query.#any=@q.xml      XML, where the schema allows any; or query.#any='<Query/>'

The answer is printed as XML, or with --json as JSON. A fault goes to standard
error, and the exit code is 1.

Login and headers go to the origin of the WSDL, or to that of --url, and to no
other; with a WSDL in a file, which has no origin, they need --url. A password is
asked for on the terminal, or taken from ` + passwordVariable + ` or --password-file.`,
		Example: `  # what is there, and what does a request look like?
  soapward call 'https://host.corp.test/Orders.svc?wsdl'
  soapward call --template 'https://host.corp.test/Orders.svc?wsdl' GetOrder

  soapward call -u 'CORP\alice' 'https://host.corp.test/Orders.svc?wsdl' GetOrder id=7
  soapward call --negotiate --json 'https://host.corp.test/Orders.svc?wsdl' GetOrder id=7 | jq .total
  soapward call --data order.json orders.wsdl PlaceOrder --url http://localhost:8080/orders`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usagef(cmd, "no WSDL given")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error { return f.run(cmd, args) },
	}
	f.login.register(cmd)
	fl := cmd.Flags()
	fl.StringVarP(&f.data, "data", "d", "", "send what is in `FILE`, or with - what comes on standard input: XML or JSON")
	fl.Var((*templateFormat)(&f.template), "template", "print an example of the request, as XML or JSON")
	fl.Lookup("template").NoOptDefVal = templateFormats
	fl.StringVar(&f.port, "port", "", "use the port, or the service, called `NAME`")
	fl.StringVar(&f.soap, "soap", "", "use a port that speaks SOAP `VERSION` 1.1 or 1.2")
	fl.StringVar(&f.url, "url", "", "call the service at `URL`, not where the WSDL says")
	fl.StringArrayVarP(&f.headers, "header", "H", nil, "send an HTTP header, `NAME=VALUE`; @FILE takes the value from a file")
	fl.StringArrayVar(&f.soapHeaders, "soap-header", nil, "send the header block, or blocks, in `FILE`")
	fl.DurationVar(&f.timeout, "timeout", fetchTimeout, "of the call and of each document")
	fl.BoolVarP(&f.verbose, "verbose", "v", false, "show request and answer on standard error, without secrets")
	fl.BoolVar(&f.allowPrivate, "allow-private-imports", false, "let a WSDL from a public address import from private ones")
	return cmd
}

// templateFormats is how the help shows what --template may be given, and its
// value where it is given nothing.
const templateFormats = "xml|json"

// templateFormat is a flag that the help shows as --template[=xml|json].
type templateFormat string

func (t *templateFormat) String() string { return string(*t) }
func (t *templateFormat) Type() string   { return "" }
func (t *templateFormat) Set(s string) error {
	if s == templateFormats {
		s = "xml"
	}
	*t = templateFormat(s)
	return nil
}

// check refuses flags that make no sense.
func (f *callFlags) check(cmd *cobra.Command, args []string) error {
	if err := f.login.check(cmd); err != nil {
		return err
	}
	switch {
	case f.template != "" && f.template != "xml" && f.template != "json":
		return usagef(cmd, "--template is xml or json, not %q", f.template)
	case f.template != "" && slices.ContainsFunc(args, isFormat):
		return usagef(cmd, "%q is apart from --template; did you mean --template=%[1]s?", args[slices.IndexFunc(args, isFormat)])
	case f.template != "" && len(args) < 2:
		return usagef(cmd, "--template needs an OPERATION")
	case f.soap != "" && f.soap != "1.1" && f.soap != "1.2":
		return usagef(cmd, "--soap is 1.1 or 1.2, not %q", f.soap)
	case f.data != "" && len(args) > 2:
		return usagef(cmd, "the request is given twice: by --data, and by %q", args[2])
	case len(args) > 2 && isDocument(args[2]):
		return usagef(cmd, "%.20q is no NAME=VALUE; did you mean to send it with --data FILE, or --data - from standard input?", args[2])
	case f.data != "" && len(args) < 2:
		return usagef(cmd, "--data needs an OPERATION")
	case f.url != "" && !isRemote(f.url):
		return usagef(cmd, "--url is no http or https URL: %q", f.url)
	case f.timeout <= 0:
		return usagef(cmd, "--timeout must be more than 0")
	}
	for _, h := range f.headers {
		if _, _, err := splitHeader(h); err != nil {
			return usagef(cmd, "--header: %w", err)
		}
	}
	return nil
}

// isDocument reports whether an argument is JSON or XML. A name may begin with
// a brace too: {namespace}name=value.
func isDocument(arg string) bool {
	s := strings.Join(strings.Fields(arg), "")
	return strings.HasPrefix(s, "<") || strings.HasPrefix(s, "[") || strings.HasPrefix(s, `{"`) || s == "{}"
}

// isFormat reports whether an argument is meant for --template.
func isFormat(arg string) bool {
	_, err := os.Stat(arg)
	return (arg == "xml" || arg == "json") && err != nil
}

func (f *callFlags) run(cmd *cobra.Command, args []string) error {
	if err := f.check(cmd, args); err != nil {
		return err
	}
	source := args[0]
	resolver := &wsdl.Resolver{AllowPrivate: f.allowPrivate, AllowBroken: true}
	client := &http.Client{Timeout: f.timeout}
	if isRemote(source) {
		end, err := f.logIn(cmd, client)
		if err != nil {
			return err
		}
		defer end()
		resolver.HTTP = client
	}
	d, err := resolver.Open(cmd.Context(), source)
	if err != nil {
		return explain("soapward call", source, f.login, err)
	}
	catalog := message.New(d)
	if len(args) == 1 {
		return listOperations(cmd, f.port, catalog)
	}
	op, err := catalog.Find(f.query(args[1]))
	if err != nil {
		return withRemedy(withDropped(err, d, args[1]), "soapward call "+shellWord(source))
	}
	if f.template != "" {
		return f.printTemplate(cmd, op)
	}
	address, err := f.address(source, op)
	if err != nil {
		return err
	}
	req, err := f.request(cmd, op, args[2:])
	if err != nil {
		var re *remedyError
		if errors.As(err, &re) {
			return err
		}
		return withRemedy(err, fmt.Sprintf("soapward call --template %s %s", shellWord(source), shellWord(args[1])))
	}
	if !isRemote(source) { // only now, so that no password is asked for in vain
		end, err := f.logIn(cmd, client)
		if err != nil {
			return err
		}
		defer end()
	}
	return f.call(cmd, source, address, client, op, req)
}

// logIn makes client log in as the flags say. What it returns ends that.
func (f *callFlags) logIn(cmd *cobra.Command, client *http.Client) (end func(), err error) {
	t, err := f.login.transport(cmd)
	if err != nil || t == nil {
		return func() {}, err
	}
	client.Transport = t
	return t.CloseIdleConnections, nil
}

// withDropped adds to err why an operation is missing that the description
// has, but with mistakes.
func withDropped(err error, d *wsdl.Definitions, name string) error {
	for _, p := range d.Dropped {
		if strings.Contains(p.Text, "operation "+name+":") {
			err = fmt.Errorf("%w\nwsdl: %s", err, p.String())
		}
	}
	return err
}

func (f *callFlags) query(name string) message.Query {
	q := message.Query{Name: name, Port: f.port}
	switch f.soap {
	case "1.1":
		q.Version = soap.V11
	case "1.2":
		q.Version = soap.V12
	}
	return q
}

func (f *callFlags) printTemplate(cmd *cobra.Command, op *message.Operation) error {
	out := cmd.OutOrStdout()
	if f.template == "json" || wantJSON(cmd) {
		b, err := op.Input.TemplateJSON()
		if err != nil {
			return err
		}
		return printJSON(out, json.RawMessage(b))
	}
	if _, err := io.WriteString(out, op.Input.Template()); err != nil {
		return err
	}
	for _, h := range op.HeaderTemplates() {
		// In a comment, so that all of it can be sent. Two hyphens would end that.
		h = strings.ReplaceAll(h, "--", "-&#45;")
		if _, err := fmt.Fprintf(out, "<!-- a header block is described too: one like this, in a file that the flag soap-header names\n%s-->\n", h); err != nil {
			return err
		}
	}
	return nil
}

// request makes the request of what the command line says.
func (f *callFlags) request(cmd *cobra.Command, op *message.Operation, args []string) (*message.Request, error) {
	if f.data == "" {
		return op.Input.FromArgs(args, func(name string) ([]byte, error) { return readData(cmd, name) })
	}
	data, err := readData(cmd, f.data)
	if err != nil {
		return nil, withRemedy(err, "check the path, or use - for standard input")
	}
	if isJSON(data) {
		return op.Input.FromJSON(data)
	}
	return op.Input.FromXML(data)
}

// isJSON tells JSON from XML by its first character.
func isJSON(data []byte) bool {
	s := strings.TrimLeft(strings.TrimPrefix(string(data[:min(len(data), 1000)]), "\ufeff"), " \t\r\n")
	return s != "" && strings.ContainsRune(`{["nft-0123456789`, rune(s[0]))
}

// readData reads a file, or standard input for -.
func readData(cmd *cobra.Command, name string) ([]byte, error) {
	in := cmd.InOrStdin()
	if name != "-" {
		file, err := os.Open(name)
		if err != nil {
			return nil, err
		}
		defer func() { _ = file.Close() }()
		in = file
	}
	b, err := io.ReadAll(io.LimitReader(in, maxData+1))
	if err != nil {
		return nil, err
	}
	if len(b) > maxData {
		return nil, fmt.Errorf("%s is larger than %d MiB", name, maxData>>20)
	}
	return b, nil
}

// splitHeader takes NAME=VALUE, or as curl has it NAME: VALUE, apart.
func splitHeader(s string) (name, value string, err error) {
	i := strings.IndexAny(s, "=:")
	if i <= 0 || strings.ContainsAny(s[:i], " \t\r\n") {
		return "", "", errors.New("want NAME=VALUE")
	}
	return s[:i], strings.TrimSpace(s[i+1:]), nil
}

// options are the headers of the call.
func (f *callFlags) options() ([]soapclient.CallOption, error) {
	var opts []soapclient.CallOption
	for _, h := range f.headers {
		name, value, err := splitHeader(h)
		if err != nil {
			return nil, err
		}
		if file, ok := strings.CutPrefix(value, "@"); ok {
			if value, err = firstLine(file); err != nil {
				return nil, fmt.Errorf("--header %s: %w", name, err)
			}
		}
		opts = append(opts, soapclient.WithHTTPHeader(http.CanonicalHeaderKey(name), value))
	}
	for _, name := range f.soapHeaders {
		b, err := os.ReadFile(name)
		if err != nil {
			return nil, fmt.Errorf("--soap-header: %w", err)
		}
		blocks, err := message.Headers(b)
		if err != nil {
			return nil, fmt.Errorf("--soap-header %s: %w", name, err)
		}
		for _, h := range blocks {
			opts = append(opts, soapclient.WithHeader(h))
		}
	}
	return opts, nil
}

// address returns where to call. Login and headers are for whom the user named
// only, not for whom the description does.
func (f *callFlags) address(source string, op *message.Operation) (string, error) {
	switch {
	case f.url != "":
		return f.url, nil
	case !isRemote(op.URL):
		return "", withRemedy(fmt.Errorf("the WSDL has no http address for port %s: %q", op.Port, op.URL), "add --url URL")
	case !f.login.wanted() && len(f.headers)+len(f.soapHeaders) == 0:
		return op.URL, nil
	case !isRemote(source):
		return "", withRemedy(fmt.Errorf("the WSDL is a file, which anybody may have written, and names %s: login and headers go there only if you say so", op.URL),
			fmt.Sprintf("--url %s, if you trust that server", shellWord(op.URL)))
	case !sameOrigin(source, op.URL):
		return "", withRemedy(fmt.Errorf("the WSDL names another server, %s, and login and headers stay with that of the WSDL", op.URL),
			fmt.Sprintf("--url %s, if you trust that server", shellWord(op.URL)))
	}
	return op.URL, nil
}

// call sends the request and prints the answer.
func (f *callFlags) call(cmd *cobra.Command, source, address string, client *http.Client, op *message.Operation, req *message.Request) error {
	opts, err := f.options()
	if err != nil {
		return err
	}
	if f.verbose {
		next := client.Transport
		if next == nil {
			next = http.DefaultTransport
		}
		client.Transport = &tracer{cmd.ErrOrStderr(), next}
	}
	c := &soapclient.Client{URL: address, HTTP: client, Version: op.Version}
	if req.Version != 0 {
		c.Version = req.Version
	}
	answer, err := op.Call(cmd.Context(), c, req, opts...)
	if err != nil {
		return f.explainCall(source, address, op, err)
	}
	return printAnswer(cmd, op, answer)
}

func printAnswer(cmd *cobra.Command, op *message.Operation, answer wire.Raw) error {
	out := cmd.OutOrStdout()
	switch {
	case op.Output == nil && wantJSON(cmd):
		return printJSON(out, map[string]bool{"accepted": true})
	case op.Output == nil:
		_, err := fmt.Fprintln(out, "accepted: the operation is one-way, so there is no answer")
		return err
	case wantJSON(cmd):
		b, err := op.Output.JSON(answer)
		if err != nil {
			return err
		}
		return printJSON(out, json.RawMessage(b))
	}
	s, err := message.Indent(answer)
	if err == nil {
		_, err = io.WriteString(out, s)
	}
	return err
}

// explainCall adds to the error of a call what can be done about it.
func (f *callFlags) explainCall(source, address string, op *message.Operation, err error) error {
	var fault *soap.Fault
	var status *soapclient.StatusError
	var slow net.Error
	var refused *authclient.RefusedError
	switch {
	case errors.As(err, &status) && status.Code == http.StatusUnauthorized && !f.login.wanted():
		offered := schemes(status.Challenges)
		err = fmt.Errorf("%s answered 401 Unauthorized and offers %s", address, strings.Join(offered, ", "))
		switch {
		case otherLogins(offered):
			return withRemedy(err, f.byHeader(address, offered))
		case f.url == "" && !isRemote(source):
			return withRemedy(err, `add -u 'DOMAIN\user' to log in, and --url `+shellWord(address)+" if you trust that server")
		}
		return withRemedy(err, `add -u 'DOMAIN\user' to log in`)
	case errors.As(err, &refused) && !refused.Proxy && otherLogins(refused.Offered):
		return withRemedy(err, f.byHeader(address, refused.Offered))
	case errors.As(err, &fault):
		return &faultError{fault, op}
	case errors.As(err, &status) && isRemote(status.Location):
		return withRemedy(fmt.Errorf("the service redirects to %s", status.Location),
			fmt.Sprintf("--url %s, if you trust that server", shellWord(status.Location)))
	case errors.As(err, &status) && status.Code == http.StatusNotFound && f.url == "":
		return withRemedy(err, "the address in the WSDL may be out of date: add --url URL")
	case errors.As(err, &slow) && slow.Timeout():
		return withRemedy(err, "add --timeout 5m, or check that the service runs at "+address)
	}
	return explain("soapward call", source, f.login, err)
}

// byHeader says how to log in where NTLM and Kerberos are not offered.
func (f *callFlags) byHeader(address string, offered []string) string {
	value := map[string]string{"basic": `"Basic " and USER:PASSWORD in base64`, "bearer": `"Bearer " and the token`}[strings.ToLower(offered[0])]
	if value == "" {
		value = "the value of that header"
	}
	remedy := "soapward logs in by NTLM or Kerberos only: in place of -u and --negotiate, add -H Authorization=@FILE, with " + value + " in FILE"
	if f.url == "" {
		remedy += ", and --url " + shellWord(address) + " if you trust that server"
	}
	return remedy
}

// schemes are the names of the schemes in challenges.
func schemes(challenges []string) []string {
	var all []string
	for _, c := range challenges {
		name, _, _ := strings.Cut(c, " ")
		all = append(all, oneLine(name))
	}
	return all
}

// shellWord quotes s for a shell, if need be.
func shellWord(s string) string {
	if s != "" && strings.Trim(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/._-:") == "" {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
