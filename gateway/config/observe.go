package config

import (
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Log is what operators read, on standard error.
type Log struct {
	Level  Level     `yaml:"level"`
	Format LogFormat `yaml:"format"`
}

// A Level is the least important one that is logged.
type Level string

// Levels.
const (
	LevelDebug Level = "debug"
	LevelInfo  Level = "info"
	LevelWarn  Level = "warn"
	LevelError Level = "error"
)

func (Level) choices() []string {
	return []string{string(LevelDebug), string(LevelInfo), string(LevelWarn), string(LevelError)}
}

// A LogFormat is how a line of the log is written.
type LogFormat string

// Formats of the log.
const (
	LogText LogFormat = "text"
	LogJSON LogFormat = "json"
)

func (LogFormat) choices() []string { return []string{string(LogText), string(LogJSON)} }

// AccessLog has one line for each request.
type AccessLog struct {
	File   LogTarget    `yaml:"file"`
	Format AccessFormat `yaml:"format"` // not of those that go to the log

	// Query has the query of the address in the line, where clients may have put
	// what is secret.
	Query bool `yaml:"query"`
}

// A LogTarget is a file, or one of the words below.
type LogTarget string

// What is no file.
const (
	TargetLog    LogTarget = "log" // lines of the log, in its format
	TargetStdout LogTarget = "stdout"
	TargetStderr LogTarget = "stderr"
	TargetOff    LogTarget = "off"
)

// IsFile reports whether the target is a file, and none of the words.
func (v LogTarget) IsFile() bool {
	return v != "" && v != TargetLog && v != TargetStdout && v != TargetStderr && v != TargetOff
}

func (v *LogTarget) decode(d *decoder, n *yaml.Node, path string) {
	s, ok := d.scalar(n, "the name of a file, or log, stdout, stderr, off", path)
	if !ok {
		return
	}
	if *v = LogTarget(s); v.IsFile() || s == "" {
		*v = LogTarget(d.path(n, s, path))
	}
}

// An AccessFormat is how a line of the access log is written.
type AccessFormat string

// Formats of the access log.
const (
	AccessJSON     AccessFormat = "json"
	AccessCombined AccessFormat = "combined" // as Apache httpd and nginx write it
)

func (AccessFormat) choices() []string { return []string{string(AccessJSON), string(AccessCombined)} }

// Tracing sends spans to a collector of OpenTelemetry.
type Tracing struct {
	OTLP URL `yaml:"otlp"` // without /v1/traces

	// Sample is the part of the requests that is traced, of those that no
	// tracing caller has decided about.
	Sample      Fraction `yaml:"sample"`
	ServiceName string   `yaml:"service_name"`
}

func (t *Tracing) decode(d *decoder, n *yaml.Node, path string) {
	type plain Tracing
	t.Sample, t.ServiceName = 0.1, "soapward"
	decodeStruct(d, n, (*plain)(t), path)
}

// A Fraction is a number from 0 to 1.
type Fraction float64

func (v *Fraction) decode(d *decoder, n *yaml.Node, path string) {
	const want = "a number from 0 to 1, such as 0.1"
	s, ok := d.scalar(n, want, path)
	if !ok {
		return
	}
	f, err := strconv.ParseFloat(s, 64)
	if err != nil || !(f >= 0 && f <= 1) || strings.ContainsAny(s, "xX_") {
		d.want(n, want, path)
		return
	}
	*v = Fraction(f)
}

func (d *decoder) checkObserve(c *Config) {
	if a := &c.AccessLog; a.Format == AccessCombined && a.File == TargetLog {
		d.failAt(&a.Format, "access_log.format: combined wants a file of its own: access_log.file is log, whose lines have the format of the log; want the name of a file, stdout or stderr")
	}
	if t := c.Tracing; t != nil {
		switch {
		case t.OTLP.URL == nil:
			d.failAt(t, "tracing: want otlp: URL, where a collector takes OTLP over HTTP, such as http://127.0.0.1:4318")
		case t.OTLP.RawQuery != "":
			d.failAt(&t.OTLP, "tracing.otlp: want a URL without a query")
		case strings.HasSuffix(strings.TrimRight(t.OTLP.Path, "/"), "/v1/traces"):
			d.failAt(&t.OTLP, "tracing.otlp: want the URL without /v1/traces, which is added")
		}
	}
}
