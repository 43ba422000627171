package netlogon_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/authn/ntlm/netlogon"
	"github.com/soapward/soapward/internal/adtest"
)

// stub is where the arguments of a call begin in a PDU.
const stub = 24

// onReply returns a change of the reply to one operation, for wires whose calls
// come one after the other.
func onReply(w *wire, op int, change func(pdu []byte) []byte) {
	var last atomic.Int64
	w.request = func(pdu []byte) []byte {
		if isType(pdu, 0) {
			last.Store(int64(opnum(pdu)))
		}
		return pdu
	}
	w.response = func(pdu []byte) []byte {
		if isType(pdu, 2) && last.Load() == int64(op) {
			return change(pdu)
		}
		return pdu
	}
}

// TestAttackSecureChannel: somebody between us and the controller changes what
// it says. Nobody is logged in, and the login counts as not judged.
func TestAttackSecureChannel(t *testing.T) {
	t.Parallel()
	dc := adtest.Start(t)
	retype := func(typ byte) func([]byte) []byte {
		return func(pdu []byte) []byte { pdu[2] = typ; return pdu }
	}
	for _, tt := range []struct {
		name   string
		op     int
		change func(pdu []byte) []byte
		want   string // in the error
	}{
		// CVE-2020-1472: the proof of the controller is compared.
		{"server credential", opAuthenticate3, func(pdu []byte) []byte { pdu[stub] ^= 1; return pdu }, "does not know the account's password"},
		{"server credential of zeros", opAuthenticate3, func(pdu []byte) []byte { clear(pdu[stub : stub+8]); return pdu }, "does not know the account's password"},
		// CVE-2022-38023: AES and sealing, or nothing. Other flags come to light
		// once the channel is sealed.
		{"without AES", opAuthenticate3, func(pdu []byte) []byte { pdu[stub+8+3] &^= 0x01; return pdu }, "does without AES or sealing"},
		{"without sealing", opAuthenticate3, func(pdu []byte) []byte { pdu[stub+8+3] &^= 0x40; return pdu }, "does without AES or sealing"},
		{"other flags", opAuthenticate3, func(pdu []byte) []byte { pdu[stub+8] ^= 0x01; return pdu }, "was changed on the way"},
		{"another challenge", opReqChallenge, func(pdu []byte) []byte { pdu[stub] ^= 1; return pdu }, "access denied"},
		{"sealed answer changed", opSamLogonEx, func(pdu []byte) []byte { pdu[stub+8] ^= 1; return pdu }, ""},
		{"signature changed", opSamLogonEx, func(pdu []byte) []byte { pdu[len(pdu)-56+8] ^= 1; return pdu }, ""},
		{"signature cut off", opSamLogonEx, func(pdu []byte) []byte {
			pdu = pdu[:len(pdu)-56]
			binary.LittleEndian.PutUint16(pdu[8:], uint16(len(pdu)))
			binary.LittleEndian.PutUint16(pdu[10:], 0)
			return pdu
		}, "unprotected message"},
		{"signature too short", opSamLogonEx, func(pdu []byte) []byte {
			binary.LittleEndian.PutUint16(pdu[10:], 8)
			return pdu
		}, "unprotected message"},
		// Types that go-msrpc decodes as a response without verifying them.
		{"fault without an error", opSamLogonEx, func(pdu []byte) []byte { pdu[2] = 3; clear(pdu[stub : stub+4]); return pdu }, "unprotected message"},
		{"bind ack", opSamLogonEx, retype(12), "unprotected message"},
		{"alter context response", opSamLogonEx, retype(15), "unprotected message"},
		{"orphaned", opSamLogonEx, retype(19), "unprotected message"},
		{"request", opSamLogonEx, retype(0), "unprotected message"},
		{"fault", opSamLogonEx, func(pdu []byte) []byte { pdu[2] = 3; pdu[stub] = 5; return pdu }, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := new(wire)
			onReply(w, tt.op, tt.change)
			var log bytes.Buffer
			c := config(t, dc, adtest.GW04)
			c.Dialer, c.Logger = w, slog.New(slog.NewTextHandler(&log, nil))
			v := newVerifier(t, c)
			id, err := login(t.Context(), v, v.Names(), `CORP\alice`, adtest.Password(t, adtest.Alice))
			if id != nil || !errors.Is(err, authn.ErrUnavailable) || errors.Is(err, authn.ErrBadCredentials) {
				t.Fatalf("identity %v, err %v; want ErrUnavailable", id, err)
			}
			if !strings.Contains(err.Error(), tt.want) {
				t.Errorf("err %v, want %q in it", err, tt.want)
			}
			// The operator learns of it. Only where no channel can be opened,
			// the controller counts as down.
			_ = v.Close()
			told, health := "domain controller cannot be used", v.Health()[0]
			if tt.op == opSamLogonEx {
				told = "domain controller did not answer a call"
			} else if health.Up || health.Err == nil {
				t.Errorf("up %v, %v", health.Up, health.Err)
			}
			if !strings.Contains(log.String(), told) {
				t.Errorf("log %q, want %q in it", log.String(), told)
			}
		})
	}
}

// TestAttackAnswerCutOff: where nobody asks for headers to be signed, the length
// of the padding is not, and an answer can be made to end before its status.
func TestAttackAnswerCutOff(t *testing.T) {
	t.Parallel()
	dc := adtest.Start(t)
	const signHeaders = 0x04 // PFC_SUPPORT_HEADER_SIGN (MS-RPCE 2.2.2.3)
	for _, cut := range []byte{0, 4, 12} {
		t.Run(strconv.Itoa(int(cut)), func(t *testing.T) {
			w := new(wire)
			onReply(w, opSamLogonEx, func(pdu []byte) []byte { pdu[len(pdu)-56-8+2] += cut; return pdu })
			request, response := w.request, w.response
			w.request = func(pdu []byte) []byte {
				if pdu[2] == 11 {
					pdu[3] &^= signHeaders
				}
				return request(pdu)
			}
			w.response = func(pdu []byte) []byte {
				if pdu[2] == 12 {
					pdu[3] &^= signHeaders
				}
				return response(pdu)
			}
			c := config(t, dc, adtest.GW12)
			c.Dialer = w
			v := newVerifier(t, c)
			id, err := login(t.Context(), v, v.Names(), `CORP\alice`, adtest.Password(t, adtest.Alice))
			switch {
			case cut == 0 && err != nil: // so that the others fail for the right reason
				t.Error(err)
			case cut != 0 && (id != nil || !errors.Is(err, authn.ErrUnavailable) || !strings.Contains(err.Error(), "unexpected EOF")):
				t.Errorf("%v, %v; want ErrUnavailable", id, err)
			}
		})
	}
}

// TestAttackReflectedChallenge: who sends our challenge back can send our proof
// back as his own.
func TestAttackReflectedChallenge(t *testing.T) {
	t.Parallel()
	dc := adtest.Start(t)
	var ours, proof atomic.Pointer[[]byte]
	last := 0
	w := &wire{
		request: func(pdu []byte) []byte {
			if last = opnum(pdu); !isType(pdu, 0) {
				last = -1
			}
			switch last {
			case opReqChallenge: // the challenge is the last argument
				c := bytes.Clone(pdu[len(pdu)-8:])
				ours.Store(&c)
			case opAuthenticate3: // the proof and the flags are
				c := bytes.Clone(pdu[len(pdu)-12 : len(pdu)-4])
				proof.Store(&c)
			}
			return pdu
		},
		response: func(pdu []byte) []byte {
			switch {
			case !isType(pdu, 2):
			case last == opReqChallenge:
				copy(pdu[stub:], *ours.Load())
			case last == opAuthenticate3:
				copy(pdu[stub:], *proof.Load())
				clear(pdu[len(pdu)-4:]) // success
			}
			return pdu
		},
	}
	c := config(t, dc, adtest.GW05)
	c.Dialer = w
	err := netlogon.Probe(t.Context(), c)
	if err == nil || !strings.Contains(err.Error(), "reflects our challenge") {
		t.Errorf("err %v, want that the challenge is reflected", err)
	}
	if ours.Load() == nil {
		t.Error("the challenge was not seen")
	}
}

// TestAttackOneCallForEachAttempt: a controller counts wrong passwords, and
// must not count one twice.
func TestAttackOneCallForEachAttempt(t *testing.T) {
	t.Parallel()
	dc := adtest.Start(t)
	w := new(wire)
	c := config(t, dc, adtest.GW06)
	c.Dialer, c.Controllers = w, []string{dc.IP, dc.IP + ".", dc.IP}
	v := newVerifier(t, c)
	for i, tt := range []struct{ user, password string }{
		{`CORP\bob`, "n0t-1t"}, {`CORP\bob`, adtest.Password(t, adtest.Bob)},
		{`CORP\nobody`, "n0t-1t"}, {`CORP\dave`, adtest.Password(t, adtest.Dave)},
	} {
		_, err := login(t.Context(), v, v.Names(), tt.user, tt.password)
		if errors.Is(err, authn.ErrUnavailable) {
			t.Fatal(err)
		}
		if n := w.logons.Load(); n != int64(i)+1 {
			t.Fatalf("%d logons for %d attempts", n, i+1)
		}
	}
	// After a connection broke, one more is right: the first may not have
	// arrived.
	before := w.logons.Load()
	w.cut()
	if _, err := login(t.Context(), v, v.Names(), `CORP\bob`, adtest.Password(t, adtest.Bob)); err != nil {
		t.Error(err)
	}
	if n := w.logons.Load() - before; n > 2 {
		t.Errorf("%d logons after a broken connection, want 1 or 2", n)
	}
}

// TestAttackDomainOfTheClient: names are the controller's, whatever the client
// writes (security of groups and rules).
func TestAttackDomainOfTheClient(t *testing.T) {
	t.Parallel()
	dc := adtest.Start(t)
	v := newVerifier(t, config(t, dc, adtest.GW07))
	for _, name := range []string{`corp.TEST\aLiCe`, `ALICE@CORP.TEST`, `aLICE`, `.\alice`} {
		id, err := login(t.Context(), v, v.Names(), name, adtest.Password(t, adtest.Alice))
		if errors.Is(err, authn.ErrBadCredentials) && name == `.\alice` {
			continue // there are no local accounts to mean
		}
		if err != nil || id.Account != "alice" || id.Domain != "CORP" || id.SID != authn.SID(dc.SID(t, adtest.Alice)) {
			t.Errorf("%s: %v (%v), %v", name, id, id.LogValue(), err)
		}
	}
	for _, name := range []string{`EVIL\alice`, `alice@evil.test`, `CORP.TEST.EVIL\alice`} {
		id, err := login(t.Context(), v, v.Names(), name, adtest.Password(t, adtest.Alice))
		if id != nil || !errors.Is(err, authn.ErrBadCredentials) {
			t.Errorf("%s: %v, %v; want a refusal", name, id, err)
		}
	}
}

// TestAttackChallengeOfAnotherComputer: CVE-2015-0005. The controller is not
// even asked.
func TestAttackChallengeOfAnotherComputer(t *testing.T) {
	t.Parallel()
	w := new(wire)
	v := newVerifier(t, netlogon.Config{
		Account: "GW01", Secrets: netlogon.Password(authn.NewSecret("x")), Domain: "CORP",
		Controllers: []string{"127.0.0.1"}, Dialer: w,
	})
	names := v.Names()
	names.Computer = "OTHER"
	id, err := login(t.Context(), v, names, `CORP\alice`, "x")
	if id != nil || !errors.Is(err, authn.ErrUnavailable) || !strings.Contains(err.Error(), "Verifier.Names()") {
		t.Errorf("%v, %v; want an error that names the remedy", id, err)
	}
	if n := w.dials.Load(); n != 0 {
		t.Errorf("%d connections", n)
	}
}

// TestAttackSecretsInLogAndErrors: whatever fails, no password is shown.
func TestAttackSecretsInLogAndErrors(t *testing.T) {
	t.Parallel()
	dc := adtest.Start(t)
	const marked = "m4rked-machine-s3cret"
	var log bytes.Buffer
	c := config(t, dc, adtest.GW08)
	c.Secrets = netlogon.Password(authn.NewSecret(marked))
	c.Logger = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	v := newVerifier(t, c)
	_, err := login(t.Context(), v, v.Names(), `CORP\alice`, "m4rked-user-s3cret")
	if !errors.Is(err, authn.ErrUnavailable) || !strings.Contains(err.Error(), "soapward join") {
		t.Errorf("err %v; want ErrUnavailable with a remedy", err)
	}
	_ = v.Close()
	for _, s := range []string{log.String(), err.Error(), fmt.Sprintf("%v %+v %#v %v %+v %#v", v, v, v, c, c, c)} {
		if strings.Contains(s, "m4rked") {
			t.Errorf("a secret in %q", s)
		}
	}
	if !strings.Contains(log.String(), "domain controller cannot be used") {
		t.Errorf("log %q", log.String())
	}
}
