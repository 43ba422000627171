package gokrb5test

import (
	"encoding/base64"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/jcmturner/gokrb5/v8/credentials"
	"github.com/jcmturner/gokrb5/v8/keytab"
	"github.com/jcmturner/gokrb5/v8/service"
	theirs "github.com/jcmturner/gokrb5/v8/spnego"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/authn/iwa"
	"github.com/soapward/soapward/authn/kerberos"
	"github.com/soapward/soapward/authn/spnego"
)

// answer is what became of one request at a server.
type answer struct {
	status   int
	token    *spnego.NegTokenResp // of WWW-Authenticate, nil if there is none
	panicked any

	creds *credentials.Credentials // whom gokrb5 let in
	id    *authn.Identity          // whom we let in
	err   error                    // why we did not
}

// reason is why we refused.
func (a *answer) reason() authn.Reason {
	var re *authn.RefusedError
	if errors.As(a.err, &re) {
		return re.Reason
	}
	return ""
}

// server is one of the two acceptors. They are asked in the same way.
type server struct {
	handler func(*answer) http.Handler
}

// send makes a request with a Negotiate token.
func (s *server) send(t *testing.T, token []byte) *answer {
	t.Helper()
	return s.sendHeader(t, "Negotiate "+base64.StdEncoding.EncodeToString(token))
}

// sendHeader makes a request with an Authorization header.
func (s *server) sendHeader(t *testing.T, header string) *answer {
	t.Helper()
	r := httptest.NewRequest("GET", "http://app.corp.test/", nil)
	r.Header.Set("Authorization", header)
	a, w := &answer{}, httptest.NewRecorder()
	func() {
		defer func() { a.panicked = recover() }()
		s.handler(a).ServeHTTP(w, r)
	}()
	a.status = w.Code
	for _, v := range w.Header()["Www-Authenticate"] {
		scheme, text, _ := strings.Cut(v, " ")
		if scheme != "Negotiate" || text == "" {
			continue
		}
		b, err := base64.StdEncoding.DecodeString(text)
		if err != nil {
			t.Errorf("WWW-Authenticate: %q: %v", v, err)
			continue
		}
		if a.token, err = spnego.ParseResp(b); err != nil {
			t.Errorf("WWW-Authenticate: %q: %v", v, err)
		}
	}
	return a
}

// theirServer is gokrb5's HTTP handler.
func theirServer(k *keytab.Keytab, settings ...func(*service.Settings)) *server {
	return &server{func(a *answer) http.Handler {
		return theirs.SPNEGOKRB5Authenticate(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			// The key is that of github.com/jcmturner/goidentity.
			a.creds, _ = r.Context().Value("jcmturner/goidentity").(*credentials.Credentials)
		}), k, settings...)
	}}
}

// ourServer is our HTTP handler.
func ourServer(m *kerberos.Mechanism) *server { return ourServerWith(&iwa.Authenticator{Kerberos: m}) }

func ourServerWith(auth *iwa.Authenticator) *server {
	return &server{func(a *answer) http.Handler {
		m := &authn.Middleware{Authenticators: []authn.Authenticator{&observed{auth, a}}, Logger: slog.New(slog.DiscardHandler)}
		return m.Wrap(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { a.id = authn.FromContext(r.Context()) }))
	}}
}

// observed keeps the error that the middleware tells nobody but the log.
type observed struct {
	*iwa.Authenticator
	a *answer
}

func (o *observed) Authenticate(r *http.Request) (*authn.Result, error) {
	res, err := o.Authenticator.Authenticate(r)
	o.a.err = err
	return res, err
}

// theyAccept reports whether gokrb5 lets a caller in, which must be as the user
// if it does.
func theyAccept(t *testing.T, a *answer, user string) bool {
	t.Helper()
	if a.panicked != nil {
		t.Errorf("gokrb5 panicked: %v", a.panicked)
		return false
	}
	if a.status != http.StatusOK || a.creds == nil {
		return false
	}
	if got := a.creds.UserName() + "@" + a.creds.Domain(); got != user {
		t.Errorf("gokrb5 let in %s, want %s", got, user)
	}
	return true
}

// theyMustAccept ends the test unless gokrb5 lets alice in.
func theyMustAccept(t *testing.T, a *answer) {
	t.Helper()
	if !theyAccept(t, a, aliceName) {
		t.Fatalf("gokrb5 answers %d, want alice let in", a.status)
	}
}

// weAccept demands that we let alice in.
func weAccept(t *testing.T, a *answer) {
	t.Helper()
	if a.panicked != nil || a.status != http.StatusOK || a.id == nil || a.id.String() != `CORP\alice` {
		t.Errorf("we answer %d, caller %v, error %v, panic %v; want alice let in", a.status, a.id, a.err, a.panicked)
	}
}

// weRefuse demands that we refuse a caller for the reason.
func weRefuse(t *testing.T, a *answer, reason authn.Reason) {
	t.Helper()
	if a.panicked != nil || a.status != http.StatusUnauthorized || a.id != nil || a.reason() != reason {
		t.Errorf("we answer %d, caller %v, error %v, panic %v; want a refusal for %s", a.status, a.id, a.err, a.panicked, reason)
	}
}

func encode(token []byte) string { return base64.StdEncoding.EncodeToString(token) }

// boundTo is our side of a server whose clients are on the TLS connection.
func boundTo(t *testing.T, cb authn.ChannelBinding, m *kerberos.Mechanism) *iwa.Authenticator {
	t.Helper()
	binding, err := iwa.FixedBinding(cb)
	if err != nil {
		t.Fatal(err)
	}
	return &iwa.Authenticator{Kerberos: m, Binding: binding}
}
