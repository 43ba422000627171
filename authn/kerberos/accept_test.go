package kerberos

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/internal/krb5"
)

func TestAccept(t *testing.T) {
	t.Parallel()
	for _, e := range []krb5.EType{krb5.AES128SHA1, krb5.AES256SHA1, krb5.AES128SHA2, krb5.AES256SHA2} {
		t.Run(e.String(), func(t *testing.T) {
			t.Parallel()
			o := newOrder(t, e)
			_, id, err := login1(o.mechanism(t), authn.Exchange{}, o.token(t))
			if err != nil {
				t.Fatal(err)
			}
			got := *id
			got.Evidence = nil
			want := authn.Identity{
				Account: "alice", Domain: "CORP", UPN: "alice@corp.test", DisplayName: "Alice Liddell",
				SID: "S-1-5-21-1-2-3-1104", Mechanism: authn.MechanismKerberos,
				Groups:   []authn.Group{{SID: "S-1-5-21-1-2-3-513"}, {SID: "S-1-5-21-1-2-3-1105"}, {SID: "S-1-18-1"}},
				AuthTime: fixedNow.Add(-time.Hour).Truncate(time.Second),
				Expires:  fixedNow.Add(9 * time.Hour).Truncate(time.Second),
			}
			if !reflect.DeepEqual(got, want) {
				t.Errorf("got  %+v\nwant %+v", got, want)
			}
		})
	}
}

func TestAcceptMutual(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name   string
		option krb5.Flags
		gss    ContextFlags
		want   bool
	}{
		{"both", krb5.APMutualRequired, ContextMutual, true},
		{"AP option only", krb5.APMutualRequired, ContextIntegrity, true},
		{"GSS flag only", 0, ContextMutual, true},
		{"not asked", 0, ContextIntegrity, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			o := newOrder(t, krb5.AES256SHA1)
			o.gss = func(c *gssChecksum) { c.flags = tc.gss }
			o.req = func(r *krb5.APReq) { r.Options = tc.option }
			reply, id, err := login1(o.mechanism(t), authn.Exchange{}, o.token(t))
			if err != nil || id == nil {
				t.Fatal(id, err)
			}
			if !tc.want {
				if reply != nil {
					t.Errorf("reply %x, want none", reply)
				}
				return
			}
			part := readReply(t, reply, o.session)
			if !part.CTime.Equal(fixedNow.Truncate(time.Second)) || part.CUSec != 535_000 {
				t.Errorf("AP-REP echoes %v %d", part.CTime, part.CUSec)
			}
			if part.SeqNumber == 0 || !part.SubKey.IsZero() {
				t.Errorf("AP-REP has sequence number %d, subkey %v", part.SeqNumber, part.SubKey)
			}
		})
	}
}

func readReply(t *testing.T, reply []byte, session krb5.Key) *krb5.EncAPRepPart {
	t.Helper()
	oid, kind, body, err := krb5.UnframeToken(reply)
	if err != nil || kind != krb5.TokenAPRep || !oid.Equal(OID()) {
		t.Fatalf("reply of %v, kind %#x, %v", oid, uint16(kind), err)
	}
	rep, err := krb5.ParseAPRep(body)
	if err != nil {
		t.Fatal(err)
	}
	b, err := session.Decrypt(krb5.UsageAPRepPart, rep.EncPart.Cipher)
	if err != nil {
		t.Fatal(err)
	}
	part, err := krb5.ParseEncAPRepPart(b)
	if err != nil {
		t.Fatal(err)
	}
	return part
}

// A client that frames its token with Microsoft's object identifier is
// answered in kind.
func TestAcceptMicrosoftFraming(t *testing.T) {
	t.Parallel()
	o := newOrder(t, krb5.AES256SHA1)
	o.oid = krb5.OIDMicrosoftKerberos()
	reply, _, err := login1(o.mechanism(t), authn.Exchange{}, o.token(t))
	if err != nil {
		t.Fatal(err)
	}
	oid, kind, _, err := krb5.UnframeToken(reply)
	if err != nil || !oid.Equal(o.oid) || kind != krb5.TokenAPRep {
		t.Errorf("answer in %v, kind %#x, %v", oid, uint16(kind), err)
	}
}

func TestAcceptSigns(t *testing.T) {
	t.Parallel()
	list := []byte("mechTypes")
	for _, mutual := range []bool{true, false} {
		for _, subkey := range []bool{true, false} {
			o := newOrder(t, krb5.AES256SHA1)
			context := o.session
			o.auth = func(a *krb5.Authenticator) {
				if context = a.SubKey; !subkey {
					a.SubKey, context = krb5.Key{}, o.session
				}
			}
			if !mutual {
				o.gss = func(c *gssChecksum) { c.flags = ContextIntegrity }
				o.req = func(r *krb5.APReq) { r.Options = 0 }
			}
			a := o.mechanism(t).NewAcceptor(authn.Exchange{})
			s := a.(authn.MessageSigner)
			if _, err := s.GetMIC(list); !errors.Is(err, errNoContext) {
				t.Errorf("MIC before the exchange: %v", err)
			}
			if err := s.VerifyMIC(list, nil); !errors.Is(err, errNoContext) {
				t.Errorf("MIC verified before the exchange: %v", err)
			}
			reply, _, err := a.Step(t.Context(), o.token(t))
			if err != nil {
				t.Fatal(err)
			}
			seq := uint64(4711)
			if mutual {
				seq = uint64(readReply(t, reply, o.session).SeqNumber)
			}
			client := &signer{key: context, seq: 4711}
			mic, err := s.GetMIC(list)
			if err != nil {
				t.Fatal(err)
			}
			if err := client.VerifyMIC(list, mic); err != nil {
				t.Errorf("mutual %v, subkey %v: client refuses the MIC: %v", mutual, subkey, err)
			}
			if got := bytesToSeq(mic); got != seq {
				t.Errorf("mutual %v: MIC has sequence number %d, want %d", mutual, got, seq)
			}
			if mic, err = client.GetMIC(list); err != nil {
				t.Fatal(err)
			}
			if err := s.VerifyMIC(list, mic); err != nil {
				t.Errorf("mutual %v, subkey %v: MIC of the client: %v", mutual, subkey, err)
			}
		}
	}
}

func bytesToSeq(mic []byte) (n uint64) {
	for _, b := range mic[8:16] {
		n = n<<8 | uint64(b)
	}
	return n
}

func TestAcceptBinding(t *testing.T) {
	t.Parallel()
	ours, others := bindingFor("ours"), bindingFor("others")
	empty := authn.ChannelBinding{} // the hash of no binding, which is not zero
	bind := func(b authn.ChannelBinding) func(*gssChecksum) {
		return func(c *gssChecksum) {
			if b != nil {
				c.binding = b.GSSHash()
			}
		}
	}
	aware := func(a *krb5.Authenticator) {
		ad, err := krb5.IfRelevant(krb5.AuthorizationData{Type: krb5.ADAPOptions, Data: []byte{0, 0x40, 0, 0}})
		if err != nil {
			t.Error(err)
		}
		a.AuthorizationData = append(a.AuthorizationData, ad)
	}
	for _, tc := range []struct {
		name   string
		policy authn.BindingPolicy
		conn   authn.ChannelBinding
		client authn.ChannelBinding
		aware  bool
		hint   string // "" means accepted
	}{
		{"supported, fits", authn.BindingSupported, ours, ours, true, ""},
		{"supported, none, old client", authn.BindingSupported, ours, nil, false, ""},
		{"supported, none, client that knows them", authn.BindingSupported, ours, nil, true, "relays"},
		{"supported, others", authn.BindingSupported, ours, others, false, "another certificate"},
		{"supported, TLS ends before us", authn.BindingSupported, nil, ours, false, "ends TLS in front of us"},
		{"supported, hash of no binding", authn.BindingSupported, nil, empty, false, "ends TLS in front of us"},
		{"supported, plain", authn.BindingSupported, nil, nil, true, ""},
		{"required, fits", authn.BindingRequired, ours, ours, false, ""},
		{"required, none", authn.BindingRequired, ours, nil, false, "sends no channel bindings"},
		{"required, others", authn.BindingRequired, ours, others, false, "another certificate"},
		{"required, plain", authn.BindingRequired, nil, nil, false, ""},
		{"off, others", authn.BindingOff, ours, others, true, ""},
		{"off, none", authn.BindingOff, ours, nil, true, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			o := newOrder(t, krb5.AES256SHA1)
			o.gss = bind(tc.client)
			if tc.aware {
				o.auth = aware
			}
			m := o.mechanism(t)
			m.Binding = tc.policy
			_, id, err := login1(m, authn.Exchange{Bindings: authn.Bindings{tc.conn}}, o.token(t))
			if tc.hint != "" {
				wantRefused(t, id, err, authn.ReasonChannelBinding, tc.hint)
			} else if err != nil {
				t.Error(err)
			}
		})
	}
}

func TestAcceptTokens(t *testing.T) {
	t.Parallel()
	o := newOrder(t, krb5.AES256SHA1)
	good := o.token(t)
	_, _, apReq, err := krb5.UnframeToken(good)
	if err != nil {
		t.Fatal(err)
	}
	frame := func(kind krb5.TokenID, body []byte) []byte {
		b, err := krb5.FrameToken(OID(), kind, body)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	spnego, err := krb5.FrameToken([]int{1, 3, 6, 1, 5, 5, 2}, krb5.TokenAPReq, apReq)
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		name   string
		token  []byte
		reason authn.Reason
	}{
		{"empty", nil, authn.ReasonMalformed},
		{"NTLM", []byte("NTLMSSP\x00\x01\x00\x00\x00"), authn.ReasonMalformed},
		{"no framing", apReq, authn.ReasonMalformed},
		{"another mechanism", spnego, authn.ReasonMechanism},
		{"AP-REP", frame(krb5.TokenAPRep, apReq), authn.ReasonOutOfOrder},
		{"KRB-ERROR", frame(krb5.TokenError, apReq), authn.ReasonOutOfOrder},
		{"nothing inside", frame(krb5.TokenAPReq, nil), authn.ReasonMalformed},
		{"something behind", append(bytes.Clone(good), 0), authn.ReasonMalformed},
		{"something behind inside", frame(krb5.TokenAPReq, append(bytes.Clone(apReq), 0)), authn.ReasonMalformed},
	} {
		_, id, err := login1(o.mechanism(t), authn.Exchange{}, tc.token)
		t.Run(tc.name, func(t *testing.T) { wantRefused(t, id, err, tc.reason, "") })
	}
	t.Run("too long", func(t *testing.T) {
		_, id, err := login1(o.mechanism(t), authn.Exchange{}, make([]byte, maxToken+1))
		wantRefused(t, id, err, authn.ReasonMalformed, "")
		if !strings.Contains(err.Error(), "131073 bytes") {
			t.Errorf("%v: it was read", err)
		}
	})
	t.Run("second token", func(t *testing.T) {
		a := o.mechanism(t).NewAcceptor(authn.Exchange{})
		if _, _, err := a.Step(t.Context(), good); err != nil {
			t.Fatal(err)
		}
		_, id, err := a.Step(t.Context(), o.token(t))
		wantRefused(t, id, err, authn.ReasonOutOfOrder, "")
	})
}

// countingReplay is a shared store.
type countingReplay struct {
	seen    map[[32]byte]time.Time
	until   []time.Time
	clients []string
	err     error
}

func (c *countingReplay) Add(_ context.Context, client string, d [32]byte, until time.Time) (bool, error) {
	c.clients = append(c.clients, client)
	if c.err != nil {
		return false, c.err
	}
	_, old := c.seen[d]
	c.seen[d] = until
	c.until = append(c.until, until)
	return !old, nil
}

func TestAcceptSharedReplayCache(t *testing.T) {
	t.Parallel()
	o := newOrder(t, krb5.AES256SHA1)
	shared := &countingReplay{seen: map[[32]byte]time.Time{}}
	node1, node2 := o.mechanism(t), o.mechanism(t)
	node1.Replay, node2.Replay = shared, shared
	token := o.token(t)
	if _, _, err := login1(node1, authn.Exchange{}, token); err != nil {
		t.Fatal(err)
	}
	_, id, err := login1(node2, authn.Exchange{}, token)
	wantRefused(t, id, err, authn.ReasonReplay, "twice")
	if got := shared.until[0].Sub(fixedNow); got < 5*time.Minute || got > 5*time.Minute+time.Second {
		t.Errorf("remembered for %v, want the skew", got)
	}
	if want := string(testDomain) + "-1104"; shared.clients[0] != want {
		t.Errorf("client %q, want %q", shared.clients[0], want)
	}
	shared.err = errors.New("store is down")
	if _, id, err := login1(node1, authn.Exchange{}, o.token(t)); id != nil || !errors.Is(err, authn.ErrUnavailable) || !strings.HasSuffix(err.Error(), "replay cache: store is down") {
		t.Errorf("store down: %v, %v, want ErrUnavailable", id, err)
	}
}

// silentReplay is a store that does not answer.
type silentReplay struct{}

func (silentReplay) Add(ctx context.Context, _ string, _ [32]byte, _ time.Time) (bool, error) {
	<-ctx.Done()
	return true, ctx.Err() // true goes for nothing beside an error
}

// A login did not end when the shared replay cache did not answer.
func TestAcceptReplayCacheSilent(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o := newOrder(t, krb5.AES256SHA1)
		m := o.mechanism(t)
		m.Replay = silentReplay{}
		begin := time.Now()
		_, id, err := login1(m, authn.Exchange{}, o.token(t))
		if id != nil || !errors.Is(err, authn.ErrUnavailable) || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%v, %v, want ErrUnavailable", id, err)
		}
		if took := time.Since(begin); took != replayTimeout {
			t.Errorf("took %v, want %v", took, replayTimeout)
		}
	})
}

// A login under BindingRequired got in where nobody had told the server which
// certificate it presents, and one that sent bindings did not under
// BindingSupported.
func TestAttackBindingUnknown(t *testing.T) {
	t.Parallel()
	for _, sends := range []bool{false, true} {
		t.Run(fmt.Sprintf("client sends bindings: %v", sends), func(t *testing.T) {
			t.Parallel()
			var log bytes.Buffer
			o := newOrder(t, krb5.AES256SHA1)
			if sends {
				o.gss = func(g *gssChecksum) { g.binding = bindingFor("x").GSSHash() }
			}
			m := o.mechanism(t)
			m.Logger = slog.New(slog.NewTextHandler(&log, nil))
			m.Binding = authn.BindingRequired
			_, id, err := login1(m, authn.Exchange{TLS: true}, o.token(t))
			wantRefused(t, id, err, authn.ReasonChannelBinding, "set iwa.Authenticator.Binding")
			m.Binding = authn.BindingSupported
			for range 2 {
				if _, _, err := login1(m, authn.Exchange{TLS: true}, o.token(t)); err != nil {
					t.Fatal(err)
				}
			}
			if s := log.String(); strings.Count(s, "level=WARN") != 1 || !strings.Contains(s, "iwa.NewTLSListener") {
				t.Errorf("log: %s", s)
			}
		})
	}
}
