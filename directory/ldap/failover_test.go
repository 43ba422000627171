package ldap

import (
	"context"
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/directory"
	"github.com/soapward/soapward/internal/testenv"
)

// silentServer takes connections and never says anything.
func silentServer(t *testing.T) string {
	t.Helper()
	return listen(t, false, func(c net.Conn) {
		for b := make([]byte, 512); ; {
			if _, err := c.Read(b); err != nil {
				return
			}
		}
	}).addr
}

// wantGood logs alice in, and reads her account.
func wantGood(t *testing.T, d *Directory) {
	t.Helper()
	if id, err := d.VerifyPassword(t.Context(), "alice", "alice-s3cret"); err != nil || id.Account != "alice" {
		t.Errorf("alice: %v, %v", id, err)
	}
	if a, err := d.Account(t.Context(), directory.AccountRef{Name: "bob"}); err != nil || a.Name != "bob" {
		t.Errorf("bob: %v, %v", a, err)
	}
}

// The first request turns to the next server in time, later ones at once.
func TestFailover(t *testing.T) {
	t.Parallel()
	s := startSlapd(t)
	port, err := testenv.FreePort()
	if err != nil {
		t.Fatal(err)
	}
	for name, first := range map[string]string{"silent": "ldaps://" + silentServer(t), "refuses": (&net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: port}).String()} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg := slapdConfig(s)
			if name == "refuses" {
				first = "ldaps://" + first
			}
			cfg.URLs = []string{first, s.URL}
			d := newDirectory(t, cfg)
			begin := time.Now()
			wantGood(t, d)
			if took := time.Since(begin); took > 2*time.Second {
				t.Errorf("the first login took %v", took)
			}
			begin = time.Now()
			for range 5 {
				wantGood(t, d)
			}
			// If each of them waited it would be six seconds for the logins alone.
			if took := time.Since(begin); took > 3*time.Second {
				t.Errorf("later ones took %v", took)
			}
		})
	}
}

// With no server that answers, nobody can say.
func TestAllServersAway(t *testing.T) {
	t.Parallel()
	d := newDirectory(t, DirectoryConfig{
		Kind: Standard, URLs: []string{"ldaps://" + silentServer(t), "ldaps://" + silentServer(t)}, BaseDN: people,
		Filter: "(uid={user})", Timeout: 500 * time.Millisecond,
	})
	for range 1 {
		begin := time.Now()
		_, err1 := d.VerifyPassword(t.Context(), "alice", "x")
		_, err2 := d.Account(t.Context(), directory.AccountRef{Name: "alice"})
		_, err3 := d.Accounts(t.Context(), []directory.AccountRef{{Name: "alice"}})
		_, err4 := d.Group(t.Context(), "x")
		for _, err := range []error{err1, err2, err3, err4} {
			if !errors.Is(err, authn.ErrUnavailable) || errors.Is(err, directory.ErrNotFound) || errors.Is(err, authn.ErrBadCredentials) {
				t.Errorf("got %v", err)
			}
		}
		if took := time.Since(begin); took > 10*time.Second {
			t.Errorf("took %v", took)
		}
	}
	if err := d.Close(); err != nil {
		t.Error(err)
	}
	if _, err := d.Account(t.Context(), directory.AccountRef{Name: "alice"}); !errors.Is(err, authn.ErrUnavailable) {
		t.Errorf("closed: %v", err)
	}
}

// Clients that go away in the middle do not make a server count as one that does
// not answer, for which others would be sent elsewhere and lose their connections.
func TestAttackClientsGoAway(t *testing.T) {
	t.Parallel()
	asked := make(chan struct{}, 16)
	s := listen(t, false, func(c net.Conn) {
		for b := make([]byte, 512); ; asked <- struct{}{} {
			if _, err := c.Read(b); err != nil {
				return
			}
		}
	})
	d := newDirectory(t, DirectoryConfig{Kind: Standard, URLs: []string{"ldap://" + s.addr}, BaseDN: people, AllowInsecurePlain: true})
	for name, ask := range map[string]func(context.Context) error{
		"login": func(ctx context.Context) error { _, err := d.VerifyPassword(ctx, "uid=alice,"+people, "x"); return err },
		"account": func(ctx context.Context) error {
			_, err := d.Account(ctx, directory.AccountRef{Name: "alice"})
			return err
		},
	} {
		ctx, cancel := context.WithCancel(t.Context())
		go func() { <-asked; cancel() }()
		if err := ask(ctx); !errors.Is(err, authn.ErrUnavailable) || !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v", name, err)
		}
		d.pool.servers.mu.Lock()
		if n := len(d.pool.servers.down); n != 0 {
			t.Errorf("%s: the server counts as one that does not answer", name)
		}
		d.pool.servers.mu.Unlock()
	}
}

// The server is killed and started again while users log in. No decision may be
// wrong at any time, and good ones come back soon.
func TestKilledUnderLoad(t *testing.T) {
	t.Parallel()
	s := startSlapd(t)
	d := newDirectory(t, slapdConfig(s))
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var good, away atomic.Int64
	var last atomic.Int64 // time of the last good answer
	var work sync.WaitGroup
	for i := range 8 {
		work.Go(func() {
			for ctx.Err() == nil {
				var err error
				switch i % 4 {
				case 0:
					var id *authn.Identity
					if id, err = d.VerifyPassword(ctx, "alice", "alice-s3cret"); err == nil && id.Account != "alice" {
						t.Errorf("alice is %v", id)
					} else if errors.Is(err, authn.ErrBadCredentials) {
						t.Errorf("alice: %v", err)
					}
				case 1:
					_, err = d.VerifyPassword(ctx, "alice", "wrong")
					if err == nil {
						t.Error("a wrong password is right")
					}
					if errors.Is(err, authn.ErrBadCredentials) {
						err = nil
					}
				case 2:
					if _, err = d.Account(ctx, directory.AccountRef{Name: "bob"}); errors.Is(err, directory.ErrNotFound) {
						t.Errorf("bob: %v", err)
					}
				case 3:
					_, err = d.Account(ctx, directory.AccountRef{Name: "nobody"})
					if err == nil {
						t.Error("nobody is somebody")
					}
					if errors.Is(err, directory.ErrNotFound) {
						err = nil
					}
				}
				switch {
				case err == nil:
					good.Add(1)
					last.Store(time.Now().UnixNano())
				case ctx.Err() != nil:
				case errors.Is(err, authn.ErrUnavailable):
					away.Add(1)
				default:
					t.Errorf("got %v, want that the directory is not available", err)
				}
			}
		})
	}
	more := func(n *atomic.Int64, by int64) {
		t.Helper()
		from := n.Load()
		limited, cancel := context.WithTimeout(ctx, 20*time.Second)
		defer cancel()
		if err := testenv.Poll(limited, func() error {
			if n.Load() < from+by {
				return errors.New("no more answers")
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
	}
	more(&good, 50)
	var worst time.Duration
	for range 3 {
		s.Kill(t)
		more(&away, 20)
		s.Restart(t)
		up := time.Now()
		more(&good, 8)
		worst = max(worst, time.Unix(0, last.Load()).Sub(up))
		more(&good, 50)
	}
	cancel()
	work.Wait()
	t.Logf("%d good answers, %d without, at most %v from the start of the server to the eighth good answer", good.Load(), away.Load(), worst)
	if worst > 3*time.Second {
		t.Errorf("recovery took %v", worst)
	}
}

// A connection that the server closed while it was idle is no trouble, and idle
// ones are closed after a while.
func TestIdleConnections(t *testing.T) {
	t.Parallel()
	s := startSlapd(t)
	cfg := slapdConfig(s)
	var offset atomic.Int64
	cfg.Now = func() time.Time { return time.Now().Add(time.Duration(offset.Load())) }
	d := newDirectory(t, cfg)
	wantGood(t, d)
	s.Kill(t)
	s.Restart(t)
	wantGood(t, d) // within freshTime, so that the connection is used before that is seen
	s.Kill(t)
	s.Restart(t)
	offset.Add(int64(freshTime))
	wantGood(t, d)
	idle := func() int {
		d.pool.mu.Lock()
		defer d.pool.mu.Unlock()
		return len(d.pool.idle)
	}
	if idle() == 0 {
		t.Error("no connection is kept")
	}
	d.pool.closeIdle()
	if idle() == 0 {
		t.Error("a connection that was just used is closed")
	}
	offset.Add(int64(idleTime))
	d.pool.closeIdle()
	if n := idle(); n != 0 {
		t.Errorf("%d idle connections are left", n)
	}
}
