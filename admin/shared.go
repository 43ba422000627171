package admin

import (
	"context"
	"encoding/json"
	"errors"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/directory"
	"github.com/soapward/soapward/directory/store"
	"github.com/soapward/soapward/gateway/config"
)

// store returns the store in force.
func (s *Service) store() (*store.Store, error) {
	if st := s.o.Store(); st != nil {
		return st, nil
	}
	return nil, &Error{Kind: Refused, Text: "the configuration has no store"}
}

func (s *Service) config() *config.Config { return s.o.Config() }

func failed(what string, err error) error {
	var known *Error
	switch {
	case err == nil:
		return nil
	case errors.As(err, &known):
		return err
	case errors.Is(err, directory.ErrNotFound):
		return &Error{Kind: NotFound, Text: "there is no " + what, Err: err}
	}
	return &Error{Kind: Unavailable, Text: "the store does not answer", Err: err}
}

func (s *Service) audited(ctx context.Context, st *store.Store, c *Caller, action, target string, do func(context.Context, *directory.Change) error) error {
	change := &directory.Change{Time: s.now(), Ref: authn.Ref(ctx), Actor: c.Name, Peer: c.Peer, Action: action, Target: target}
	return st.Audited(ctx, change, func(ctx context.Context) error { return do(ctx, change) })
}

func asJSON(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		panic("admin: " + err.Error())
	}
	return string(b)
}

func invalid(field, text, remedy string) error {
	return &Error{Kind: Invalid, Field: field, Text: text, Remedy: remedy}
}
