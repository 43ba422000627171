package api

import (
	"context"
	"net/http"
	"sync"
	"testing"

	"github.com/soapward/soapward/admin"
	"github.com/soapward/soapward/admin/admintest"
)

// A caller who may only look sends large bodies without end, each of which takes
// memory before it is known what he may do.
func TestAttackManyLargeBodies(t *testing.T) {
	t.Parallel()
	began, hold := make(chan struct{}, 2*maxLargeBodies), make(chan struct{})
	a, _ := serve(&admintest.Fake{Answer: func(context.Context, string, []any) (any, error) {
		began <- struct{}{}
		<-hold
		return nil, &admin.Error{Kind: admin.NotFound, Text: "an end"}
	}})
	vera := &admin.Caller{Name: "vera", Role: admin.Viewer}
	var wait sync.WaitGroup
	send := func(what string, who *admin.Caller, method, path, body string) {
		wait.Go(func() {
			if r := do(t, a, who, method, Prefix+path, body); r.StatusCode != http.StatusNotFound {
				t.Errorf("%s: %d", what, r.StatusCode)
			}
		})
		<-began
	}
	const set, users = `{"files":[],"digest":""}`, `{"source":"x","users":[]}`
	for i := range maxLargeBodies {
		if i%2 == 0 {
			send("a configuration", vera, "POST", "config/check", set)
		} else {
			send("users", vera, "POST", "import", users)
		}
	}
	for path, body := range map[string]string{"config/check": set, "import": users} {
		r := do(t, a, vera, "POST", Prefix+path, body)
		if e := refusal(t, r); r.StatusCode != http.StatusTooManyRequests || e.Kind != admin.TooMany {
			t.Errorf("one more %s: %d %+v", path, r.StatusCode, e)
		}
	}
	send("somebody else", alice, "POST", "config/check", set)
	send("what is small", vera, "GET", "config", "")
	close(hold)
	wait.Wait()
	send("when they are over", vera, "POST", "config/check", set)
	wait.Wait()
}
