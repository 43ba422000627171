package gateway

import (
	"errors"
	"io"
	"net/http"
	"sync/atomic"
	"time"
)

// lingerTime and lingerBytes bound how long, and how much, a client may go on
// sending after its answer. net/http has the same time for connections that it would
// have kept.
const (
	lingerTime  = 500 * time.Millisecond
	lingerBytes = 8 << 20
)

// serveLingering serves a request. Where the client wants the connection closed, and
// has an answer before all of its body was taken, the rest is taken and thrown away
// for a moment: else the close resets the connection, and a client that sends its
// message to the end before it looks for an answer, as gSOAP does, never sees why
// it was refused. net/http does that only for connections that the client wants kept.
func serveLingering(next http.Handler, w http.ResponseWriter, r *http.Request) {
	if !r.Close || r.ContentLength == 0 || len(r.Header["Upgrade"]) > 0 || len(r.Header["Expect"]) > 0 {
		next.ServeHTTP(w, r)
		return
	}
	c := http.NewResponseController(w)
	if c.EnableFullDuplex() != nil { // else the body ends with the answer
		next.ServeHTTP(w, r)
		return
	}
	body := &watchedBody{ReadCloser: r.Body}
	r2 := *r
	r2.Body = body
	next.ServeHTTP(w, &r2)
	if body.ended.Load() {
		return
	}
	if c.Flush() == nil && c.SetReadDeadline(time.Now().Add(lingerTime)) == nil {
		_, _ = io.CopyN(io.Discard, body.ReadCloser, lingerBytes) // the connection ends in any case
	}
}

// A watchedBody knows whether nothing more comes. Close leaves the rest to whoever
// lingers.
type watchedBody struct {
	io.ReadCloser
	ended atomic.Bool
}

func (b *watchedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if errors.Is(err, io.EOF) {
		b.ended.Store(true)
	}
	return n, err
}

func (b *watchedBody) Close() error { return nil }
