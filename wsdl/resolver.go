package wsdl

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
)

// Defaults of the limits of a Resolver.
const (
	DefaultMaxDocuments = 500
	DefaultMaxBytes     = 64 << 20
	DefaultMaxDepth     = 50
)

// Resolver reads descriptions. The zero value reads files, and documents over
// HTTP without credentials. It is safe for concurrent use.
type Resolver struct {
	// HTTP fetches the first document, and imported ones of the same origin
	// (scheme, host and port). Set it to a client whose transport logs in, such
	// as one with an authclient.Transport, to read protected descriptions.
	// Redirects that leave the origin are followed with Other. Nil means Other.
	HTTP *http.Client

	// Other fetches documents of other origins, so it must carry no
	// credentials. Nil means a client that does not connect to private
	// addresses, unless the first document is a file or came from one.
	Other *http.Client

	// Catalog maps locations and namespaces to the URI to read instead.
	Catalog map[string]string

	// AllowPrivate lets a description from a public address import from
	// private ones. Danger: whoever controls the description makes this
	// process send requests inside the network.
	AllowPrivate bool

	// AllowBroken takes a description although documents it imports and needs
	// cannot be read. What was in them is taken as any XML, and operations
	// without a message are left out. Danger: what was lost by mistake is not
	// noticed.
	AllowBroken bool

	// OnDocument, if set, is told of each document that was read, by Open's own
	// goroutine: for a display of progress.
	OnDocument func(uri string)

	MaxDocuments int   // zero means DefaultMaxDocuments
	MaxBytes     int64 // of all documents together; zero means DefaultMaxBytes
	MaxDepth     int   // of imports; zero means DefaultMaxDepth
}

// Open reads the WSDL at uri, a path or a file, http or https URL, with
// everything it imports. A description with mistakes gives an *Error.
func (r *Resolver) Open(ctx context.Context, uri string) (*Definitions, error) {
	l := newLoader(r)
	abs, err := absolute(uri)
	if err != nil {
		return nil, fmt.Errorf("wsdl: open %s: %w", clip(uri), err)
	}
	main, err := l.read(ctx, abs, "", Position{}, 0)
	if len(l.probs.list) > 0 { // it is not even XML
		return nil, &Error{Problems: l.probs.list, NotWSDL: true, LoginForm: l.login}
	}
	if err != nil {
		return nil, err
	}
	switch main.root.name {
	case QName{nsWSDL, "definitions"}:
	case QName{nsWSDL20, "description"}:
		l.probs.add(main.root.pos, nil, "this is WSDL 2.0, which is not supported; ask the service for WSDL 1.1")
		return nil, l.probs.err()
	case QName{nsXSD, "schema"}:
		l.probs.add(main.root.pos, nil, "this is an XML schema, not a WSDL; open the WSDL that imports it")
		return nil, l.probs.err()
	default:
		l.probs.add(main.root.pos, nil, "this is not a WSDL: the document element is %s%s", main.root.name, l.moved)
		return nil, &Error{Problems: l.probs.list, NotWSDL: true}
	}
	l.wsdl(ctx, main, 0)
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("wsdl: open %s: %w", clip(uri), err)
	}
	if l.tooMany() {
		l.probs.add(main.root.pos, ErrTooLarge, "there are more than %d components and references to documents", maxComponents)
		return nil, l.probs.err()
	}
	d := l.define(main)
	if len(l.probs.list) > 0 {
		return nil, &Error{Problems: l.probs.list, More: l.probs.more, Broken: l.broken}
	}
	return d, nil
}

func newLoader(r *Resolver) *loader {
	return &loader{
		r:       r,
		fetch:   newFetcher(r),
		docs:    map[string]*loaded{},
		refs:    map[*node]bool{},
		schemas: map[schemaKey]*schema{},
		syms:    map[symKey]*symbol{},
		byNS:    map[string]bool{},
		brought: map[string]bool{},
		stand:   map[QName]*Element{},
		warn:    problems{max: maxDropped},
		types:   newBuiltinTypes(),
		maxDocs: orDefault(r.MaxDocuments, DefaultMaxDocuments),
		left:    orDefault(r.MaxBytes, DefaultMaxBytes),
		depth:   orDefault(r.MaxDepth, DefaultMaxDepth),
	}
}

func orDefault[T int | int64](v, def T) T {
	if v <= 0 {
		return def
	}
	return v
}

// absolute makes a URL of a path; URLs stay as they are.
func absolute(uri string) (string, error) {
	if u, err := url.Parse(uri); err == nil && len(u.Scheme) > 1 {
		return uri, nil
	}
	p, err := filepath.Abs(uri)
	if err != nil {
		return "", err
	}
	p = filepath.ToSlash(p)
	if !strings.HasPrefix(p, "/") {
		p = "/" + p // a drive letter
	}
	return (&url.URL{Scheme: "file", Path: p}).String(), nil
}

// relative resolves a location found in base.
func relative(base, location string) (string, error) {
	b, err := url.Parse(base)
	if err != nil {
		return "", err
	}
	// Tools on Windows write backslashes and spaces into relative locations.
	location = strings.ReplaceAll(strings.TrimSpace(location), `\`, "/")
	u, err := url.Parse(location)
	if err != nil {
		return "", errors.New("the location is not a URI")
	}
	if len(u.Scheme) == 1 { // C:/x.xsd
		u = &url.URL{Scheme: "file", Path: "/" + location}
	}
	u = b.ResolveReference(u)
	u.Fragment = ""
	return u.String(), nil
}

// origin returns scheme://host:port of an http URL, "" of other URIs.
func origin(u *url.URL) string {
	scheme := strings.ToLower(u.Scheme)
	port := u.Port()
	switch scheme {
	case "http":
		port = orString(port, "80")
	case "https":
		port = orString(port, "443")
	default:
		return ""
	}
	return scheme + "://" + strings.ToLower(u.Hostname()) + ":" + port
}

func orString(s, def string) string {
	if s == "" {
		return def
	}
	return s
}

// shown is how positions and messages name a document: paths stay paths.
func shown(uri string) string {
	u, err := url.Parse(uri)
	if err != nil {
		return clip(uri)
	}
	if u.Scheme == "file" {
		return filepath.FromSlash(u.Path)
	}
	return u.Redacted()
}
