package authclient

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
)

// requestBody hands out a request's body once for each time it is sent.
type requestBody struct {
	spool *spool // with Transport.Replay; the rest is without

	first io.ReadCloser                 // nil when there is no body
	again func() (io.ReadCloser, error) // nil when it can be sent only once
	used  bool
}

// newRequestBody prepares req's body. One without GetBody is kept in memory up
// to limit bytes; a longer one can be sent only once.
func newRequestBody(req *http.Request, limit int64) (*requestBody, error) {
	b := &requestBody{first: req.Body, again: req.GetBody}
	if req.Body == nil || req.Body == http.NoBody {
		return &requestBody{}, nil
	}
	if b.again != nil {
		return b, nil
	}
	stop := context.AfterFunc(req.Context(), func() { _ = req.Body.Close() }) // ends a Read that waits
	head, err := io.ReadAll(io.LimitReader(req.Body, limit+1))
	if !stop() {
		return nil, context.Cause(req.Context())
	}
	if err != nil {
		_ = req.Body.Close()
		return nil, fmt.Errorf("authclient: read request body: %w", err)
	}
	if int64(len(head)) > limit {
		b.first = struct {
			io.Reader
			io.Closer
		}{io.MultiReader(bytes.NewReader(head), req.Body), req.Body}
		return b, nil
	}
	_ = req.Body.Close()
	b.again = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(head)), nil }
	b.first, _ = b.again()
	return b, nil
}

// open returns the body for the next time the request is sent.
func (b *requestBody) open() (io.ReadCloser, error) {
	switch {
	case b.spool != nil:
		return b.spool.open()
	case b.first == nil:
		return http.NoBody, nil
	case !b.used:
		b.used = true
		return b.first, nil
	case b.again == nil:
		return nil, ErrBodyNotReplayable
	}
	return b.again()
}

// canOpen reports whether open would succeed.
func (b *requestBody) canOpen() bool {
	if b.spool != nil {
		return b.spool.canOpen()
	}
	return b.first == nil || !b.used || b.again != nil
}

// isEmpty reports whether there is no body.
func (b *requestBody) isEmpty() bool { return b.first == nil && b.spool == nil }

// streams reports whether the body is sent as it comes.
func (b *requestBody) streams() bool { return b.spool != nil && b.spool.size < 0 }

// close closes a body that was never sent.
func (b *requestBody) close() {
	if b.spool != nil {
		b.spool.close()
		return
	}
	if b.first != nil && !b.used {
		b.used = true
		_ = b.first.Close()
	}
}
