package gokrb5test

import (
	"context"
	"encoding/base64"
	"encoding/binary"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"

	theirs "github.com/jcmturner/gokrb5/v8/spnego"

	"github.com/soapward/soapward/authclient"
	"github.com/soapward/soapward/authn/spnego"
	"github.com/soapward/soapward/internal/krb5"
)

// TestDefectCNAME: gokrb5's client asks DNS for another name of the server and
// uses that instead of the one in the URL: whoever can forge DNS answers chooses
// the service that the client gets a ticket for, and the virtual host besides.
// dns_canonicalize_hostname = false in krb5.conf does not keep it from that.
func TestDefectCNAME(t *testing.T) {
	t.Parallel()
	if !runInChild(t) { // which has another resolver
		return
	}
	const asked, forged = "alias.corp.test", "other.corp.test"
	dns := startDNS(t, forged)
	net.DefaultResolver = &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "udp", dns)
	}}
	r := startRealm(t)
	var mu sync.Mutex
	var host, service string // of the request with a ticket
	w := startWeb(t, func(*web) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_, text, ok := strings.Cut(r.Header.Get("Authorization"), " ")
			if !ok {
				w.Header().Set("WWW-Authenticate", "Negotiate")
				w.WriteHeader(http.StatusUnauthorized)
				return
			}
			name, err := serviceOf(text)
			if err != nil {
				t.Error(err)
			}
			mu.Lock()
			defer mu.Unlock()
			host, service = r.Host, name
		})
	})
	at, err := url.Parse(w.URL)
	if err != nil {
		t.Fatal(err)
	}
	port := at.Port()
	seen := func(c getter) (string, string) {
		t.Helper()
		if status, err := get(t, c, "http://"+asked+":"+port+"/"); err != nil || status != http.StatusOK {
			t.Fatalf("GET: %d, %v", status, err)
		}
		mu.Lock()
		defer mu.Unlock()
		return host, service
	}
	if h, s := seen(theirs.NewClient(r.theirClient(t), &http.Client{Transport: new(http.Transport)}, "")); h != forged+":"+port || s != "HTTP/"+forged {
		gone(t, "follows DNS (Host %s, ticket for %s)", h, s)
	}
	ours := r.ourHTTP(t, w, func(k *authclient.Kerberos) { k.InsecureNoMutual = true })
	if h, s := seen(ours); h != asked+":"+port || s != "HTTP/"+asked {
		t.Errorf("we send Host %s and a ticket for %s", h, s)
	}
}

// serviceOf returns the service that the ticket in a Negotiate token is for.
func serviceOf(text string) (string, error) {
	b, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return "", err
	}
	init, err := spnego.ParseInit(b)
	if err != nil {
		return "", err
	}
	_, _, body, err := krb5.UnframeToken(init.MechToken)
	if err != nil {
		return "", err
	}
	req, err := krb5.ParseAPReq(body)
	if err != nil {
		return "", err
	}
	return req.Ticket.SName.String(), nil
}

// startDNS starts a DNS server that says of each name that it is an alias of
// canonical, which is 127.0.0.1 (RFC 1035 4.1).
func startDNS(t *testing.T, canonical string) (addr string) {
	t.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	var name []byte
	for label := range strings.SplitSeq(canonical, ".") {
		name = append(append(name, byte(len(label))), label...)
	}
	name = append(name, 0)
	record := func(b, owner []byte, kind uint16, data []byte) []byte {
		b = append(b, owner...)
		b = binary.BigEndian.AppendUint16(b, kind)
		b = append(b, 0, 1, 0, 0, 0, 60) // class IN, one minute
		b = binary.BigEndian.AppendUint16(b, uint16(len(data)))
		return append(b, data...)
	}
	go func() {
		b := make([]byte, 1500)
		for {
			n, from, err := conn.ReadFrom(b)
			if err != nil {
				return
			}
			const header, typeA, typeCNAME = 12, 1, 5
			end := header
			for end < n && b[end] != 0 {
				end += int(b[end]) + 1
			}
			if end += 5; end > n { // the root label, type and class
				continue
			}
			kind := binary.BigEndian.Uint16(b[end-4:])
			out := append([]byte{b[0], b[1], 0x81, 0x80, 0, 1, 0, 1, 0, 0, 0, 0}, b[header:end]...)
			out = record(out, []byte{0xc0, header}, typeCNAME, name)
			if kind == typeA {
				out[7] = 2
				out = record(out, name, typeA, []byte{127, 0, 0, 1})
			}
			_, _ = conn.WriteTo(out, from)
		}
	}()
	return conn.LocalAddr().String()
}
