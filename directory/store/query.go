package store

import (
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/jackc/pgx/v5"
)

// maxPage bounds the limits of queries.
const maxPage = 10_000

func pageSize(limit int) int {
	if limit <= 0 {
		return 100
	}
	return min(limit, maxPage)
}

// params collects the arguments of a statement.
type params struct{ args []any }

// list adds arguments and returns their places, with commas.
func (p *params) list(args ...any) string {
	places := make([]string, len(args))
	for i, arg := range args {
		p.args = append(p.args, arg)
		places[i] = "$" + strconv.Itoa(len(p.args))
	}
	return strings.Join(places, ", ")
}

// limit adds the size of a page.
func (p *params) limit(limit int) string { return p.list(pageSize(limit)) }

// conditions collects what a query demands, and its arguments.
type conditions struct {
	params
	terms []string
}

// add adds a term with one argument, which stands where %s is.
func (c *conditions) add(term string, arg any) {
	c.terms = append(c.terms, strings.ReplaceAll(term, "%s", c.list(arg)))
}

// prefix demands that a folded column begins with something. It is a range, which
// an index in the order of bytes or code points serves.
func (c *conditions) prefix(column, prefix string) string {
	term := column + " >= " + c.list(prefix)
	if end := prefixEnd(prefix); end != "" {
		term += " AND " + column + " < " + c.list(end)
	}
	return term
}

// times demands a time before, with rows of that very time whose id is less, and
// one since, of the columns at and id.
func (c *conditions) times(before time.Time, beforeID int64, since time.Time) {
	if !before.IsZero() {
		c.terms = append(c.terms, "(at, id) < ("+c.list(micros(before), beforeID)+")") // no ID is zero
	}
	if !since.IsZero() {
		c.add("at >= %s", micros(since))
	}
}

func (c *conditions) where() string {
	if len(c.terms) == 0 {
		return ""
	}
	return " WHERE " + strings.Join(c.terms, " AND ")
}

// prefixEnd is the least text that is greater than all that begin with prefix,
// empty if there is none.
func prefixEnd(prefix string) string {
	for prefix != "" {
		r, size := utf8.DecodeLastRuneInString(prefix)
		prefix = prefix[:len(prefix)-size]
		switch {
		case r == utf8.MaxRune:
			continue
		case r+1 == 0xD800: // no characters up to U+DFFF
			r = 0xDFFF
		}
		return prefix + string(r+1)
	}
	return ""
}

// once has PostgreSQL plan a statement for its arguments each time. A plan for any
// would read millions of rows in the order that is asked for to find the few with a
// rare value.
func (s *Store) once(args []any) []any {
	if s.turn != nil {
		return args
	}
	return append([]any{pgx.QueryExecModeExec}, args...)
}
