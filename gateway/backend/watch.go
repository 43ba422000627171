package backend

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/soapward/soapward/gateway/config"
)

// watchHealth asks the servers in turn whether they are well, from the first
// request on.
func (p *Proxy) watchHealth(ctx context.Context) {
	tick := time.NewTicker(p.config.Health.Interval.Std())
	defer tick.Stop()
	for {
		var all sync.WaitGroup
		for _, s := range p.servers {
			all.Go(func() { s.look(ctx, p.config.Health) })
		}
		all.Wait()
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// look notes how a server is.
func (s *server) look(ctx context.Context, h *config.BackendHealth) {
	asked, cancel := context.WithTimeout(ctx, h.Timeout.Std())
	defer cancel()
	err := s.check(asked, h)
	if ctx.Err() != nil {
		return
	}
	switch sick := err != nil; {
	case s.sick.Swap(sick) == sick:
	case sick:
		s.logger.Warn("backend is not well", "backend", s.url, "error", err)
	default:
		s.logger.Info("backend is well again", "backend", s.url)
	}
}

// check asks a server as h has it, or connects to it without h.
func (s *server) check(ctx context.Context, h *config.BackendHealth) error {
	c, err := s.dial(ctx)
	if err != nil {
		return fmt.Errorf("backend %s: %w", s.url, err)
	}
	defer c.kill()
	if h == nil {
		return nil
	}
	stop := context.AfterFunc(ctx, c.kill)
	defer stop()
	ask := "GET " + h.Path + " HTTP/1.1\r\nHost: " + s.host + "\r\nUser-Agent: soapward\r\nConnection: close\r\n\r\n"
	var got head
	if _, err = c.Write([]byte(ask)); err == nil {
		err = got.read(&c.in)
	}
	switch {
	case ctx.Err() != nil:
		return fmt.Errorf("backend %s: GET %s: no answer in time", s.url, h.Path)
	case err != nil:
		return fmt.Errorf("backend %s: GET %s: %w", s.url, h.Path, err)
	case got.status != h.Status:
		return fmt.Errorf("backend %s: GET %s: %d %s, want %d", s.url, h.Path, got.status, http.StatusText(got.status), h.Status)
	}
	return nil
}
