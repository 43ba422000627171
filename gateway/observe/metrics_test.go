package observe

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/soapward/soapward/authclient"
	"github.com/soapward/soapward/authclient/delegation"
	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/authz"
	"github.com/soapward/soapward/gateway/health"
	"github.com/soapward/soapward/gateway/trail"
)

// busy is an observer that saw one of each.
func busy(t *testing.T) (*Observer, *buffer) {
	t.Helper()
	up := health.Check{Name: "realm corp: kdc", Kind: health.KDC, Run: func(context.Context) error { return nil }}
	down := health.Check{Name: "realm corp: dc", Kind: health.DomainController, Run: func(context.Context) error { return errors.New("down") }}
	ob, log, _ := observer(t, `access_log: {file: off}`, Options{
		Checks: func() []health.Check { return []health.Check{up, down} },
		Pools:  func() []Pool { return []Pool{{"hr", health.Backend, 2, 5}, {"sharepoint", health.Upstream, -1, 3}} },
	})
	ob.monitor.Look(t.Context())
	ob.SetOperations(map[string][]string{"hr": {"{urn:hr}Pay"}})
	h := ob.Wrap(trail.Inbound, ":443", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		tr := trail.From(r.Context())
		tr.Service, tr.Operation = "hr", r.URL.Query().Get("op")
		tr.Backend, tr.BackendTime = "127.0.0.1:8080", 20*time.Millisecond
		_, _ = w.Write([]byte("hello"))
	}))
	for _, op := range []string{"{urn:hr}Pay", "{urn:hr}MadeUp", ""} {
		h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/?op="+url.QueryEscape(op), nil))
	}
	ctx := trail.With(authn.WithRef(t.Context(), "0123456789"), &trail.Trail{Service: "sharepoint"})
	ob.Login(ctx, &authn.Decision{Outcome: authn.OutcomeAccepted, Identity: alice, Mechanism: "Kerberos", Duration: 3 * time.Millisecond})
	ob.Login(ctx, &authn.Decision{Outcome: authn.OutcomeRefused, Mechanism: "NTLM", Reason: authn.ReasonWrongPassword, Duration: 9 * time.Millisecond})
	ob.Login(ctx, &authn.Decision{Outcome: authn.OutcomeBlocked, Mechanism: "Basic"})
	ob.Login(t.Context(), &authn.Decision{Outcome: authn.OutcomeAccepted, Identity: &authn.Identity{Evidence: oldTicket{}}, Mechanism: "Kerberos"})
	ob.Login(t.Context(), &authn.Decision{Outcome: authn.OutcomeAccepted, Mechanism: authn.MechanismLogout})
	ob.Denied(ctx, &authz.Request{Operation: "{urn:hr}Pay", Identity: alice}, &authz.DeniedError{Caller: `CORP\alice`, Operation: "{urn:hr}Pay", Rule: "payroll"})
	ob.Denied(ctx, &authz.Request{}, authz.ErrMethod)
	ob.Denied(ctx, &authz.Request{}, messageError{errors.New("x")})
	target := authclient.Target{SPN: "HTTP/sp.corp.test"}
	ob.Delegation(ctx, delegation.Decision{Identity: alice, Target: target, Method: delegation.Constrained})
	hop := &delegation.Error{Identity: alice, Target: target, Reason: delegation.ReasonDoubleHop, Err: delegation.ErrDoubleHop, Cause: "NTLM"}
	ob.Delegation(ctx, delegation.Decision{Identity: alice, Target: target, Reason: delegation.ReasonDoubleHop, Err: hop})
	ob.Delegation(ctx, delegation.Decision{Target: target, Method: delegation.AsService, Reason: delegation.ReasonNoEvidence, Err: &delegation.Error{Reason: delegation.ReasonNoEvidence}})
	return ob, log
}

func TestMetrics(t *testing.T) {
	t.Parallel()
	ob, _ := busy(t)
	text := scrape(t, ob)
	for _, want := range []string{
		`soapward_requests_total{code="200",direction="inbound",service="hr"} 3`,
		`soapward_request_seconds_count{direction="inbound",service="hr"} 3`,
		`soapward_response_bytes_total{direction="inbound",service="hr"} 15`,
		`soapward_backend_seconds_bucket{direction="inbound",service="hr",le="0.01"} 0`,
		`soapward_backend_seconds_bucket{direction="inbound",service="hr",le="0.025"} 3`,
		`soapward_operation_seconds_count{operation="{urn:hr}Pay",service="hr"} 1`,
		`soapward_operation_seconds_count{operation="other",service="hr"} 1`,
		`soapward_requests_in_flight{direction="inbound"} 0`,
		`soapward_logins_total{mechanism="Kerberos",reason="",result="accepted"} 2`,
		`soapward_rc4_logins_total 1`,
		`soapward_logins_total{mechanism="NTLM",reason="wrong-password",result="refused"} 1`,
		`soapward_logins_total{mechanism="Basic",reason="",result="blocked"} 1`,
		`soapward_handshake_seconds_bucket{mechanism="NTLM",le="0.005"} 0`,
		`soapward_handshake_seconds_bucket{mechanism="NTLM",le="0.01"} 1`,
		`soapward_denials_total{reason="denied",service="sharepoint"} 1`,
		`soapward_denials_total{reason="method",service="sharepoint"} 1`,
		`soapward_denials_total{reason="bad-message",service="sharepoint"} 1`,
		`soapward_delegations_total{method="s4u2proxy",reason="",result="caller",upstream="sharepoint"} 1`,
		`soapward_delegations_total{method="none",reason="double-hop",result="refused",upstream="sharepoint"} 1`,
		`soapward_delegations_total{method="service-account",reason="no-evidence",result="service",upstream="sharepoint"} 1`,
		`soapward_double_hops_total{upstream="sharepoint"} 1`,
		`soapward_dependency_up{kind="kdc",name="realm corp: kdc"} 1`,
		`soapward_dependency_up{kind="domain controller",name="realm corp: dc"} 0`,
		`soapward_pool_connections{kind="backend",name="hr",state="idle"} 5`,
		`soapward_pool_connections{kind="backend",name="hr",state="active"} 2`,
		`soapward_pool_connections{kind="upstream",name="sharepoint",state="idle"} 3`,
		`soapward_ready 1`,
		`soapward_config_last_reload_successful 1`,
		`soapward_access_log_dropped_total 0`,
	} {
		if !strings.Contains(text, want+"\n") {
			t.Errorf("metrics have no %s", want)
		}
	}
	for _, want := range []string{`soapward_build_info{goversion="go`, `version="v1.2.3"} 1`, "go_goroutines ", "process_resident_memory_bytes "} {
		if !strings.Contains(text, want) {
			t.Errorf("metrics have no %s", want)
		}
	}
	if strings.Contains(text, `name="sharepoint",state="active"`) {
		t.Error("a number that nobody knows is in the metrics")
	}
	for _, never := range []string{"alice", `mechanism="logout"`} {
		if strings.Contains(text, never) {
			t.Errorf("the metrics have %s", never)
		}
	}
}

// TestMetricsLint is what promtool finds wrong with names and texts.
func TestMetricsLint(t *testing.T) {
	t.Parallel()
	ob, _ := busy(t)
	problems, err := testutil.GatherAndLint(ob.metrics.registry)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
}

// oldTicket is evidence of a login with RC4.
type oldTicket struct{}

func (oldTicket) EvidenceKind() string { return "ticket" }
func (oldTicket) RC4() bool            { return true }

// messageError has a reason of its own.
type messageError struct{ error }

func (messageError) Reason() string { return "bad-message" }

// Decisions are in the trail, and in the log with the reference where nobody else
// logs them.
func TestDecisions(t *testing.T) {
	t.Parallel()
	_, log := busy(t)
	for _, want := range []string{
		`level=DEBUG msg="passed on" ref=0123456789 service=sharepoint user`, `upstream=HTTP/sp.corp.test method=s4u2proxy`,
	} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("log has no %s:\n%s", want, log)
		}
	}
	ob, _, _ := observer(t, `access_log: {file: off}`, Options{})
	hop := &delegation.Error{Reason: delegation.ReasonDoubleHop, Err: delegation.ErrDoubleHop}
	for _, tt := range []struct {
		name string
		tell func(context.Context)
		want string
	}{
		{"accepted", func(ctx context.Context) {
			ob.Login(ctx, &authn.Decision{Outcome: authn.OutcomeAccepted, Identity: alice})
		}, `CORP\alice   false`},
		{"refused", func(ctx context.Context) {
			ob.Login(ctx, &authn.Decision{Outcome: authn.OutcomeRefused, Reason: authn.ReasonReplay})
		}, `anonymous replay  false`},
		{"unavailable", func(ctx context.Context) { ob.Login(ctx, &authn.Decision{Outcome: authn.OutcomeUnavailable}) }, `anonymous unavailable  false`},
		{"denied", func(ctx context.Context) { ob.Denied(ctx, &authz.Request{}, new(authz.DeniedError)) }, `anonymous denied  false`},
		{"path", func(ctx context.Context) { ob.Denied(ctx, &authz.Request{}, new(authz.PathError)) }, `anonymous path  false`},
		{"nobody could say", func(ctx context.Context) { ob.Denied(ctx, &authz.Request{}, authn.ErrUnavailable) }, `anonymous undecided  false`},
		{"message", func(ctx context.Context) { ob.Denied(ctx, &authz.Request{}, messageError{errors.New("x")}) }, `anonymous   false`},
		{"for a reason that has no more", func(ctx context.Context) { ob.Delegation(ctx, delegation.Decision{}) }, `anonymous   false`},
		{"passed on", func(ctx context.Context) {
			ob.Delegation(ctx, delegation.Decision{Method: delegation.Forwarded})
		}, `anonymous  forwarded-tgt false`},
		{"double hop", func(ctx context.Context) {
			ob.Delegation(ctx, delegation.Decision{Reason: delegation.ReasonDoubleHop, Err: hop})
		}, `anonymous double-hop  true`},
		{"service in place of a caller", func(ctx context.Context) {
			ob.Delegation(ctx, delegation.Decision{Method: delegation.AsService, Reason: delegation.ReasonDoubleHop, Err: hop})
		}, `anonymous  service-account true`},
	} {
		tr := new(trail.Trail)
		tt.tell(trail.With(t.Context(), tr))
		if got := fmt.Sprint(tr.Identity, " ", tr.Refusal, " ", tr.As, " ", tr.DoubleHop); got != tt.want {
			t.Errorf("%s: trail %q, want %q", tt.name, got, tt.want)
		}
		tt.tell(t.Context()) // where there is no request
	}
}

// Whatever clients and backends choose, the number of series is bounded, and so
// is the memory that they take here.
func TestAttackMetricCardinality(t *testing.T) {
	t.Parallel()
	ob, _, _ := observer(t, `access_log: {file: off}`, Options{})
	operations := make([]string, 5000)
	for i := range operations {
		operations[i] = fmt.Sprintf("{urn:x}Known%d", i)
	}
	ob.SetOperations(map[string][]string{"hr": operations})
	i := 0
	h := ob.Wrap(trail.Inbound, ":443", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		tr := trail.From(r.Context())
		tr.Service, tr.Operation = "hr", fmt.Sprintf("{urn:x}Op%d", i)
		switch i % 3 {
		case 1:
			tr.Operation = operations[i%len(operations)]
		case 2:
			tr.Service = fmt.Sprintf("service%d", i)
		}
		w.WriteHeader(200 + i%800)
	}))
	for ; i < 20_000; i++ {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.Method, r.Host = fmt.Sprintf("M%d", i), fmt.Sprintf("h%d.test", i)
		h.ServeHTTP(httptest.NewRecorder(), r)
		text := strings.Repeat("x", i%2000) + fmt.Sprint(i)
		ob.Login(t.Context(), &authn.Decision{Outcome: authn.OutcomeRefused, Mechanism: text, Reason: authn.Reason(text), User: text, Duration: 1})
	}
	series, err := testutil.GatherAndCount(ob.metrics.registry)
	if err != nil {
		t.Fatal(err)
	}
	// 66 mechanisms times 66 reasons at most, and 1001 services times 62 codes;
	// what came is far below that.
	if most := 40_000; series > most {
		t.Errorf("%d series, want at most %d", series, most)
	}
	for name, n := range map[string]int{"soapward_operation_seconds": maxOperations + maxServices + 2, "soapward_request_seconds": maxServices + 2, "soapward_handshake_seconds": maxWords + 1} {
		got, err := testutil.GatherAndCount(ob.metrics.registry, name)
		if err != nil || got > n {
			t.Errorf("%s has %d series, %v; want at most %d", name, got, err, n)
		}
	}
	for name, n := range map[string]int{"codes": len(ob.metrics.codes.m), "ways": len(ob.metrics.ways.m), "known": len(ob.metrics.known.m)} {
		if n > maxChildren {
			t.Errorf("%s keeps %d, want at most %d", name, n, maxChildren)
		}
	}
	text := scrape(t, ob)
	if n := strings.Count(text, `",direction="inbound",service="hr"} `); n > 80 { // of 800 that came
		t.Errorf("%d codes of a service", n)
	}
	if len(text) > 20<<20 || strings.Contains(text, strings.Repeat("x", 600)) {
		t.Errorf("%d bytes of metrics", len(text))
	}
}
