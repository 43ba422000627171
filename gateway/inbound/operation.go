package inbound

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strings"

	"github.com/soapward/soapward/gateway/config"
	"github.com/soapward/soapward/gateway/publish"
	"github.com/soapward/soapward/soap"
)

// What is wrong with a message as a whole.
var (
	errHead        = errors.New("the operation is not found at the start of the message")
	errEmptyBody   = errors.New("the envelope's body is empty, and no operation takes that")
	errNoMessage   = errors.New("a SOAPAction without a message")
	errEncoding    = errors.New("content encoding not supported: send the message as it is")
	errBinary      = errors.New("messages must be written as XML")
	errContentType = errors.New("more than one Content-Type, or one that cannot be read")
	errTwoActions  = errors.New("the request names two different actions")
	errAction      = errors.New("the action does not belong to the operation in the body")
	errManyActions = errors.New("the message has more actions than are looked at")
	errAmbiguous   = errors.New("several operations take that body: send a SOAPAction")
)

// messages is how the messages of a service are looked at. It does not change.
type messages struct {
	rules bool // rules or elements name operations: what cannot be looked at is refused
	early bool // the operation decides on the login

	head      int // bytes in which the operation must be found
	anyAction bool
	multiref  bool

	described bool
	byBody    map[string][]publish.Operation // {namespace}local
	byAction  map[string]bool
}

// newMessages returns nil for a service that is not SOAP.
func newMessages(c config.SOAP, rules, early bool, described []publish.Operation, wsdl bool) *messages {
	if !rules && !wsdl {
		return nil
	}
	m := &messages{
		rules: rules, early: early, head: c.MaxHead << 10, anyAction: c.AllowAnyAction, multiref: c.AllowMultiref,
		described: wsdl, byBody: map[string][]publish.Operation{}, byAction: map[string]bool{},
	}
	if m.head == 0 {
		m.head = 64 << 10
	}
	for _, op := range described {
		m.byBody[op.Body] = append(m.byBody[op.Body], op)
		if op.Action != "" {
			m.byAction[op.Action] = true
		}
	}
	return m
}

// found is what is known of a message.
type found struct {
	version   soap.Version // zero: it is none
	operation string       // in Clark notation

	// bare is the operation that XML without an envelope would be if its root were
	// the first element of a body, as some servers take it (Axis2, WCF).
	bare string
}

// hasBody reports whether a request has one, as far as its head says.
func hasBody(r *http.Request) bool {
	return r.Body != nil && r.Body != http.NoBody && r.ContentLength != 0
}

// look reads the start of the request's body, finds out the operation, and gives
// the request a body that is the same, and looked at further while somebody reads
// it. fail is told if it turns out then to be what must not be passed on.
func (m *messages) look(r *http.Request, fail func(error)) (f found, err error) {
	if !hasBody(r) {
		return f, nil
	}
	if e := strings.ToLower(strings.TrimSpace(strings.Join(r.Header["Content-Encoding"], ","))); e != "" && e != "identity" {
		if m.rules {
			return f, &messageError{status: http.StatusUnsupportedMediaType, cause: errEncoding}
		}
		return f, nil
	}
	types := r.Header["Content-Type"]
	contentType := strings.Join(types, ", ")
	l := look{m: m, content: soap.ParseContentType(contentType)}
	if m.rules && (len(types) > 1 || contentType != "" && l.content.Type == "") {
		return f, &messageError{cause: errContentType}
	}
	if m.rules && isBinary(l.content.Type) {
		return f, &messageError{status: http.StatusUnsupportedMediaType, cause: errBinary}
	}
	if strings.HasPrefix(l.content.Type, "multipart/") {
		// Also where it is another kind: gSOAP finds an envelope in form-data.
		rel, err := parseRelated(contentType)
		if err != nil {
			return f, &messageError{cause: err}
		}
		l.related = &rel
	}
	g := &guarded{ReadCloser: r.Body, fail: fail}
	s, err := l.find(r)
	g.head, g.done, g.err = l.raw, l.complete, l.head.err
	if r.ContentLength > 0 {
		g.left = r.ContentLength - int64(len(l.raw))
	}
	r.Body = g
	if err != nil || !l.envelope {
		if f.bare = clark(s.body); len(m.byBody[f.bare]) == 1 && f.bare != "" {
			f.bare = m.byBody[f.bare][0].Name
		}
		return f, err
	}
	if m.rules {
		g.check = l.checker(s)
		err := g.check.write(l.raw[max(l.root.from, 0):])
		if err == nil && l.complete {
			err = g.check.end()
		}
		if err != nil {
			return f, &messageError{cause: err}
		}
	}
	f.version = s.version
	if s.many && !m.anyAction {
		return f, &messageError{code: actionMismatch, cause: errManyActions}
	}
	f.operation, err = m.operation(s, l.actions(r, contentType, s))
	return f, err
}

// isBinary reports whether a type is that of messages which are not written as
// XML: DIME, which gSOAP takes, Fast Infoset, EXI, and those of WCF.
func isBinary(mediaType string) bool {
	if strings.Contains(mediaType, "soap") {
		return mediaType != "application/soap+xml"
	}
	for _, s := range []string{"dime", "fastinfoset", "exi", "msbin"} {
		if strings.HasSuffix(mediaType, "/"+s) || strings.HasSuffix(mediaType, "+"+s) || strings.Contains(mediaType, s+"1") {
			return true
		}
	}
	return false
}

// look is one look at a message.
type look struct {
	m       *messages
	content soap.Content
	*related
	head

	root     root
	envelope bool // there is one
}

// find reads until the first element in the body is known.
func (l *look) find(r *http.Request) (s start, err error) {
	if n := r.ContentLength; n > 0 && n <= int64(l.m.head) {
		l.whole(r.Body, int(n))
	} else {
		l.more(r.Body, l.m.head)
	}
	size := 2 << 10
	for {
		if l.head.err != nil {
			return s, unreadable(l.head.err)
		}
		n := min(size, len(l.raw))
		all := l.complete && n == len(l.raw)
		if l.related == nil && l.something(l.raw[:n], all) {
			return s, nil
		}
		s, ok, err := l.parse(l.raw[:n], all)
		switch {
		case ok:
			l.envelope = true
			return s, nil
		case errors.Is(err, errNotSOAP) && l.other():
			return s, nil
		case err != nil && (all || final(err)):
			return s, refused(err)
		case n < len(l.raw):
			size *= 2
		case all: // white space
			if l.content.IsXML() {
				return s, &messageError{cause: errHead}
			}
			return s, nil
		case len(l.raw) >= l.m.head:
			return s, &messageError{cause: errHead, hint: "services.NAME.soap.max_head bounds it"}
		default:
			l.tried = n
			l.more(r.Body, l.m.head)
			size = len(l.raw)
		}
	}
}

// something reports whether a body is something else than XML, by its type and by
// its first bytes.
func (l *look) something(b []byte, all bool) bool {
	if l.content.IsXML() || l.content.Multipart() {
		return false
	}
	b = bytes.TrimLeftFunc(b, isSkipped)
	return !markup(b) && (len(b) >= 4 || all && len(b) > 0)
}

// other reports whether XML that is no envelope is no message: by its type it
// need not be one.
func (l *look) other() bool {
	switch l.content.Type {
	case "text/xml", "application/soap+xml", "multipart/related":
		return false
	}
	return true
}

// parse looks for the operation in the first bytes of the message. It returns
// false without an error if it needs more.
func (l *look) parse(b []byte, all bool) (s start, ok bool, err error) {
	charset := l.content.Charset
	if l.related != nil {
		root, ok, err := l.findRoot(b)
		if !ok {
			if err == nil && all {
				err = errMultipart
			}
			if err != nil {
				err = &messageError{cause: err} // more of it does not help
			}
			return s, false, err
		}
		c := soap.ParseContentType(root.contentType)
		l.root, charset = root, c.Charset
		if b = b[root.from:]; root.to >= 0 {
			b, all = b[:root.to-root.from], true
		}
		switch {
		case l.something(b, all):
			return s, false, errNotSOAP
		case !l.other() && !envelopeType(c.Type):
			return s, false, &messageError{cause: errRootType}
		}
	}
	if isEBCDIC(b) {
		return s, false, &messageError{cause: errEBCDIC}
	}
	if !all {
		if b = cut(b); len(b) == 0 {
			return s, false, nil
		}
	}
	s, err = parse(b, charset, l.m.head)
	if err != nil && all {
		err = refused(err)
	}
	return s, err == nil, err
}

// refused makes a *messageError of an error.
func refused(err error) error {
	var bad *messageError
	if errors.As(err, &bad) {
		return err
	}
	return &messageError{cause: err}
}

func envelopeType(mediaType string) bool {
	switch mediaType {
	case "text/xml", "application/soap+xml", "application/xop+xml", "application/xml":
		return true
	}
	return false
}

// checker is for the message from its envelope on.
func (l *look) checker(s start) checker {
	sc := newScanner(s.first, l.m.multiref)
	var c checker = sc
	if w, big := isWide(l.raw[l.root.from:]); w {
		c = &wide{s: sc, big: big}
	}
	if l.related != nil {
		c = &partChecker{related: l.related, envelope: c, id: l.root.id}
	}
	return c
}

// unreadable is the refusal of a body that could not be read.
func unreadable(err error) error {
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		return &messageError{status: http.StatusRequestEntityTooLarge, cause: errors.New("the message is too large")}
	case errors.Is(err, io.ErrUnexpectedEOF):
		return &messageError{cause: errTruncated}
	}
	return &messageError{code: clientGone, cause: errors.New("the message could not be read"), hint: err.Error()}
}

// actions returns what the request says its action is, without what is empty.
func (l *look) actions(r *http.Request, contentType string, s start) (named []string) {
	add := func(a string) {
		if a != "" {
			named = append(named, a)
		}
	}
	for _, h := range r.Header["Soapaction"] {
		add(unquote(h))
	}
	for _, t := range []string{contentType, l.root.contentType} {
		if !strings.Contains(strings.ToLower(t), "action") {
			continue
		}
		add(soap.ParseContentType(t).Action)
		// Also where the version of SOAP has none there: who is behind may look.
		if _, params, err := mime.ParseMediaType(t); err == nil {
			add(params["action"])
			if _, info, err := mime.ParseMediaType(params["start-info"]); err == nil {
				add(info["action"])
			}
		}
	}
	for _, a := range s.actions {
		add(a)
	}
	return named
}

// unquote takes the quotes off a SOAPAction (SOAP 1.1 6.1.1). What is quoted in
// another way stays so, and then is no action that an operation has.
func unquote(h string) string {
	h = strings.TrimSpace(h)
	if n := len(h); n >= 2 && h[0] == '"' && h[n-1] == '"' {
		return h[1 : n-1]
	}
	return h
}

// operation returns the operation that a message is for.
func (m *messages) operation(s start, actions []string) (string, error) {
	body := clark(s.body)
	var named string
	for _, a := range actions {
		switch {
		case named == "":
			named = a
		case a != named && !m.anyAction && !m.sameOperation(s.body, a, named):
			return "", m.mismatch(errTwoActions, body, named, a)
		}
	}
	candidates := m.byBody[body]
	switch {
	case len(candidates) > 0:
		return m.choose(s.body, candidates, named)
	case body == "":
		return "", &messageError{cause: errEmptyBody}
	case named == "" || m.anyAction:
		return body, nil
	case m.byAction[named], !agrees(named, s.body):
		return "", m.mismatch(errAction, body, named)
	}
	return body, nil
}

// choose returns the one of the described operations with that body which the
// action means.
func (m *messages) choose(body xml.Name, candidates []publish.Operation, named string) (string, error) {
	if named == "" || m.anyAction {
		if len(candidates) > 1 {
			for i := range candidates {
				if named != "" && candidates[i].Action == named {
					return candidates[i].Name, nil
				}
			}
			return "", &messageError{cause: errAmbiguous}
		}
		if body.Local == "" && candidates[0].Action != "" { // it is known by its action only
			return "", &messageError{cause: errEmptyBody}
		}
		return candidates[0].Name, nil
	}
	for i := range candidates {
		if candidates[i].Action == named {
			return candidates[i].Name, nil
		}
	}
	// The action of WS-Addressing has the operation's name in it, and so has one
	// that a client made up where the description has none. One that another
	// operation has is none of them.
	if !m.byAction[named] && len(candidates) == 1 {
		op := &candidates[0]
		_, local := op.Split()
		if agrees(named, xml.Name{Space: body.Space, Local: local}) || agrees(named, body) {
			return op.Name, nil
		}
	}
	return "", m.mismatch(errAction, clark(body), named)
}

// sameOperation reports whether two actions are those of one operation: that of
// HTTP and that of WS-Addressing may differ.
func (m *messages) sameOperation(body xml.Name, a, b string) bool {
	fits := func(action string) bool {
		for _, op := range m.byBody[clark(body)] {
			_, local := op.Split()
			if op.Action == action || !m.byAction[action] && agrees(action, xml.Name{Space: body.Space, Local: local}) {
				return true
			}
		}
		return !m.byAction[action] && agrees(action, body)
	}
	return fits(a) && fits(b)
}

// agrees reports whether an action that nobody described says nothing else than
// the body: it ends with the name, or it is the namespace alone, as of services
// that have one action for all.
func agrees(action string, body xml.Name) bool {
	if body.Space != "" && strings.TrimRight(action, "/#:") == strings.TrimRight(body.Space, "/#:") {
		return true
	}
	name := strings.TrimSuffix(body.Local, "Request")
	for _, end := range []string{body.Local, name, name + "Request"} {
		rest, ok := strings.CutSuffix(action, end)
		if ok && end != "" && (rest == "" || strings.HasSuffix(rest, "/") || strings.HasSuffix(rest, "#") || strings.HasSuffix(rest, ":")) {
			return true
		}
	}
	return false
}

func (m *messages) mismatch(cause error, body string, actions ...string) error {
	hint := fmt.Sprintf("body %.200s, action %.200q", body, actions)
	if !m.described {
		hint += "; give the service its wsdl, which says what belongs together, or set soap.allow_any_action if the server never looks at actions"
	}
	return &messageError{code: actionMismatch, cause: cause, hint: hint}
}

func clark(n xml.Name) string {
	if n.Space == "" {
		return n.Local
	}
	return "{" + n.Space + "}" + n.Local
}
