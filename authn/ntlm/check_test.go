package ntlm

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"testing"

	"github.com/soapward/soapward/authn"
)

func TestMechanismCheck(t *testing.T) {
	t.Parallel()
	v := testAccounts(t)
	for _, tt := range []struct {
		name string
		m    Mechanism
		want []string // in the error; none if there is none
	}{
		{"complete", Mechanism{Verifier: v, Names: testNames}, nil},
		{"domain only", Mechanism{Verifier: v, Names: Names{Domain: "CORP"}}, nil},
		{"computer only", Mechanism{Verifier: v, Names: Names{Computer: "GW01"}}, nil},
		{"no verifier", Mechanism{Names: testNames}, []string{"no Verifier"}},
		{"no names", Mechanism{Verifier: v, Names: Names{DNS: testNames.DNS}}, []string{"Names.Domain"}},
		{"zero", Mechanism{}, []string{"no Verifier", "Names.Domain"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			err := tt.m.Check()
			if (err == nil) != (tt.want == nil) {
				t.Fatalf("got %v, want %q", err, tt.want)
			}
			for _, want := range tt.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("got %v, want %q", err, want)
				}
			}
		})
	}
}

// A Mechanism without a Verifier looked like a client without credentials: it
// is the operator who must act, before a client computes an answer.
func TestNoVerifierIsUnavailable(t *testing.T) {
	t.Parallel()
	m := &Mechanism{Names: testNames}
	reply, id, err := m.NewAcceptor(authn.Exchange{}).Step(t.Context(), new(forger).first())
	if reply != nil || id != nil || !errors.Is(err, authn.ErrUnavailable) || errors.Is(err, authn.ErrBadCredentials) {
		t.Fatalf("reply %x, identity %v, %v", reply, id, err)
	}
	if !strings.Contains(err.Error(), "Mechanism has no Verifier") {
		t.Errorf("error %v", err)
	}
}

// Over TLS whose binding nobody told, the log says so, once for a Mechanism.
func TestUnknownBindingWarns(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		policy authn.BindingPolicy
		x      authn.Exchange
		want   int
	}{
		{"supported, binding not known", authn.BindingSupported, authn.Exchange{TLS: true}, 1},
		{"supported, binding known", authn.BindingSupported, authn.Exchange{TLS: true, Bindings: authn.Bindings{[]byte("tls-server-end-point:x")}}, 0},
		{"supported, no TLS", authn.BindingSupported, authn.Exchange{}, 0},
		{"off", authn.BindingOff, authn.Exchange{TLS: true}, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var b bytes.Buffer
			m, _ := newMechanism(t, Mechanism{Binding: tt.policy, Logger: slog.New(slog.NewTextHandler(&b, nil))})
			for range 3 {
				f := forger{pairs: avDelete(AVChannelBindings)}
				if _, err := f.login(t, m.NewAcceptor(tt.x)); err != nil {
					t.Fatal(err)
				}
			}
			got := b.String()
			if strings.Count(got, "\n") != tt.want || tt.want == 1 && (!strings.Contains(got, "level=WARN") || !strings.Contains(got, "iwa.NewTLSListener")) {
				t.Errorf("want %d lines, logged %s", tt.want, got)
			}
		})
	}
}
