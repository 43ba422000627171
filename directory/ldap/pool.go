package ldap

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	goldap "github.com/go-ldap/ldap/v3"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/authn/kerberos"
)

const (
	// idleTime is how long a connection is kept unused. Servers end idle ones
	// after some minutes (Active Directory: MaxConnIdleTime, 15 min).
	idleTime = time.Minute

	// freshTime is how long after an answer a connection counts as sound
	// without being asked.
	freshTime = 5 * time.Second

	// checkTime is for the answer to such a question.
	checkTime = 700 * time.Millisecond

	// patience is how long a request may take before the server is asked by
	// another connection whether it is there at all.
	patience = 600 * time.Millisecond

	// refusedTime is how long a refused login of the account that reads is
	// taken for the answer, so that requests do not lock it out.
	refusedTime = 10 * time.Second

	// tries bounds the servers and connections that one piece of work is given.
	tries = 4
)

// A pool keeps connections on which the account that reads is logged in. No
// user logs in on one of them.
type pool struct {
	cfg     *DirectoryConfig
	servers *servers
	reader  *kerberos.Client // nil: by password
	slots   chan struct{}    // one for each connection that is open or being opened
	logins  chan struct{}    // one for each connection of a user

	mu      sync.Mutex
	idle    []*pooled // the last one was used last
	sweep   *time.Timer
	closed  bool
	refused error // of the account that reads
	until   time.Time
	probes  sync.WaitGroup
}

// pooled is a connection of a pool.
type pooled struct {
	*Conn
	server *replica
	used   time.Time // of its last answer
}

func newPool(cfg *DirectoryConfig) *pool {
	reader := cfg.BindClient
	if reader == nil {
		reader, _ = cfg.kerberosClient(cfg.BindUser, cfg.BindPassword) // Check has seen the error
	}
	return &pool{
		cfg: cfg, servers: newServers(cfg), reader: reader,
		slots: make(chan struct{}, cfg.MaxConns), logins: make(chan struct{}, 4*cfg.MaxConns),
	}
}

var errClosed = errors.New("ldap: the directory is closed")

// run gives work a connection. Work that a connection or server kept from
// ending is done again on another one, so it must only read.
func (p *pool) run(ctx context.Context, work func(context.Context, *Conn) error) error {
	select {
	case p.slots <- struct{}{}:
	case <-ctx.Done():
		return fmt.Errorf("ldap: wait for a connection: %w", context.Cause(ctx))
	}
	defer func() { <-p.slots }()
	p.revive()
	var err error
	for range tries {
		var c *pooled
		if c, err = p.get(ctx); err != nil {
			return err
		}
		if err = p.watch(ctx, c.server, func(ctx context.Context) error { return work(ctx, c.Conn) }); err == nil {
			p.put(c)
			return nil
		}
		again := c.broken || busy(err)
		if again {
			_ = c.Close()
			p.blame(ctx, c.server, err)
		} else {
			p.put(c)
		}
		if !again || ctx.Err() != nil {
			return err
		}
	}
	return err
}

// blame makes a server count as one that does not answer, unless it was the
// caller who went away.
func (p *pool) blame(ctx context.Context, s *replica, err error) {
	if errors.Is(ctx.Err(), context.Canceled) {
		return
	}
	p.servers.failed(s, err)
	p.drop(s)
}

// busy reports whether a server says that another one should be asked.
func busy(err error) bool {
	var e *Error
	return errors.As(err, &e) && (e.Code == goldap.LDAPResultBusy || e.Code == goldap.LDAPResultUnavailable)
}

var errSilent = errors.New("the server is silent")

// watch does work, and ends it early if it takes long and its server turns out
// not to answer anybody.
func (p *pool) watch(ctx context.Context, s *replica, work func(context.Context) error) error {
	if !p.servers.several() {
		return work(ctx) // a slow one is better than none
	}
	watched, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	timer := time.AfterFunc(patience, func() {
		if err := p.probe(watched, s); err != nil && watched.Err() == nil {
			cancel(fmt.Errorf("%w: %w", errSilent, err))
		}
	})
	defer timer.Stop()
	return work(watched)
}

// probe finds out whether a server answers.
func (p *pool) probe(ctx context.Context, s *replica) error {
	ctx, cancel := context.WithTimeoutCause(ctx, checkTime, fmt.Errorf("no answer within %v", checkTime))
	defer cancel()
	c, err := p.dial(ctx, s)
	if err != nil {
		return err
	}
	defer func() { _ = c.Close() }()
	return c.ping(ctx)
}

// ping asks for something that each server answers to anybody (RFC 4512 5.1).
func (c *Conn) ping(ctx context.Context) error {
	_, err := c.Search(ctx, Search{Scope: BaseObject, Attributes: []string{"1.1"}, Limit: 1}) // no attributes, RFC 4511 4.5.1.8
	var answered *Error
	if errors.As(err, &answered) {
		return nil
	}
	return err
}

// get returns a connection that is sound as far as one can tell.
func (p *pool) get(ctx context.Context) (*pooled, error) {
	for {
		c, err := p.take()
		if err != nil {
			return nil, err
		}
		if c == nil {
			break
		}
		if p.cfg.Now().Sub(c.used) < freshTime {
			return c, nil
		}
		check, cancel := context.WithTimeoutCause(ctx, checkTime, fmt.Errorf("no answer within %v", checkTime))
		err = c.ping(check)
		cancel()
		if err == nil {
			return c, nil
		}
		_ = c.Close()
		if ctx.Err() != nil {
			return nil, fmt.Errorf("ldap: %w", context.Cause(ctx))
		}
		if !c.Conn.ended(err) { // silent, as against idle for longer than it likes
			p.servers.failed(c.server, err)
			p.drop(c.server)
		}
	}
	p.mu.Lock()
	refused, until := p.refused, p.until
	p.mu.Unlock()
	if refused != nil && p.cfg.Now().Before(until) {
		return nil, refused
	}
	return p.open(ctx)
}

// ended reports whether the server closed the connection, which it may.
func (c *Conn) ended(err error) bool {
	return c.ldap.IsClosing() && !errors.Is(err, context.DeadlineExceeded) && c.wire.left.Load() > 0
}

// open makes a connection and logs in.
func (p *pool) open(ctx context.Context) (*pooled, error) {
	var bound *Conn
	s, err := p.servers.each(ctx, func(ctx context.Context, s *replica) error {
		c, err := p.dial(ctx, s)
		if err != nil {
			return err
		}
		if err := p.login(ctx, c); err != nil {
			_ = c.Close()
			return err
		}
		bound = c
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &pooled{Conn: bound, server: s, used: p.cfg.Now()}, nil
}

// login binds as the account that reads. A server that refuses it is the same
// as each other one: the account is not tried at all of them.
func (p *pool) login(ctx context.Context, c *Conn) error {
	var err error
	switch {
	case p.reader != nil:
		err = c.BindKerberos(ctx, p.reader)
		if err != nil && !errors.Is(err, authn.ErrBadCredentials) {
			return err // of the network, or of this server
		}
	case p.cfg.Kerberos != nil:
		return fmt.Errorf("%w: set a bind user, as nothing is read without one on sealed connections", errReader)
	case p.cfg.BindUser == "":
		return nil
	default:
		err = c.Bind(ctx, p.cfg.BindUser, p.cfg.BindPassword)
	}
	if err == nil || c.broken || busy(err) {
		return err
	}
	remedy := "correct the bind user and its password"
	var e *Error
	if errors.As(err, &e) && (e.Code == goldap.LDAPResultStrongAuthRequired || e.Code == goldap.LDAPResultConfidentialityRequired) {
		remedy = "use ldaps:// or StartTLS"
	}
	// Not wrapped: it is a refusal, but not one of the user.
	err = fmt.Errorf("%w: %s: %v", errReader, remedy, err)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.refused, p.until = err, p.cfg.Now().Add(refusedTime)
	return err
}

// errReader is no fault of the user who logs in.
var errReader = errors.New("ldap: the account that reads the directory cannot log in")

func (p *pool) dial(ctx context.Context, s *replica) (*Conn, error) {
	return Dial(ctx, Config{
		URL: s.url, Roots: p.cfg.Roots, AllowInsecurePlain: p.cfg.AllowInsecurePlain, Sealed: p.cfg.Kerberos != nil,
		Timeout: p.cfg.Timeout, Dialer: p.cfg.Dialer,
	})
}

// dialUser makes a connection for the login of one user, and no other use. It
// must be closed, and then freed.
func (p *pool) dialUser(ctx context.Context) (c *Conn, s *replica, free func(), err error) {
	p.mu.Lock()
	closed := p.closed
	p.mu.Unlock()
	if closed {
		return nil, nil, nil, errClosed
	}
	select {
	case p.logins <- struct{}{}:
	case <-ctx.Done():
		return nil, nil, nil, fmt.Errorf("ldap: wait for a connection: %w", context.Cause(ctx))
	}
	p.revive()
	s, err = p.servers.each(ctx, func(ctx context.Context, s *replica) (err error) {
		c, err = p.dial(ctx, s)
		return err
	})
	if err != nil {
		<-p.logins
		return nil, nil, nil, err
	}
	return c, s, func() { _ = c.Close(); <-p.logins }, nil
}

// take returns the idle connection that was used last, nil if there is none.
func (p *pool) take() (*pooled, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil, errClosed
	}
	for len(p.idle) > 0 {
		c := p.idle[len(p.idle)-1]
		p.idle = p.idle[:len(p.idle)-1]
		if !c.ldap.IsClosing() && p.servers.preferred(c.server) {
			return c, nil
		}
		_ = c.Close()
	}
	return nil, nil
}

// put takes a connection back.
func (p *pool) put(c *pooled) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed || c.broken || !p.servers.preferred(c.server) {
		_ = c.Close()
		return
	}
	c.used = p.cfg.Now()
	p.idle = append(p.idle, c)
	if p.sweep == nil {
		p.sweep = time.AfterFunc(idleTime, p.closeIdle)
	}
}

// closeIdle ends connections that nobody used for a while.
func (p *pool) closeIdle() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.sweep = nil
	var keep []*pooled
	for _, c := range p.idle {
		if p.cfg.Now().Sub(c.used) < idleTime {
			keep = append(keep, c)
		} else {
			_ = c.Close()
		}
	}
	p.idle = keep
	if len(keep) > 0 && !p.closed {
		p.sweep = time.AfterFunc(idleTime, p.closeIdle)
	}
}

// drop ends the idle connections to a server.
func (p *pool) drop(s *replica) {
	p.mu.Lock()
	defer p.mu.Unlock()
	var keep []*pooled
	for _, c := range p.idle {
		if c.server.url == s.url {
			_ = c.Close()
		} else {
			keep = append(keep, c)
		}
	}
	p.idle = keep
}

// revive probes servers that failed, if it is time for that, so that no request
// has to wait for one that is still silent.
func (p *pool) revive() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return
	}
	for _, s := range p.servers.due() {
		p.probes.Go(func() { p.servers.probed(s, p.probe(context.Background(), s)) })
	}
}

func (p *pool) close() {
	defer p.probes.Wait() // a second at most
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	for _, c := range p.idle {
		_ = c.Close()
	}
	p.idle = nil
	if p.sweep != nil {
		p.sweep.Stop()
	}
}

// unavailable makes err one of those who could not find out.
func unavailable(err error) error {
	if errors.Is(err, authn.ErrUnavailable) {
		return err
	}
	return fmt.Errorf("%w: %w", authn.ErrUnavailable, err)
}

func logError(l *slog.Logger, ctx context.Context, msg string, s *replica, err error) {
	l.LogAttrs(ctx, slog.LevelWarn, msg, slog.String("server", s.url), slog.String("error", err.Error()))
}
