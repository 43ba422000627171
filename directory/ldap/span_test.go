package ldap

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"testing"

	ber "github.com/go-asn1-ber/asn1-ber"

	"github.com/soapward/soapward/authn"
)

// spans notes what ended.
type spans struct{ ended []string }

func (s *spans) Start(ctx context.Context, name string, attrs []slog.Attr) (context.Context, func(error)) {
	return ctx, func(err error) { s.ended = append(s.ended, fmt.Sprint(name, attrs, " ", err != nil)) }
}
func (*spans) SetHeader(context.Context, http.Header) {}

// The connection and each request are spans, without names of users.
func TestSpans(t *testing.T) {
	t.Parallel()
	s := listen(t, true, answer(func(id int64, _ ber.Tag) []byte { return result(id, 1, 49, "") }))
	log := new(spans)
	ctx := authn.WithSpans(t.Context(), log)
	c, err := Dial(ctx, Config{URL: s.url(), Roots: s.roots})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.Bind(ctx, "alice", authn.NewSecret(marked)); err == nil {
		t.Error("no error")
	}
	want := []string{"ldap[operation=connect server=" + c.host + "] false", "ldap[operation=bind server=" + c.host + "] true"}
	if !slices.Equal(log.ended, want) {
		t.Errorf("spans %q, want %q", log.ended, want)
	}
}
