package console

import (
	"bytes"
	"encoding/json"
	"html/template"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/soapward/soapward/admin"
	"github.com/soapward/soapward/console/ui"
)

type loginsData struct {
	viewer
	Query    admin.LoginQuery
	Since    string // as fields of forms have it
	Until    string
	Filtered bool
	Logins   []admin.Login
	Partial  bool // older ones were not looked at yet
	Pager    pager
	Follow   string       // where newer ones are, empty on older pages
	Export   template.URL // query of the exports
	Outcomes []string
}

func (c *console) logins(r *http.Request) (*answer, error) {
	q := r.URL.Query()
	d := loginsData{viewer: viewerOf(r), Outcomes: []string{"accepted", "refused", "blocked", "unavailable"}}
	a := &answer{page: "logins", title: "Logins", nav: ui.NavLogins}
	if d.Query, a.failed = loginQuery(q); a.failed != nil {
		d.Query = admin.LoginQuery{Limit: 1} // nothing is shown
	}
	d.Since, d.Until = q.Get("since"), q.Get("until")
	newer, _ := strconv.ParseInt(q.Get("newer"), 10, 64) // zero has the newest of all
	d.Query.After, d.Query.NewerID = q.Get("after"), max(newer, 0)
	last := d.Query.NewerID
	if a.failed == nil {
		p, err := c.areas.Logins(r.Context(), d.Query)
		if err != nil {
			return nil, err
		}
		d.Logins = p.Logins
		if d.Query.NewerID > 0 { // the oldest came first
			d.Logins = slices.Clone(d.Logins)
			slices.Reverse(d.Logins)
			p.Next = ""
		}
		d.Pager, d.Partial, last = pages(r, p.Next), p.Partial, max(last, p.NewerID)
	}
	for _, l := range d.Logins {
		last = max(last, l.ID)
	}
	if d.Query.After == "" && d.Until == "" {
		d.Follow = address(r, "newer", strconv.FormatInt(last, 10))
	}
	d.Export, d.Filtered = exportQuery(q)
	a.data = d
	return a, nil
}

// exportQuery is what of a query an export takes.
func exportQuery(q url.Values) (text template.URL, filtered bool) {
	q = maps.Clone(q)
	for _, k := range []string{"after", "newer", "done", "n"} {
		q.Del(k)
	}
	for k, v := range q {
		if len(v) == 0 || v[0] == "" {
			q.Del(k)
		}
	}
	return template.URL(q.Encode()), len(q) > 0 // that escapes everything
}

func loginQuery(q url.Values) (admin.LoginQuery, error) {
	l := admin.LoginQuery{
		User: strings.TrimSpace(q.Get("user")), Peer: strings.TrimSpace(q.Get("peer")), Outcome: q.Get("outcome"),
		Mechanism: strings.TrimSpace(q.Get("mechanism")), Reason: strings.TrimSpace(q.Get("reason")), Ref: strings.TrimSpace(q.Get("ref")),
	}
	var err error
	if l.Since, err = typedTime("since", q); err != nil {
		return l, err
	}
	l.Until, err = typedTime("until", q)
	return l, err
}

// typedTime is what a field of a form has, in UTC.
func typedTime(key string, q url.Values) (time.Time, error) {
	s := q.Get(key)
	if s == "" {
		return time.Time{}, nil
	}
	for _, format := range []string{"2006-01-02T15:04", "2006-01-02T15:04:05", time.RFC3339, time.DateOnly} {
		if t, err := time.Parse(format, s); err == nil && t.Year() >= 1970 && t.Year() < 10000 {
			return t.UTC(), nil
		}
	}
	return time.Time{}, &admin.Error{Kind: admin.Invalid, Text: "that is no time", Remedy: "write it as 2026-11-26T13:00, in UTC", Field: key}
}

type changesData struct {
	viewer
	Query    admin.ChangeQuery
	Since    string
	Filtered bool
	Changes  []changeRow
	Pager    pager
	Export   template.URL
	Areas    []string // beginnings of actions
}

type changeRow struct {
	admin.Change
	Fields []changedField // if Before and After are objects
	Gone   bool           // there is nothing after it
}

// A changedField is what differs.
type changedField struct{ Name, Before, After string }

func (c *console) changes(r *http.Request) (*answer, error) {
	q := r.URL.Query()
	d := changesData{viewer: viewerOf(r), Since: q.Get("since"), Areas: []string{"user.", "session.", "block.", "config.", "realm."}}
	a := &answer{page: "changes", title: "Changes", nav: ui.NavChanges}
	d.Query, a.failed = changeQuery(q)
	if a.failed == nil {
		d.Query.After = q.Get("after")
		p, err := c.areas.Changes(r.Context(), d.Query)
		if err != nil {
			return nil, err
		}
		for _, change := range p.Changes {
			d.Changes = append(d.Changes, changeRow{change, changedFields(change.Before, change.After), len(change.After) == 0})
		}
		d.Pager = pages(r, p.Next)
	}
	if d.Query.Action != "" && !slices.Contains(d.Areas, d.Query.Action) {
		d.Areas = append(d.Areas, d.Query.Action)
	}
	d.Export, d.Filtered = exportQuery(q)
	a.data = d
	return a, nil
}

func changeQuery(q url.Values) (admin.ChangeQuery, error) {
	l := admin.ChangeQuery{Actor: strings.TrimSpace(q.Get("actor")), Action: strings.TrimSpace(q.Get("action")), Target: strings.TrimSpace(q.Get("target"))}
	var err error
	l.Since, err = typedTime("since", q)
	return l, err
}

// changedFields compares two objects, of which one may be missing. It returns nil
// if they are something else.
func changedFields(before, after json.RawMessage) (fields []changedField) {
	b, okB := object(before)
	a, okA := object(after)
	if !okA || !okB {
		return nil
	}
	names := slices.Collect(maps.Keys(b))
	for k := range a {
		if _, both := b[k]; !both {
			names = append(names, k)
		}
	}
	slices.Sort(names)
	for _, k := range names {
		if x, y := value(b[k]), value(a[k]); x != y {
			fields = append(fields, changedField{k, x, y})
		}
	}
	return fields
}

func object(raw json.RawMessage) (m map[string]json.RawMessage, ok bool) {
	if len(raw) == 0 || string(raw) == "null" {
		return nil, true
	}
	return m, json.Unmarshal(raw, &m) == nil
}

// value is JSON as people write it: strings without quotes, lists with commas.
func value(raw json.RawMessage) string {
	var s string
	var list []string
	var files []struct { // a difference of the configuration
		Path  string
		Lines []string
	}
	switch {
	case len(raw) == 0:
		return ""
	case json.Unmarshal(raw, &s) == nil:
		return s
	case json.Unmarshal(raw, &list) == nil:
		return strings.Join(list, ", ")
	case json.Unmarshal(raw, &files) == nil && len(files) > 0 && files[0].Path != "":
		var lines []string
		for _, f := range files {
			lines = append(append(lines, f.Path), f.Lines...)
		}
		return strings.Join(lines, "\n")
	}
	var b bytes.Buffer
	if json.Compact(&b, raw) != nil {
		return string(raw)
	}
	return b.String()
}
