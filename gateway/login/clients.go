package login

import (
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/soapward/soapward/authn"
)

// How much is known of clients, and when they are named.
const (
	maxClients  = 1024      // user agents
	maxAgent    = 256       // bytes of one
	afterAsking = 3         // times that a client was asked and sent nothing
	nameAgain   = time.Hour // at the earliest
)

// clients finds the SOAP clients that cannot log in: each first request comes
// without credentials, so what tells is that no second one has any. It is safe for
// concurrent use.
type clients struct {
	mu sync.Mutex
	of map[string]*client // by user agent

	testOnlyNow func() time.Time
}

type client struct {
	asked int       // since it last sent what was asked for
	named time.Time // in the log
}

// isSOAP reports whether a request carries a SOAP message.
func isSOAP(r *http.Request) bool {
	if r.Method != http.MethodPost {
		return false
	}
	kind, _, _ := strings.Cut(r.Header.Get("Content-Type"), ";")
	kind = strings.ToLower(strings.TrimSpace(kind))
	return kind == "text/xml" || kind == "application/soap+xml" || kind == "multipart/related" || len(r.Header["Soapaction"]) > 0
}

// sent notes that a client sent credentials of a scheme that it was offered.
func (c *clients) sent(r *http.Request, scheme string, offered []string) {
	if !offers(offered, scheme) {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if k := c.of[agentOf(r)]; k != nil {
		k.asked = 0
	}
}

// refused notes that a client was asked for credentials, and names one that does
// not seem to have any.
func (c *clients) refused(r *http.Request, log *slog.Logger, ref string, offered []string) {
	if !isSOAP(r) {
		return
	}
	scheme, _, sent := authn.Authorization(r)
	if sent && offers(offered, scheme) {
		return // it can, and was wrong
	}
	agent := agentOf(r)
	now := time.Now()
	if c.testOnlyNow != nil {
		now = c.testOnlyNow()
	}
	c.mu.Lock()
	k := c.of[agent]
	if k == nil {
		if c.of == nil || len(c.of) >= maxClients {
			c.of = make(map[string]*client)
		}
		k = new(client)
		c.of[agent] = k
	}
	if k.asked++; !sent && k.asked < afterAsking || now.Sub(k.named) < nameAgain {
		c.mu.Unlock()
		return
	}
	k.named = now
	c.mu.Unlock()
	has := "nothing"
	if sent {
		has = scheme[:min(len(scheme), 32)]
	}
	log.LogAttrs(r.Context(), slog.LevelWarn, "a SOAP client does not send the credentials it is asked for",
		slog.String("ref", ref), slog.String("user_agent", agent), slog.String("offered", strings.Join(offered, ", ")), slog.String("sent", has),
		slog.String("hint", "switch its integrated (Windows) authentication on; if it has none, add a login that it can do to this service alone, such as REALM/basic over TLS"))
}

func agentOf(r *http.Request) string {
	agent := r.UserAgent()
	return strings.ToValidUTF8(agent[:min(len(agent), maxAgent)], "")
}

func offers(schemes []string, scheme string) bool {
	return slices.ContainsFunc(schemes, func(s string) bool { return strings.EqualFold(s, scheme) })
}
