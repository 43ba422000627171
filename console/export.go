package console

import (
	"bufio"
	"context"
	"encoding/csv"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/soapward/soapward/admin"
	"github.com/soapward/soapward/authn"
)

// Bounds of an export.
const (
	maxExports   = 2         // of a caller at a time
	maxExport    = 1_000_000 // rows
	exportPage   = 1000      // rows that are read at once, the most that admin.Audit gives
	exportWrites = time.Minute
)

// A table is a record that can be exported.
type table struct {
	name    string
	columns []string

	// pages checks a query and returns what reads the rows after others.
	pages func(Areas, url.Values) (pageOf, error)
}

type pageOf func(ctx context.Context, after string, limit int) (rows []row, next string, err error)

// A row is one of a table.
type row interface{ cells() []string }

// formats are how a table is written, by the ending of the address.
var formats = map[string]struct {
	kind string
	new  func(io.Writer, *table) rowWriter
}{
	".csv":   {"text/csv; charset=utf-8", newCSV},
	".jsonl": {"application/jsonl", newJSONL},
}

type rowWriter interface {
	write(row) error
	flush() error
}

// export streams all rows that a query asks for. What fails after the first page
// ends the connection, so that nobody takes a part for the whole.
func (c *console) export(t *table, format string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		refuse := func(err error) {
			c.methods(func(*http.Request) (*answer, error) { return nil, err }, nil).ServeHTTP(w, r)
		}
		if admin.FromContext(r.Context()) == nil || r.Method != http.MethodGet {
			refuse(&admin.Error{Kind: admin.NotFound, Text: "there is no such page"})
			return
		}
		free, err := c.exports.Take(r.Context())
		if err != nil {
			refuse(err)
			return
		}
		defer free()
		page, err := t.pages(c.areas, r.URL.Query())
		if err != nil {
			refuse(err)
			return
		}
		rows, next, err := page(r.Context(), "", exportPage)
		if err != nil {
			refuse(err)
			return
		}
		h := w.Header()
		h.Set("Content-Type", formats[format].kind)
		h.Set("Content-Disposition", `attachment; filename="`+t.name+format+`"`)
		h.Set("Cache-Control", "no-store")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Content-Security-Policy", "default-src 'none'; sandbox")
		buffer := bufio.NewWriterSize(w, 64<<10)
		out := formats[format].new(buffer, t)
		for n := len(rows); ; n += len(rows) {
			// The server's own deadline is for pages. Not every writer has one.
			_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(exportWrites))
			for _, row := range rows {
				if err := out.write(row); err != nil {
					return // the client went away
				}
			}
			if next == "" || n >= maxExport {
				break
			}
			if rows, next, err = page(r.Context(), next, min(exportPage, maxExport-n)); err != nil {
				c.log.LogAttrs(r.Context(), slog.LevelWarn, "export cut off",
					slog.String("ref", authn.Ref(r.Context())), slog.String("export", t.name), slog.Int("rows", n), slog.String("cause", err.Error()))
				panic(http.ErrAbortHandler)
			}
		}
		if out.flush() == nil {
			_ = buffer.Flush() // a client that went away needs no answer
		}
	})
}

type csvWriter struct{ *csv.Writer }

func newCSV(w io.Writer, t *table) rowWriter {
	out := csvWriter{csv.NewWriter(w)}
	_ = out.Write(t.columns) // flush tells
	return out
}

func (w csvWriter) write(r row) error {
	all := r.cells()
	for i := range all {
		all[i] = harmless(all[i])
	}
	return w.Write(all)
}

func (w csvWriter) flush() error {
	w.Flush()
	return w.Error()
}

// harmless is a cell that no spreadsheet takes for a formula, behind white space
// neither. It does not matter what they show instead.
func harmless(s string) string {
	t := strings.TrimLeft(s, " \t\r\n\v\f\x00\u00a0\u200b\ufeff")
	first, _ := utf8.DecodeRuneInString(t)
	if t != "" && (t != s || strings.ContainsRune("=+-@|%＝＋－＠", first)) {
		return "'" + s
	}
	return s
}

type jsonlWriter struct{ *json.Encoder }

func newJSONL(w io.Writer, _ *table) rowWriter { return jsonlWriter{json.NewEncoder(w)} }

func (w jsonlWriter) write(r row) error { return w.Encode(r) }
func (w jsonlWriter) flush() error      { return nil }

var loginTable = &table{
	name:    "logins",
	columns: []string{"id", "time", "outcome", "user", "sid", "realm", "mechanism", "peer", "user_agent", "reason", "detail", "ref"},
	pages: func(areas Areas, q url.Values) (pageOf, error) {
		query, err := loginQuery(q)
		return func(ctx context.Context, after string, limit int) (rows []row, next string, err error) {
			query.After, query.Limit = after, limit
			p, err := areas.Logins(ctx, query)
			if err != nil {
				return nil, "", err
			}
			for i := range p.Logins {
				rows = append(rows, (*loginRow)(&p.Logins[i]))
			}
			return rows, p.Next, nil
		}, err
	},
}

type loginRow admin.Login

func (l *loginRow) cells() []string {
	return []string{strconv.FormatInt(l.ID, 10), stamp(l.Time), l.Outcome, l.User, l.SID, l.Realm, l.Mechanism, l.Peer, l.UserAgent, l.Reason, l.Detail, l.Ref}
}

var changeTable = &table{
	name:    "changes",
	columns: []string{"id", "time", "actor", "peer", "action", "target", "before", "after", "ref"},
	pages: func(areas Areas, q url.Values) (pageOf, error) {
		query, err := changeQuery(q)
		return func(ctx context.Context, after string, limit int) (rows []row, next string, err error) {
			query.After, query.Limit = after, limit
			p, err := areas.Changes(ctx, query)
			if err != nil {
				return nil, "", err
			}
			for i := range p.Changes {
				rows = append(rows, (*changeCells)(&p.Changes[i]))
			}
			return rows, p.Next, nil
		}, err
	},
}

type changeCells admin.Change

func (l *changeCells) cells() []string {
	return []string{strconv.FormatInt(l.ID, 10), stamp(l.Time), l.Actor, l.Peer, l.Action, l.Target, string(l.Before), string(l.After), l.Ref}
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339Nano) }
