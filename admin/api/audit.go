package api

import (
	"encoding/csv"
	"net/http"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/soapward/soapward/admin"
)

// exportQuery asks for logins without a page's limit.
type exportQuery struct {
	User      string    `json:"user,omitempty"`
	Peer      string    `json:"peer,omitempty"`
	Outcome   string    `json:"outcome,omitempty"`
	Mechanism string    `json:"mechanism,omitempty"`
	Reason    string    `json:"reason,omitempty"`
	Ref       string    `json:"ref,omitempty"`
	Since     time.Time `json:"since,omitzero"`
	Until     time.Time `json:"until,omitzero"`
	Format    string    `json:"format,omitempty"` // jsonl, which it is without one, or csv
}

func (q *exportQuery) logins() admin.LoginQuery {
	return admin.LoginQuery{
		User: q.User, Peer: q.Peer, Outcome: q.Outcome, Mechanism: q.Mechanism, Reason: q.Reason, Ref: q.Ref,
		Since: q.Since, Until: q.Until, Limit: pageOfExport,
	}
}

// followQuery asks for logins as they come.
type followQuery struct {
	User      string `json:"user,omitempty"`
	Peer      string `json:"peer,omitempty"`
	Outcome   string `json:"outcome,omitempty"`
	Mechanism string `json:"mechanism,omitempty"`
	Reason    string `json:"reason,omitempty"`
	NewerID   int64  `json:"newer_id,omitempty"` // those after this one; zero: from now on
}

const (
	pageOfExport = 1000      // logins at a time
	maxExport    = 1_000_000 // logins

	followStep = time.Second      // between two looks
	followTime = 15 * time.Minute // until a client has to come again
)

var auditRows = []endpoint{
	ask(endpoint{
		area: areaAudit, method: http.MethodGet, path: "/logins", role: admin.Viewer,
		summary: "List logins and refusals", more: "The newest first; with `newer_id` those that came since, the oldest first. A page may have fewer than `limit`, or none, and more come after it: go on while there is `next`, or `newer_id`.",
		errors: []admin.Kind{admin.Invalid},
	}, func(c *call, q admin.LoginQuery) (*admin.LoginPage, error) { return c.Logins(c.r.Context(), q) }),
	stream[followQuery, admin.Login](endpoint{
		area: areaAudit, method: http.MethodGet, path: "/logins/follow", role: admin.Viewer,
		summary: "Logins as they come", more: "Those after `newer_id`, or from now on, within about a second. An empty line says that nothing came. It ends after 15 minutes at the latest, and within seconds when the login ends: come again with `newer_id`.",
		errors: []admin.Kind{admin.Invalid},
	}, follow),
	stream[exportQuery, admin.Login](endpoint{
		area: areaAudit, method: http.MethodGet, path: "/logins/export", role: admin.Viewer, media: []string{"application/jsonl", "text/csv"}, export: true,
		summary: "Export logins", more: "At most 1,000,000, the newest first, as `format` says: `jsonl`, which it is without one, or `csv`. An administrator has two exports at a time. In CSV, a cell that a spreadsheet would take for a formula begins with an apostrophe.",
		errors: []admin.Kind{admin.Invalid},
	}, export),
	ask(endpoint{
		area: areaAudit, method: http.MethodGet, path: "/changes", role: admin.Viewer,
		summary: "List what administrators changed", more: "The newest first. `action` may be how an action begins, with a dot at its end: `user.`",
		errors: []admin.Kind{admin.Invalid},
	}, func(c *call, q admin.ChangeQuery) (*admin.ChangePage, error) { return c.Changes(c.r.Context(), q) }),
}

// follow writes logins as they come, until the client leaves.
func follow(c *call, f followQuery) error {
	ctx := c.r.Context()
	logins := admin.NewFollower(c, admin.LoginQuery{User: f.User, Peer: f.Peer, Outcome: f.Outcome, Mechanism: f.Mechanism, Reason: f.Reason, NewerID: f.NewerID})
	l := c.lines()
	defer l.stop()
	look, end := time.NewTicker(followStep), time.NewTimer(followTime)
	defer look.Stop()
	defer end.Stop()
	for {
		list, more, err := logins.Next(ctx)
		switch {
		case err != nil && c.begun && ctx.Err() != nil:
			return nil // who comes again is told why
		case err != nil:
			return err
		}
		for i := range list {
			if err := l.write(&list[i]); err != nil {
				return err
			}
		}
		if !c.begun {
			if err := l.heartbeat(); err != nil { // so that the client knows that it begins
				return err
			}
		}
		now := look.C
		if more {
			now = already
		}
		select {
		case <-ctx.Done():
			return nil
		case <-end.C:
			return nil
		case <-l.beat.C:
			if err := l.heartbeat(); err != nil {
				return err
			}
		case <-now:
		}
	}
}

// already is a time that has come.
var already = func() <-chan time.Time {
	c := make(chan time.Time)
	close(c)
	return c
}()

// export writes logins page by page.
func export(c *call, q exportQuery) error {
	var row func(*admin.Login) error
	l := c.lines()
	defer l.stop()
	switch q.Format {
	case "", "jsonl":
		row = func(n *admin.Login) error { return l.put(n) }
	case "csv":
		l.media = "text/csv; charset=utf-8; header=present" // RFC 4180 3, RFC 7111 5.1
		w := csv.NewWriter(l)
		w.UseCRLF = true
		head := false
		row = func(n *admin.Login) error {
			if !head {
				head = true
				if err := w.Write(csvHead); err != nil {
					return err
				}
			}
			if n == nil {
				w.Flush()
				return w.Error()
			}
			if err := w.Write(csvRow(n)); err != nil {
				return err
			}
			w.Flush()
			return w.Error()
		}
	default:
		return &admin.Error{Kind: admin.Invalid, Text: "format is jsonl or csv", Field: "format"}
	}
	query := q.logins()
	for n := 0; ; {
		page, err := c.Logins(c.r.Context(), query)
		if err != nil {
			return err
		}
		if !c.begun {
			ext := "jsonl"
			if q.Format == "csv" {
				ext = "csv"
			}
			c.w.Header().Set("Content-Disposition", `attachment; filename="logins.`+ext+`"`)
		}
		for i := range page.Logins {
			if err := row(&page.Logins[i]); err != nil {
				return err
			}
			if n++; n == maxExport {
				page.Next = ""
				break
			}
		}
		if query.After = page.Next; query.After == "" {
			break
		}
	}
	if q.Format == "csv" {
		if err := row(nil); err != nil { // the head, if there was nothing else
			return err
		}
	}
	return l.flush()
}

var csvHead = []string{"id", "time", "outcome", "user", "sid", "realm", "mechanism", "peer", "user_agent", "reason", "detail", "ref"}

func csvRow(n *admin.Login) []string {
	row := []string{
		strconv.FormatInt(n.ID, 10), n.Time.UTC().Format(time.RFC3339Nano), n.Outcome, n.User, n.SID, n.Realm, n.Mechanism, n.Peer,
		n.UserAgent, n.Reason, n.Detail, n.Ref,
	}
	for i := range row {
		row[i] = cell(row[i])
	}
	return row
}

// cell is a text that no spreadsheet takes for a formula, behind what it does not
// show, or in wide letters, neither. Users choose what they log in as.
func cell(s string) string {
	s = strings.ReplaceAll(s, "\x00", "")
	shown := strings.TrimLeft(s, " \t\r\n\v\f\u00a0\u200b\ufeff")
	first, _ := utf8.DecodeRuneInString(shown)
	if shown != "" && (shown != s || strings.ContainsRune("=+-@|%＝＋－＠", first)) {
		return "'" + s
	}
	return s
}
