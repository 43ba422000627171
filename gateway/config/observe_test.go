package config

import (
	"strings"
	"testing"
)

func TestObserve(t *testing.T) {
	t.Parallel()
	c, err := Parse("/etc/soapward/soapward.yaml", []byte(`
admin: {addr: "0.0.0.0:9180", networks: [10.1.0.0/16]}
log: {level: debug, format: json}
access_log: {file: access.log, format: combined, query: true}
tracing: {otlp: "http://127.0.0.1:4318", service_name: gw}
`))
	if err != nil {
		t.Fatal(err)
	}
	empty, err := Parse("c.yaml", []byte(`admin: {addr: "127.0.0.1:9180"}`))
	if err != nil {
		t.Fatal(err)
	}
	stderr, err := Parse("c.yaml", []byte(`access_log: {file: stderr, format: combined}`))
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name      string
		got, want any
	}{
		{"networks", c.Admin.Networks[0].String(), "10.1.0.0/16"},
		{"log", c.Log, Log{LevelDebug, LogJSON}},
		{"access log", c.AccessLog, AccessLog{"/etc/soapward/access.log", AccessCombined, true}},
		{"is a file", c.AccessLog.File.IsFile(), true},
		{"sample", c.Tracing.Sample, Fraction(0.1)},
		{"service", c.Tracing.ServiceName, "gw"},
		{"default log", empty.Log, Log{LevelInfo, ""}},
		{"default access log", empty.AccessLog, AccessLog{TargetLog, AccessJSON, false}},
		{"default is a file", empty.AccessLog.File.IsFile(), false},
		{"stderr", stderr.AccessLog.File, TargetStderr},
	} {
		if tt.got != tt.want {
			t.Errorf("%s: %v, want %v", tt.name, tt.got, tt.want)
		}
	}
	if empty.Tracing != nil {
		t.Errorf("default tracing %v, want none", empty.Tracing)
	}
}

func TestObserveRefused(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ text, want string }{
		{"log: {level: loud}", `c.yaml:1:14: log.level: "loud" is not known: want one of debug, info, warn, error`},
		{"access_log: {format: combined}", "c.yaml:1:22: access_log.format: combined wants a file"},
		{"access_log: {file: \"\"}", "access_log.file"},
		{"access_log: {file: [a]}", "access_log.file"},
		{"tracing: {}", "tracing: want otlp"},
		{"tracing: {otlp: \"http://c:4318/v1/traces\"}", "want the URL without /v1/traces"},
		{"tracing: {otlp: \"http://c:4318/?a=b\"}", "without a query"},
		{"tracing: {otlp: \"http://c:4318\", sample: 1.1}", "a number from 0 to 1"},
		{"tracing: {otlp: \"http://c:4318\", sample: NaN}", "a number from 0 to 1"},
		{"tracing: {otlp: \"http://c:4318\", sample: 0x1p-2}", "a number from 0 to 1"},
		{"admin: {addr: \":1\", networks: [10.1.0.1/16]}", "admin.networks"},
	} {
		if _, err := Parse("c.yaml", []byte(tt.text)); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %q", tt.text, err, tt.want)
		}
	}
}
