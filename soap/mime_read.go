package soap

import (
	"encoding/base64"
	"errors"
	"io"
	"mime/multipart"
	"net/url"
	"slices"
	"strings"
	"sync"

	"github.com/soapward/soapward/soap/wire"
)

// OpenParts reads body up to the end of the envelope and returns a Reader over
// it, with what follows: the Attachments, nil if the message is not multipart.
// Codecs get them from the Reader as []byte or wire.Binary (XOP 1.0, Attachments
// Profile 1.0); Next yields those that nothing refers to. Until Attachments is
// closed, body must stay open. Limits.Bytes bounds the envelope.
//
// Errors are those of Open.
func (c Content) OpenParts(body io.Reader, o wire.Options, l AttachmentLimits) (*wire.Reader, *Attachments, error) {
	o.Charset = c.Charset
	if c.Type != typeMultipart {
		r, err := wire.ReadFrom(body, o)
		return r, nil, err
	}
	o = o.WithDefaults()
	limit := o.Limits.Bytes
	l = l.withDefaults(limit)
	g := newGate(body, c.boundary, limit+l.Total, l)
	a := &Attachments{
		mr: multipart.NewReader(g, c.boundary), gate: g, lim: l,
		byID: map[string]*part{}, byName: map[string]*part{}, unread: true,
		spool: spool{dir: l.Dir, memory: l.Memory, max: l.Spool},
	}
	root, err := a.envelope(trimID(c.start), limit)
	if err != nil {
		_ = a.Close()
		return nil, nil, err
	}
	rc := ParseContentType(a.root.header.Get("Content-Type"))
	a.Action = rc.Action
	g.left = l.Total
	o.Parts, o.XOP, o.Charset = a, rc.Type == typeXOP, rc.Charset
	r := wire.NewReader(root, o)
	return r, a, nil
}

// Attachments are the parts of a received message behind its envelope. They
// are read from the connection as they are asked for: in the order of their
// arrival nothing is stored. A part that is passed over is kept for later, see
// AttachmentLimits, unless its Binary was closed.
//
// It is safe for concurrent use. A nil *Attachments has no parts.
type Attachments struct {
	// Action is what the envelope's part says of it (SOAP 1.2).
	Action string

	mu     sync.Mutex
	mr     *multipart.Reader
	gate   *gate
	lim    AttachmentLimits
	spool  spool
	byID   map[string]*part // arrived or referred to
	byName map[string]*part // referred to by the name in the WSDL
	queue  []*part          // arrived, nothing refers to them
	root   *part
	cur    *part
	count  int
	wanted int // references that were neither read nor closed

	unread  bool // somebody may call Next
	done    bool // the last part has arrived
	closed  bool
	err     error  // what is wrong with the message
	release func() // of the connection, once
	again   int64  // bytes read by references to parts that others had read
}

// envelope reads parts up to the one that holds the envelope: the one called
// start, or else the first (RFC 2387 3.2).
func (a *Attachments) envelope(start string, limit int64) ([]byte, error) {
	for {
		p, err := a.advance()
		if err != nil {
			return nil, err
		}
		if p == nil {
			return nil, &ContentError{Msg: "no part holds the envelope"}
		}
		if start != "" && p.id != start {
			continue
		}
		a.root = p
		if strings.HasPrefix(ParseContentType(p.header.Get("Content-Type")).Type, "multipart/") {
			return nil, &ContentError{Msg: "the envelope is itself multipart"}
		}
		p.stream.left = limit + 1 // AttachmentLimits.Part is not for it
		b, err := io.ReadAll(io.LimitReader(p.stream, limit+1))
		if int64(len(b)) > limit {
			return nil, &wire.LimitError{Pos: wire.Pos{Line: 1, Column: 1}, Limit: "bytes", Max: limit}
		}
		if err != nil {
			return nil, a.fail(partError(err))
		}
		p.gone = true
		a.dequeue(p)
		return b, nil
	}
}

// advance goes to the next part, nil at the end. What is left of the current
// one is kept if somebody may want it.
func (a *Attachments) advance() (*part, error) {
	if err := a.settle(); err != nil || a.done {
		return nil, err
	}
	a.gate.header = a.gate.headerMax + multipartBuffer
	mp, err := a.mr.NextPart()
	a.gate.header = -1
	switch {
	case a.gate.err != nil:
		return nil, a.fail(a.gate.err)
	case err == io.EOF && a.gate.end:
		a.done = true
		return nil, nil
	case err == io.EOF:
		err = io.ErrUnexpectedEOF
		fallthrough
	case err != nil:
		return nil, a.fail(partError(err))
	}
	if a.count++; a.count > a.lim.Count {
		return nil, a.fail(overLimit(limitParts, int64(a.lim.Count)))
	}
	id := trimID(mp.Header.Get("Content-Id"))
	p, err := a.arrived(id)
	if err != nil {
		return nil, a.fail(err)
	}
	p.id, p.header = id, mp.Header
	var r io.Reader = mp // which has decoded quoted-printable
	switch cte := strings.ToLower(strings.TrimSpace(mp.Header.Get("Content-Transfer-Encoding"))); cte {
	case "", "binary", "8bit", "7bit":
	case "base64":
		r = base64.NewDecoder(base64.StdEncoding, mp)
	default:
		return nil, a.fail(&ContentError{Msg: "a part has an unknown Content-Transfer-Encoding"})
	}
	p.stream = &bounded{r: r, left: a.lim.Part, max: a.lim.Part}
	if p.refs == 0 {
		a.queue = append(a.queue, p)
	}
	a.cur = p
	return p, nil
}

// arrived returns the part with that Content-ID, which something may have
// referred to.
func (a *Attachments) arrived(id string) (*part, error) {
	if id == "" {
		return &part{}, nil
	}
	p := a.byID[id]
	if p != nil && p.header != nil {
		return nil, &ContentError{Msg: "two parts have the same Content-ID"}
	}
	if p == nil {
		name, ok := attachmentName(id)
		if !ok {
			name = id // peers that take the bare name
		}
		if p = a.byName[name]; p != nil && p.header != nil {
			return nil, &ContentError{Msg: "two attachments have the same name"}
		}
	}
	if p == nil {
		p = &part{}
	}
	a.byID[id] = p
	return p, nil
}

// settle reads the rest of the current part.
func (a *Attachments) settle() error {
	p := a.cur
	if a.err != nil || p == nil {
		return a.err
	}
	if p.gone || p.refs == 0 && !a.unread {
		p.gone = true
		if _, err := io.Copy(io.Discard, p.stream); err != nil {
			return a.fail(partError(err))
		}
	} else if err := a.keep(p); err != nil {
		return err
	}
	a.cur = nil
	return nil
}

// keep stores what is left of the current part.
func (a *Attachments) keep(p *part) error {
	if p.kept != nil {
		return nil
	}
	k, err := a.spool.keep(p.stream)
	if err != nil {
		return a.fail(partError(err))
	}
	p.kept = k
	return nil
}

// fail ends the stream.
func (a *Attachments) fail(err error) error {
	if a.err == nil {
		a.err = err
	}
	return a.err
}

// Err returns what is wrong with the message, as far as that has been seen.
func (a *Attachments) Err() error {
	if a == nil {
		return nil
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.err
}

// partError is an error of reading a part: a limit, what the body says, or
// that it is malformed.
func partError(err error) error {
	var (
		limit *wire.LimitError
		mixed *ContentError
		ours  *spoolError
	)
	if errors.As(err, &limit) || errors.As(err, &mixed) || errors.As(err, &ours) {
		return err
	}
	return &ContentError{"malformed", err}
}

func trimID(id string) string {
	id = strings.TrimSpace(id)
	if n := len(id); n >= 2 && id[0] == '<' && id[n-1] == '>' {
		id = id[1 : n-1]
	}
	return id
}

// attachmentName returns the name in a Content-ID name=unique@domain.
// Attachments Profile 1.0 3.8.
func attachmentName(id string) (string, bool) {
	name, _, ok := strings.Cut(id, "=")
	if !ok || !strings.Contains(id, "@") {
		return "", false
	}
	if u, err := url.PathUnescape(name); err == nil {
		name = u
	}
	return name, name != ""
}

// find goes on until p has arrived.
func (a *Attachments) find(p *part) error {
	for p.header == nil {
		if a.closed {
			return ErrAttachmentsClosed
		}
		next, err := a.advance()
		if err != nil {
			return err
		}
		if next == nil {
			return a.fail(p.missing()) // the message is not what it should be
		}
	}
	return nil
}

// Part implements wire.Parts.
func (a *Attachments) Part(id string) (wire.Binary, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	p, err := a.reference(id)
	if err != nil {
		return wire.Binary{}, err
	}
	return a.binary(p), nil
}

func (a *Attachments) reference(id string) (*part, error) {
	p := a.byID[id]
	switch {
	case p != nil && p == a.root:
		return nil, &ContentError{Msg: "the envelope refers to itself as an attachment"}
	case p == nil && (a.done || id == ""):
		return nil, (&part{}).missing()
	case p == nil:
		if len(a.byID) > 2*a.lim.Count {
			return nil, overLimit(limitParts, int64(a.lim.Count))
		}
		p = &part{}
		a.byID[id] = p
	}
	return p, nil
}

// binary returns p as content that somebody will read.
func (a *Attachments) binary(p *part) wire.Binary {
	p.refs++
	a.wanted++
	a.dequeue(p)
	b := wire.SourceBinary(&partRef{a: a, p: p})
	if ct := p.header.Get("Content-Type"); checkMediaType(ct) == nil {
		b.ContentType = ct
	}
	return b
}

// dequeue takes a part that something refers to from those for Next.
func (a *Attachments) dequeue(p *part) {
	a.queue = slices.DeleteFunc(a.queue, func(q *part) bool { return q == p })
}

// Named implements wire.Parts.
func (a *Attachments) Named(name string) (wire.Binary, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if p := a.byName[name]; p != nil {
		return a.binary(p), nil
	}
	for _, p := range a.queue {
		if n, ok := attachmentName(p.id); ok && n == name || p.id == name {
			a.byName[name] = p
			return a.binary(p), nil
		}
	}
	p := &part{name: name}
	if a.done {
		return wire.Binary{}, p.missing()
	}
	a.byName[name] = p
	return a.binary(p), nil
}

// Load implements wire.Parts. What it returns is kept until the message is
// closed, since a part may be included more than once.
func (a *Attachments) Load(id string, limit int64) ([]byte, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	p, err := a.reference(id)
	if err != nil {
		return nil, err
	}
	if p.refs == 0 {
		p.refs = 1
		a.dequeue(p)
	}
	if err := a.find(p); err != nil {
		return nil, err
	}
	if p.kept == nil {
		b, err := io.ReadAll(io.LimitReader(p.stream, limit+1))
		if err != nil {
			return nil, a.fail(partError(err))
		}
		p.kept = &kept{memory: b, n: int64(len(b))}
		if int64(len(b)) <= limit {
			return b, nil
		}
	}
	if p.kept.n > limit {
		return nil, wire.ErrBinaryTooLong
	}
	return io.ReadAll(p.kept.reader())
}

// Next returns the next part that nothing in the envelope refers to, io.EOF
// behind the last. Call it when the message has been decoded.
func (a *Attachments) Next() (*Attachment, error) {
	if a == nil {
		return nil, io.EOF
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	for len(a.queue) == 0 {
		if a.closed {
			return nil, ErrAttachmentsClosed
		}
		p, err := a.advance()
		if err != nil {
			return nil, err
		}
		if p == nil {
			return nil, io.EOF
		}
	}
	p := a.queue[0]
	at := &Attachment{ID: p.id, Header: p.header}
	at.Name, _ = attachmentName(p.id)
	at.Binary = a.binary(p) // takes it off the queue
	return at, nil
}

// Drain reads what nobody has asked for, up to the limits, so that the peer can
// finish sending, and tells whether the message was complete. Parts that were
// not read are gone then, but for those that Parts.Keep stored.
func (a *Attachments) Drain() error {
	if a == nil {
		return nil
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.unread = false
	for !a.closed && !a.done && a.err == nil {
		if a.cur != nil && a.cur.kept == nil {
			a.cur.gone = true
		}
		if p, err := a.advance(); err == nil && p != nil {
			p.gone = true
		}
	}
	return a.err
}

// keepAll reads all parts into memory.
func (a *Attachments) keepAll() error {
	if a == nil {
		return nil
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	for {
		if p, err := a.advance(); err != nil || p == nil {
			return err
		}
	}
}

// Close ends the reading of attachments and frees what they hold. It is
// harmless when called again.
func (a *Attachments) Close() error {
	if a == nil {
		return nil
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.close()
}

func (a *Attachments) close() error {
	if a.closed {
		return nil
	}
	a.closed = true
	a.cur, a.queue = nil, nil
	err := a.spool.close()
	if a.release != nil {
		a.release()
	}
	return err
}

// CloseWhenRead makes the last Binary that is read to its end or closed close
// the message, which calls release. If nothing refers to any part, that is now,
// unless the caller will use Next.
func (a *Attachments) CloseWhenRead(release func(), next bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.release = release
	a.unread = next
	if a.closed {
		release()
		return
	}
	a.settled()
}

// settled closes the message if nobody wants anything of it any more.
func (a *Attachments) settled() {
	if a.release == nil || a.unread || a.wanted > 0 || a.closed {
		return
	}
	if p := a.cur; p == nil || p.stream.ended {
		_, _ = a.advance() // the end of the message, mostly: the connection can be used again
	}
	_ = a.close()
}
