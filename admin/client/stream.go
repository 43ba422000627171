package client

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"time"

	"github.com/soapward/soapward/admin"
	"github.com/soapward/soapward/admin/api/wire"
	"github.com/soapward/soapward/directory/provision"
)

// errQuiet ends an answer that does not begin, and a stream that has no line for
// longer than one is due.
var errQuiet = errors.New("nothing came for too long")

// stream sends a request whose answer is lines, and calls each with one, until
// the end or an error of it.
func (c *Client) stream(ctx context.Context, q request, each func(line []byte) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	r, err := c.send(ctx, q, func() { cancel(errQuiet) })
	if err != nil {
		return err
	}
	defer func() { _ = r.Body.Close() }()
	if media, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type")); media != wire.JSONLines {
		return c.fail(fmt.Errorf("%w: Content-Type %.60q", ErrAnswer, r.Header.Get("Content-Type")))
	}
	quiet := time.AfterFunc(maxQuiet, func() { cancel(errQuiet) })
	defer quiet.Stop()
	for lines := bufio.NewReaderSize(r.Body, maxLine); ; {
		line, err := lines.ReadSlice('\n')
		switch {
		case errors.Is(err, bufio.ErrBufferFull):
			return c.fail(fmt.Errorf("%w: a line of more than %d bytes", ErrAnswer, maxLine))
		case errors.Is(err, io.EOF) && len(line) == 0:
			return nil
		case errors.Is(context.Cause(ctx), errQuiet):
			return c.fail(errQuiet)
		case err != nil:
			return c.fail(err)
		}
		quiet.Reset(maxQuiet)
		if line = bytes.TrimSpace(line); len(line) == 0 {
			continue
		}
		if err := each(line); err != nil {
			return err
		}
	}
}

// Synchronise implements admin.Sync. It ends the job when ctx ends.
func (c *Client) Synchronise(ctx context.Context, realm string, o admin.SyncOptions, progress func(admin.SyncProgress)) (*provision.Summary, error) {
	if realm == "" {
		return nil, nameless("the realm", "realm")
	}
	var last wire.SyncEvent
	err := c.stream(ctx, request{method: http.MethodPost, path: path("realms", arg(realm), "sync"), query: query(o)}, func(line []byte) error {
		var e wire.SyncEvent
		if err := json.Unmarshal(line, &e); err != nil {
			return c.fail(fmt.Errorf("%w: %w", ErrAnswer, err))
		}
		if e.Progress != nil && progress != nil {
			progress(*e.Progress)
		}
		if e.Summary != nil || e.Error != nil {
			last = e
		}
		return nil
	})
	switch {
	case err != nil:
		return nil, err
	case last.Summary == nil && last.Error == nil:
		return nil, c.fail(fmt.Errorf("%w: it ended without a summary", io.ErrUnexpectedEOF))
	}
	if last.Summary != nil {
		last.Summary.Took, last.Summary.Total = time.Duration(last.Millis)*time.Millisecond, last.Total
	}
	if last.Error != nil {
		return last.Summary, last.Error
	}
	return last.Summary, nil
}

// Follow calls each with logins as they come, those after q.NewerID, or from now
// on. It returns when the server ends it, which it does now and then, so that
// whoever wants more comes again with the last ID; the error of each; or, when
// ctx ends, that of ctx. What q says of pages and times does not count.
func (c *Client) Follow(ctx context.Context, q admin.LoginQuery, each func(admin.Login) error) error {
	what := query(admin.LoginQuery{User: q.User, Peer: q.Peer, Outcome: q.Outcome, Mechanism: q.Mechanism, Reason: q.Reason, NewerID: q.NewerID})
	return c.stream(ctx, request{method: http.MethodGet, path: "/logins/follow", query: what}, func(line []byte) error {
		var l admin.Login
		if err := json.Unmarshal(line, &l); err != nil {
			return c.fail(fmt.Errorf("%w: %w", ErrAnswer, err))
		}
		return each(l)
	})
}
