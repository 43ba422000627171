package ui

import (
	"html/template"
	"math"
	"strconv"
	"strings"
	"time"
)

// A Series is numbers over time, for NewChart.
type Series struct {
	Name   string // of the numbers: Kerberos refused
	Legend string // of the colour, which several may share: refused
	Class  string // colour: c1 to c7, cbad, cwarn
	Below  bool   // of what goes down from the line of zero
	Values []int64
}

// A Chart is columns on top of each other over time, for the template "chart".
type Chart struct {
	Label, Summary string
	Width, Height  int
	Slot, Bar      string // widths
	Legend         []ChartLegend
	Lines          []ChartLine
	Columns        []ChartColumn
	Ticks          []string
	Top, Bottom    string // what the ends of the scale are
	Names          []string
	Rows           []ChartRow
}

// A ChartLegend says what a colour is.
type ChartLegend struct {
	Name, Class string
	Sum         int64
}

// A ChartLine is a horizontal one.
type ChartLine struct{ Y, Class string }

// A ChartColumn is a step of time.
type ChartColumn struct {
	X     string
	Title string
	Bars  []ChartBar
}

// A ChartBar is a part of a column.
type ChartBar struct{ Class, X, Y, H string }

// A ChartRow is a step of time in the table.
type ChartRow struct {
	Time   time.Time
	Values []int64
}

const chartWidth, chartHeight = 1000, 240

// NewChart returns a chart. Each series has a value for each of times, which are
// step apart. Series without any number are left out.
func NewChart(label, nothing string, times []time.Time, step time.Duration, series []Series) *Chart {
	c := &Chart{Label: label, Width: chartWidth, Height: chartHeight}
	series = c.known(series)
	if len(times) == 0 || len(series) == 0 {
		c.Summary = nothing
		return c
	}
	var up, down int64
	for i := range times {
		var u, d int64
		for _, s := range series {
			if s.Below {
				d += s.Values[i]
			} else {
				u += s.Values[i]
			}
		}
		up, down = max(up, u), max(down, d)
	}
	top := nice(up)
	scale := float64(chartHeight) / float64(top+down)
	zero := float64(top) * scale
	c.Top = Number(top)
	if down > 0 {
		c.Bottom = Number(down)
	}
	for _, f := range []float64{0, 0.25, 0.5, 0.75} {
		c.Lines = append(c.Lines, ChartLine{pos(zero * f), "grid"})
	}
	c.Lines = append(c.Lines, ChartLine{pos(zero), "zero"})

	slot := float64(chartWidth) / float64(len(times))
	c.Slot, c.Bar = pos(slot), pos(slot*0.78)
	for i, t := range times {
		c.Columns = append(c.Columns, column(t, step, i, slot, zero, scale, series))
		row := ChartRow{Time: t}
		for _, s := range series {
			row.Values = append(row.Values, s.Values[i])
		}
		c.Rows = append(c.Rows, row)
	}
	for _, s := range series {
		c.Names = append(c.Names, s.Name)
	}
	c.ticks(times, step)
	var parts []string
	for _, l := range c.Legend {
		parts = append(parts, Number(l.Sum)+" "+l.Name)
	}
	c.Summary = label + ": " + strings.Join(parts, ", ")
	return c
}

// SVG is the picture. With a hundred columns a template would take most of the
// time of a page.
func (c *Chart) SVG() template.HTML {
	var b strings.Builder
	width, height := strconv.Itoa(c.Width), strconv.Itoa(c.Height)
	write := func(parts ...string) {
		for _, p := range parts {
			b.WriteString(p)
		}
	}
	write(`<svg viewBox="0 0 `, width, ` `, height, `" role="img" aria-label="`, template.HTMLEscapeString(c.Summary), `" preserveAspectRatio="none">`)
	for _, l := range c.Lines {
		write(`<line x1="0" x2="`, width, `" y1="`, l.Y, `" y2="`, l.Y, `" class="`, template.HTMLEscapeString(l.Class), `"/>`)
	}
	for _, col := range c.Columns {
		title := template.HTMLEscapeString(col.Title)
		write(`<g data-title="`, title, `"><title>`, title, `</title><rect class="hit" x="`, col.X, `" y="0" width="`, c.Slot, `" height="`, height, `"/>`)
		for _, r := range col.Bars {
			write(`<rect class="`, template.HTMLEscapeString(r.Class), `" x="`, r.X, `" y="`, r.Y, `" width="`, c.Bar, `" height="`, r.H, `"/>`)
		}
		write(`</g>`)
	}
	write(`</svg>`)
	return template.HTML(b.String()) // escaped above
}

// TableRows are the numbers, as rows of a table.
func (c *Chart) TableRows() template.HTML {
	var b strings.Builder
	for _, r := range c.Rows {
		b.WriteString("\n<tr><th scope=\"row\">" + string(at(r.Time)) + "</th>")
		for _, v := range r.Values {
			b.WriteString("<td>" + Number(v) + "</td>")
		}
		b.WriteString("</tr>")
	}
	return template.HTML(b.String()) // of times and digits
}

// known leaves out series without numbers, and makes the legend.
func (c *Chart) known(all []Series) (some []Series) {
	place := map[string]int{}
	for _, s := range all {
		var sum int64
		for _, v := range s.Values {
			sum += v
		}
		if sum == 0 {
			continue
		}
		some = append(some, s)
		i, ok := place[s.Legend]
		if !ok {
			i = len(c.Legend)
			place[s.Legend] = i
			c.Legend = append(c.Legend, ChartLegend{Name: s.Legend, Class: s.Class})
		}
		c.Legend[i].Sum += sum
	}
	return some
}

func column(t time.Time, step time.Duration, i int, slot, zero, scale float64, series []Series) ChartColumn {
	col := ChartColumn{X: pos(float64(i) * slot)}
	title := []string{span(t, step)}
	x := pos((float64(i) + 0.11) * slot)
	yUp, yDown := zero, zero
	for _, s := range series {
		v := s.Values[i]
		if v == 0 {
			continue
		}
		h := max(float64(v)*scale, 1.5) // a single refusal among thousands is to be seen
		b := ChartBar{Class: s.Class, X: x, H: pos(h)}
		if s.Below {
			b.Y = pos(yDown)
			yDown += h
		} else {
			yUp -= h
			b.Y = pos(yUp)
		}
		col.Bars = append(col.Bars, b)
		title = append(title, s.Name+": "+Number(v))
	}
	if len(title) == 1 {
		title = append(title, "nothing")
	}
	col.Title = strings.Join(title, "\n")
	return col
}

func (c *Chart) ticks(times []time.Time, step time.Duration) {
	format := "15:04"
	if step*time.Duration(len(times)) > 48*time.Hour {
		format = "2 Jan"
	}
	const ticks = 5
	for i := range ticks {
		c.Ticks = append(c.Ticks, times[i*(len(times)-1)/(ticks-1)].UTC().Format(format))
	}
}

func span(t time.Time, step time.Duration) string {
	t = t.UTC()
	if step >= 24*time.Hour {
		return t.Format("Mon 2 Jan 2006")
	}
	return t.Format("2 Jan, 15:04") + t.Add(step).Format("–15:04 UTC")
}

// nice is the number that n is rounded up to, so that people can read a scale.
func nice(n int64) int64 {
	if n <= 4 {
		return 4
	}
	p := math.Pow(10, math.Floor(math.Log10(float64(n))))
	for _, f := range []float64{1, 1.2, 1.6, 2, 2.4, 3.2, 4, 5, 6, 8, 10} {
		if v := int64(math.Ceil(p * f)); v >= n {
			return v
		}
	}
	return n
}

func pos(v float64) string { return strings.TrimSuffix(strconv.FormatFloat(v, 'f', 1, 64), ".0") }
