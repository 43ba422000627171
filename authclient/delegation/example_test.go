package delegation_test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"

	"github.com/soapward/soapward/authclient"
	"github.com/soapward/soapward/authclient/delegation"
	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/authn/kerberos"
)

// A caller who logged in by NTLM cannot be passed on, and the error says so.
func ExampleSource() {
	source := delegation.Source(&delegation.Delegator{
		Upstreams: []delegation.Upstream{{SPN: "HTTP/back.corp.test"}},
	})
	caller := &authn.Identity{Account: "alice", Domain: "CORP", Mechanism: authn.MechanismNTLM}
	ctx := authn.NewContext(context.Background(), caller) // the middleware does this

	back, _ := url.Parse("https://back.corp.test/")
	_, err := source.Credential(ctx, authclient.TargetOf(back))
	fmt.Println(err)
	fmt.Println("double hop:", errors.Is(err, delegation.ErrDoubleHop))
	// Output:
	// delegation: act for CORP\alice (NTLM) at HTTP/back.corp.test: the caller logged in by NTLM, which leaves nothing that could be shown to a second server (double hop)
	// double hop: true
}

// A check of the configuration tells what would fail at the first call.
func ExampleDelegator_CheckRoute() {
	callers := &delegation.Delegator{
		Client: account, // of the service that callers log in to
		Upstreams: []delegation.Upstream{
			{SPN: "HTTP/ledger.corp.test"},
			{SPN: "HTTP/archive.corp.test", ProtocolTransition: true, Account: "svc-archive"},
		},
		Domains: map[string]string{"CORP": "CORP.TEST"},
	}
	for _, u := range callers.Upstreams {
		for _, w := range callers.CheckRoute("/hr/", []string{"Kerberos", "NTLM"}, u.SPN) {
			fmt.Println(w)
		}
	}
	// Output:
	// upstream HTTP/ledger.corp.test acts as the caller, but route /hr/ accepts NTLM: such callers cannot be passed on unless protocol transition is configured
}

// An audit log and a metric hang on Observe; programs branch on the reason.
func ExampleError() {
	refused := map[delegation.Reason]int{}
	callers := &delegation.Delegator{
		Upstreams: []delegation.Upstream{{SPN: "HTTP/back.corp.test"}},
		Observe:   func(_ context.Context, d delegation.Decision) { refused[d.Reason]++ },
	}
	caller := &authn.Identity{Account: "alice", Domain: "CORP", Mechanism: authn.MechanismNTLM}
	back, _ := url.Parse("https://back.corp.test/")
	_, _, err := callers.Delegate(context.Background(), caller, authclient.TargetOf(back))

	var e *delegation.Error
	if errors.As(err, &e) && e.Reason == delegation.ReasonDoubleHop {
		fmt.Println(e.Remedies[0])
	}
	fmt.Println(refused)
	// Output:
	// accept Kerberos only on the route
	// map[double-hop:1]
}

// A REST handler says in its answer that the caller could not be passed on, and
// in the log why. Package soapserver does both by itself.
func ExampleError_Problem() {
	back := &http.Client{Transport: &authclient.Transport{Source: delegation.Source(&delegation.Delegator{
		Upstreams: []delegation.Upstream{{SPN: "HTTP/back.corp.test"}},
	})}}
	handler := func(w http.ResponseWriter, r *http.Request) {
		req, err := http.NewRequestWithContext(r.Context(), http.MethodGet, "https://back.corp.test/", nil)
		if err != nil {
			http.Error(w, "internal error", http.StatusInternalServerError)
			return
		}
		resp, err := back.Do(req)
		if refused := (*delegation.Error)(nil); errors.As(err, &refused) {
			ref := rand.Text()[:10] // of crypto/rand
			slog.WarnContext(r.Context(), "call refused", "ref", ref, "cause", refused)
			refused.Problem(ref).ServeHTTP(w, r)
			return
		}
		if err != nil {
			http.Error(w, "back end unavailable", http.StatusBadGateway)
			return
		}
		defer func() { _ = resp.Body.Close() }()
		_, _ = io.Copy(w, resp.Body)
	}

	caller := &authn.Identity{Account: "alice", Domain: "CORP", Mechanism: authn.MechanismNTLM}
	r := httptest.NewRequest(http.MethodGet, "/hr/", nil)
	w := httptest.NewRecorder()
	handler(w, r.WithContext(authn.NewContext(r.Context(), caller))) // the middleware does this
	fmt.Println(w.Code, w.Header().Get("Content-Type"))
	// Output:
	// 502 application/problem+json
}

// account is made with kerberos.NewKeytabClient; nothing is sent before the
// first call.
var account, _ = kerberos.NewPasswordClient(kerberos.Config{DefaultRealm: "CORP.TEST"}, "svc-hr", authn.NewSecret("example"))
