package ldap

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	goldap "github.com/go-ldap/ldap/v3"
)

// A Resolver asks DNS. *net.Resolver is one.
type Resolver interface {
	LookupSRV(ctx context.Context, service, proto, name string) (cname string, addrs []*net.SRV, err error)
}

const (
	// connectTime is for connecting and logging in where there is another
	// server to turn to.
	connectTime = 1200 * time.Millisecond

	// firstProbe and lastProbe are when a server that failed is tried again, at
	// first and later on.
	firstProbe = time.Second
	lastProbe  = 30 * time.Second

	// discoverTime is how long the answer of DNS is used, and retryTime how long
	// an old answer is where DNS does not give a new one.
	discoverTime = 5 * time.Minute
	retryTime    = 15 * time.Second
	maxServers   = 32
)

// A replica is one of the servers that have the directory.
type replica struct {
	url  string
	rank int // lower ones are preferred
}

// health is what is known of a server that failed.
type health struct {
	next    time.Time     // when it is tried again
	wait    time.Duration // before the time after that
	probing bool
}

// servers knows the servers and which of them answer.
type servers struct {
	cfg *DirectoryConfig

	mu    sync.Mutex
	list  []*replica // by rank
	until time.Time  // of the list; zero: for ever, if there is one
	down  map[string]*health
}

func newServers(cfg *DirectoryConfig) *servers {
	s := &servers{cfg: cfg, down: map[string]*health{}}
	for i, u := range cfg.URLs {
		s.list = append(s.list, &replica{u, i})
	}
	return s
}

// each tries the servers, those that answer first, until try succeeds, and
// returns the one. A login that was refused, and a context that is done, end it.
func (s *servers) each(ctx context.Context, try func(context.Context, *replica) error) (*replica, error) {
	order, err := s.order(ctx)
	if err != nil {
		return nil, err
	}
	var errs []error
	for i, one := range order {
		limited, cancel := ctx, context.CancelFunc(func() {})
		if i < len(order)-1 {
			limited, cancel = context.WithTimeoutCause(ctx, connectTime, fmt.Errorf("no answer within %v", connectTime))
		}
		err := try(limited, one)
		cancel()
		switch {
		case err == nil:
			s.answered(one)
			return one, nil
		case errors.Is(err, errReader):
			return nil, err
		case ctx.Err() != nil:
			return nil, fmt.Errorf("ldap: %w", context.Cause(ctx))
		}
		s.failed(one, err)
		errs = append(errs, fmt.Errorf("%s: %w", one.url, err))
	}
	return nil, fmt.Errorf("ldap: no server answers: %w", errors.Join(errs...))
}

// order returns the servers as they should be tried. Those that failed are the
// last, and are probed meanwhile if it is time for that.
func (s *servers) order(ctx context.Context) ([]*replica, error) {
	list, err := s.discover(ctx)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var up, down []*replica
	for _, one := range list {
		if s.down[one.url] == nil {
			up = append(up, one)
		} else {
			down = append(down, one)
		}
	}
	return append(up, down...), nil
}

// failed remembers that a server did not do what it is for.
func (s *servers) failed(one *replica, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	h := s.down[one.url]
	if h == nil {
		h = &health{wait: firstProbe}
		s.down[one.url] = h
		logError(s.cfg.Logger, context.Background(), "directory server does not answer", one, err)
	}
	h.next = s.cfg.Now().Add(h.wait)
}

// answered remembers that a server does.
func (s *servers) answered(one *replica) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.down[one.url] != nil {
		delete(s.down, one.url)
		s.cfg.Logger.LogAttrs(context.Background(), slog.LevelInfo, "directory server answers again", slog.String("server", one.url))
	}
}

// due returns the servers that failed and that it is time to try again. Whoever
// gets one must call probed.
func (s *servers) due() []*replica {
	s.mu.Lock()
	defer s.mu.Unlock()
	var due []*replica
	now := s.cfg.Now()
	for _, one := range s.list {
		if h := s.down[one.url]; h != nil && !h.probing && !now.Before(h.next) {
			h.probing = true
			due = append(due, one)
		}
	}
	return due
}

// probed tells what became of trying again.
func (s *servers) probed(one *replica, err error) {
	if err == nil {
		s.answered(one)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if h := s.down[one.url]; h != nil {
		h.probing = false
		h.wait = min(2*h.wait, lastProbe)
		h.next = s.cfg.Now().Add(h.wait)
	}
}

// preferred reports whether a server answers, as far as is known, and no better
// one does.
func (s *servers) preferred(one *replica) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, other := range s.list {
		if s.down[other.url] == nil {
			return s.down[one.url] == nil && one.rank <= other.rank
		}
	}
	return true
}

// several reports whether there is another server to turn to.
func (s *servers) several() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.list) > 1
}

// discover returns the servers, which DNS names if the configuration does not.
func (s *servers) discover(ctx context.Context) ([]*replica, error) {
	s.mu.Lock()
	list, until := s.list, s.until
	s.mu.Unlock()
	if len(s.cfg.URLs) > 0 || len(list) > 0 && s.cfg.Now().Before(until) {
		return list, nil
	}
	found, err := s.lookUp(ctx)
	s.mu.Lock()
	defer s.mu.Unlock()
	if err != nil {
		if len(list) == 0 {
			return nil, err
		}
		s.until = s.cfg.Now().Add(retryTime)
		return list, nil // better an old one than none
	}
	s.list, s.until = found, s.cfg.Now().Add(discoverTime)
	return found, nil
}

// lookUp asks DNS for domain controllers (MS-ADTS 6.3.6.1). The resolver has
// them by priority, and by weight within one.
func (s *servers) lookUp(ctx context.Context) ([]*replica, error) {
	var resolver Resolver = net.DefaultResolver
	if s.cfg.Resolver != nil {
		resolver = s.cfg.Resolver
	}
	ctx, cancel := context.WithTimeout(ctx, s.cfg.Timeout)
	defer cancel()
	name := "dc._msdcs." + s.cfg.Domain
	_, records, err := resolver.LookupSRV(ctx, "ldap", "tcp", name)
	if err != nil {
		return nil, fmt.Errorf("ldap: DNS does not name controllers of %s, name them by URL or correct DNS: %w", s.cfg.Domain, err)
	}
	var found []*replica
	for _, r := range records {
		host := strings.ToLower(strings.TrimSuffix(r.Target, "."))
		// Whoever answers for DNS would get the passwords at a host of his own.
		if !strings.HasSuffix(host, "."+strings.ToLower(s.cfg.Domain)) {
			s.cfg.Logger.LogAttrs(ctx, slog.LevelWarn, "DNS names a controller outside the domain, which is not used", slog.String("server", printable(host)))
			continue
		}
		// The records are for port 389; LDAPS has its own.
		u := "ldaps://" + net.JoinHostPort(host, goldap.DefaultLdapsPort)
		if s.cfg.Kerberos != nil {
			u = "ldap://" + net.JoinHostPort(host, strconv.Itoa(int(r.Port)))
		}
		found = append(found, &replica{u, int(r.Priority)})
	}
	if len(found) == 0 {
		return nil, fmt.Errorf("ldap: DNS names no controllers of %s within the domain: name them by URL", s.cfg.Domain)
	}
	slices.SortStableFunc(found, func(a, b *replica) int { return cmp.Compare(a.rank, b.rank) })
	return found[:min(len(found), maxServers)], nil
}
