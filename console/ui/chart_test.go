package ui_test

import (
	"strings"
	"testing"
	"time"

	"github.com/soapward/soapward/console/ui"
)

func TestChart(t *testing.T) {
	t.Parallel()
	start := time.Date(2026, 11, 26, 0, 0, 0, 0, time.UTC)
	times := []time.Time{start, start.Add(time.Hour), start.Add(2 * time.Hour)}
	p := parse(`{{define "main"}}{{template "chart" .Data}}{{end}}`)
	c := ui.NewChart("Logins", "No logins", times, time.Hour, []ui.Series{
		{Name: "Kerberos accepted", Legend: "Kerberos", Class: "c1", Values: []int64{1000, 0, 20}},
		{Name: "NTLM <accepted>", Legend: "NTLM", Class: "c2", Values: []int64{10, 0, 0}},
		{Name: "never", Legend: "never", Class: "c3", Values: []int64{0, 0, 0}},
		{Name: "Kerberos refused", Legend: "refused", Class: "cbad", Below: true, Values: []int64{1, 0, 4}},
		{Name: "NTLM refused", Legend: "refused", Class: "cbad", Below: true, Values: []int64{0, 0, 3}},
	})
	if c.Top != "1,200" || c.Bottom != "7" {
		t.Errorf("scale from %s to %s", c.Top, c.Bottom)
	}
	if got := c.Columns[2].Title; got != "26 Nov, 02:00–03:00 UTC\nKerberos accepted: 20\nKerberos refused: 4\nNTLM refused: 3" {
		t.Errorf("title %q", got)
	}
	if len(c.Columns[1].Bars) != 0 || len(c.Columns[0].Bars) != 3 || len(c.Names) != 4 {
		t.Errorf("columns %+v, names %q", c.Columns, c.Names)
	}
	if got := c.Summary; got != "Logins: 1,020 Kerberos, 10 NTLM, 8 refused" {
		t.Errorf("summary %q", got)
	}
	p.Data = c
	body := render(t, p).Body.String()
	for _, want := range []string{`<rect class="c1" x="36.7"`, "NTLM &lt;accepted&gt;", "<td>1,000</td>", "As a table"} {
		if !strings.Contains(body, want) {
			t.Errorf("no %q in %s", want, body)
		}
	}

	p.Data = ui.NewChart("Logins", "No logins", times, time.Hour, nil)
	if body := render(t, p).Body.String(); !strings.Contains(body, `<p class="empty">No logins</p>`) {
		t.Error(body)
	}
}

// TestChartScale: every number can be seen, whatever the scale, and no column
// leaves the picture by more than that.
func TestChartScale(t *testing.T) {
	t.Parallel()
	for _, n := range []int64{1, 3, 5, 999, 1000, 1001, 123456789, 1 << 60} {
		c := ui.NewChart("x", "", []time.Time{{}}, time.Hour, []ui.Series{{Name: "a", Legend: "a", Class: "c1", Values: []int64{n}}, {Name: "b", Legend: "b", Class: "c2", Values: []int64{1}}})
		if len(c.Columns[0].Bars) != 2 {
			t.Fatalf("%d: %+v", n, c.Columns)
		}
		for _, b := range c.Columns[0].Bars {
			if strings.HasPrefix(b.Y, "-") && b.Y > "-2" || strings.HasPrefix(b.H, "0") {
				t.Errorf("%d: bar %+v", n, b)
			}
		}
	}
}
