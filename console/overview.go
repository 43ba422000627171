package console

import (
	"cmp"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/soapward/soapward/admin"
	"github.com/soapward/soapward/console/ui"
	"github.com/soapward/soapward/directory"
	"github.com/soapward/soapward/gateway/health"
)

type overviewData struct {
	viewer
	*admin.Overview
	Range  string
	Down   int
	Checks []health.Result // what is down comes first
	Chart  *ui.Chart
	Counts map[string]int64 // logins by outcome
}

// ranges are those of the chart.
var ranges = map[string]struct {
	d    time.Duration
	text string
}{
	"24h": {24 * time.Hour, "last 24 hours"},
	"7d":  {7 * 24 * time.Hour, "last 7 days"},
	"90d": {90 * 24 * time.Hour, "last 90 days"},
}

// maxSteps bounds the columns of a chart.
const maxSteps = 400

func (c *console) overview(r *http.Request) (*answer, error) {
	since := choose(r.URL.Query().Get("since"), "24h", "7d", "90d")
	o, err := c.areas.Overview(r.Context(), ranges[since].d)
	if err != nil {
		return nil, err
	}
	d := overviewData{viewer: viewerOf(r), Overview: o, Range: since, Counts: map[string]int64{}}
	d.Checks = slices.Clone(o.Report.Checks)
	slices.SortStableFunc(d.Checks, func(a, b health.Result) int { return cmp.Compare(urgency(a), urgency(b)) })
	for _, k := range d.Checks {
		if k.State == health.Down {
			d.Down++
		}
	}
	for _, l := range o.Logins {
		d.Counts[l.Outcome] += l.N
	}
	d.Chart = loginChart("Logins, "+ranges[since].text, o, c.now())
	return &answer{page: "overview", title: "Overview", nav: ui.NavOverview, data: d}, nil
}

func urgency(r health.Result) int {
	switch {
	case r.State == health.Down && r.Essential:
		return 0
	case r.State == health.Down:
		return 1
	case r.State == health.Unknown:
		return 2
	}
	return 3
}

// loginChart has accepted logins by their mechanism above the line, and the others
// below it by how they ended.
func loginChart(label string, o *admin.Overview, now time.Time) *ui.Chart {
	if o.Step <= 0 || o.Since.IsZero() {
		return ui.NewChart(label, "Nobody logged in.", nil, 0, nil)
	}
	step := time.Duration(o.Step) * time.Second
	steps := min(maxSteps, int(now.Sub(o.Since)/step)+1)
	var times []time.Time
	for i := range max(steps, 0) {
		times = append(times, o.Since.Add(time.Duration(i)*step))
	}
	type kind struct{ mechanism, outcome string }
	all := map[kind]*ui.Series{}
	for _, l := range o.Logins {
		i := int(l.Time.Sub(o.Since) / step)
		if i < 0 || i >= len(times) || l.N <= 0 {
			continue
		}
		k := kind{cmp.Or(l.Mechanism, "other"), l.Outcome}
		if all[k] == nil {
			s := &ui.Series{Name: k.mechanism + " " + k.outcome, Legend: k.mechanism, Class: mechanismClass(k.mechanism), Values: make([]int64, len(times))}
			switch directory.Outcome(k.outcome) {
			case directory.Accepted:
			case directory.Refused:
				s.Legend, s.Class, s.Below = "refused", "cbad", true
			case directory.Blocked:
				s.Legend, s.Class, s.Below = "blocked", "cwarn", true
			default:
				s.Legend, s.Class, s.Below = "nobody could say", "c5", true
			}
			all[k] = s
		}
		all[k].Values[i] += l.N
	}
	var series []ui.Series
	for _, s := range all {
		series = append(series, *s)
	}
	slices.SortFunc(series, func(a, b ui.Series) int {
		return cmp.Or(below(a)-below(b), cmp.Compare(a.Class, b.Class), cmp.Compare(a.Name, b.Name))
	})
	return ui.NewChart(label, "Nobody logged in.", times, step, series)
}

func below(s ui.Series) int {
	if s.Below {
		return 1
	}
	return 0
}

func mechanismClass(m string) string {
	switch m = strings.ToLower(m); {
	case strings.HasPrefix(m, "kerberos"), m == "negotiate":
		return "c1"
	case strings.HasPrefix(m, "ntlm"):
		return "c2"
	case m == "form", m == "basic", m == "password":
		return "c3"
	case m == "oidc", strings.HasPrefix(m, "openid"), m == "bearer", m == "jwt":
		return "c4"
	case m == "local": // administrators, by password or by the command line's token
		return "c6"
	case m == "token":
		return "c7"
	}
	return "c5"
}
