package ldap

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/soapward/soapward/directory"
	"github.com/soapward/soapward/internal/testenv"
)

// A server that stops in the middle, with open connections, is left for the
// next one in time, and used again when it goes on.
func TestStoppedServer(t *testing.T) {
	t.Parallel()
	first, second := startSlapd(t), startSlapd(t)
	cfg := slapdConfig(first)
	cfg.URLs = append(cfg.URLs, second.URL)
	cfg.Roots.AddCert(second.Certificate())
	d := newDirectory(t, cfg)
	wantGood(t, d)

	first.Pause(t)
	defer first.Continue(t)
	begin := time.Now()
	if a, err := d.Account(t.Context(), directory.AccountRef{Name: "bob"}); err != nil || a.Name != "bob" {
		t.Errorf("bob: %v, %v", a, err)
	}
	took := time.Since(begin)
	t.Logf("the request that found the server stopped took %v", took)
	if took > 2500*time.Millisecond { // a second to see that it is slow, one to see that it is silent
		t.Errorf("took %v", took)
	}
	begin = time.Now()
	wantGood(t, d)
	if took := time.Since(begin); took > time.Second {
		t.Errorf("later ones took %v", took)
	}

	first.Continue(t)
	begin = time.Now()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if err := testenv.Poll(ctx, func() error {
		wantGood(t, d)
		d.pool.mu.Lock()
		defer d.pool.mu.Unlock()
		for _, c := range d.pool.idle {
			if c.server.rank != 0 {
				return errors.New("the second server is still in use")
			}
		}
		return nil
	}); err != nil {
		t.Error(err)
	}
	t.Logf("back at the first server after %v", time.Since(begin))
}
