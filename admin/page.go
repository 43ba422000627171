package admin

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/soapward/soapward/directory/store"
)

// Bounds of a page.
const (
	defaultPage = 50
	maxPage     = 1000
)

// maxCursor bounds what is read of a Next that somebody sends back.
const maxCursor = 4096

func pageSize(limit int) (int, error) {
	switch {
	case limit == 0:
		return defaultPage, nil
	case limit < 0 || limit > maxPage:
		return 0, invalid("limit", fmt.Sprintf("%d at once cannot be asked for", limit), fmt.Sprintf("1 to %d", maxPage))
	}
	return limit, nil
}

// listing is how each list begins, for who may see it: its store, and the size of a
// page.
func (s *Service) listing(ctx context.Context, limit int) (st *store.Store, size int, err error) {
	if _, err := need(ctx, Viewer); err != nil {
		return nil, 0, err
	}
	if st, err = s.store(); err != nil {
		return nil, 0, err
	}
	size, err = pageSize(limit)
	return st, size, err
}

// A place is where a page ends: the last row of it. Nothing is trusted that comes
// back: it says where to go on, and cannot say what may be seen.
type place struct {
	List string `json:"l"` // that it is of
	Name string `json:"n,omitempty"`
	At   int64  `json:"t,omitempty"` // in microseconds
	ID   int64  `json:"i,omitempty"`
}

func (p place) time() time.Time { return time.UnixMicro(p.At).UTC() }

// String returns the place as Next has it.
func (p place) String() string {
	b, err := json.Marshal(p)
	if err != nil {
		panic("admin: " + err.Error()) // it has nothing that JSON does not know
	}
	return base64.RawURLEncoding.EncodeToString(b)
}

func badPlace() error {
	return invalid("after", "this is no place in the list", "take next of the page before, or begin without after")
}

// placeOf reads the After of a query for a list.
func placeOf(list, after string) (p place, err error) {
	if len(after) > maxCursor || strings.ContainsAny(after, "\r\n") { // which base64 overlooks
		return p, badPlace()
	}
	raw, err := base64.RawURLEncoding.Strict().DecodeString(after)
	if err != nil {
		return p, badPlace()
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	d.DisallowUnknownFields()
	if err := d.Decode(&p); err != nil || p.List != list {
		return p, badPlace()
	}
	if _, err := d.Token(); err != io.EOF { // more after it
		return p, badPlace()
	}
	return p, nil
}

// cut returns the first of rows, and whether there are more. One more than a page
// has was asked for, to know that.
func cut[T any](rows []T, size int) ([]T, bool) {
	if len(rows) > size {
		return rows[:size], true
	}
	return rows, false
}
