package access

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/soapward/soapward/authn"
)

// usedFor is how long it is remembered what counts once. All of it is over sooner.
const usedFor = time.Hour

// digest names what must not stand in the store as it is.
func digest(value string) string {
	sum := sha256.Sum256([]byte(value))
	return hex.EncodeToString(sum[:])
}

// decided tells the log and the record what became of a sign-in. user is who the
// client claims to be, where the error does not say.
func (a *Access) decided(r *http.Request, mechanism, user string, id *authn.Identity, err error) {
	d := authn.NewDecision(r, id, err)
	d.Mechanism, d.Time = mechanism, a.now()
	if d.User == "" {
		d.User = clip(user)
	}
	level, text := slog.LevelInfo, "administrator signed in"
	switch {
	case err == nil && mechanism == mechLogout:
		text = "administrator signed out"
	case err != nil:
		text = "sign-in of an administrator refused"
		if d.Reason == "" && d.Outcome == authn.OutcomeUnavailable {
			level, text = slog.LevelWarn, "sign-in of an administrator could not be judged"
		}
	}
	as := []slog.Attr{
		slog.String("ref", d.Ref), slog.String("mech", mechanism), slog.String("user", d.User), slog.String("peer", d.Peer),
	}
	if err != nil {
		as = append(as, slog.String("reason", cmp.Or(string(d.Reason), string(d.Outcome))), slog.String("cause", d.Detail))
		var refused *authn.RefusedError
		if errors.As(err, &refused) && refused.Hint != "" {
			as = append(as, slog.String("hint", refused.Hint))
		}
	}
	a.log.LogAttrs(r.Context(), level, text, as...)
	if a.o.Observe != nil {
		a.o.Observe(context.WithoutCancel(r.Context()), d)
	}
}

// clip bounds what a client chose.
func clip(s string) string {
	const most = 256
	if len(s) > most {
		return strings.ToValidUTF8(s[:most], "")
	}
	return s
}
