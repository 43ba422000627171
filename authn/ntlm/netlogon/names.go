package netlogon

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/oiweiwei/go-msrpc/msrpc/lsat/lsarpc/v0"

	"github.com/soapward/soapward/authn"
)

const (
	nameLifetime   = time.Hour        // of a name; groups are renamed rarely
	noNameLifetime = 10 * time.Minute // of the knowledge that there is none
	maxNames       = 64 << 10         // in the cache
	maxLookup      = 1000             // SIDs in a request; controllers refuse many more

	// lookupPause is how long names are not asked for after that failed.
	lookupPause = 10 * time.Second

	// lookupPatience bounds how long a login waits for others to ask for names,
	// and then for its own answer.
	lookupPatience = 2 * time.Second
)

// nameCache knows what groups are called. The zero value is ready.
type nameCache struct {
	mu    sync.Mutex
	names map[authn.SID]cachedName
	pause time.Time // nobody asks before
	fails bool      // the last time that somebody asked
}

type cachedName struct {
	name    string // empty: there is none
	expires time.Time
}

// fill names groups whose names are known, and returns the SIDs of the others.
func (n *nameCache) fill(groups []authn.Group, now time.Time) (unknown []authn.SID) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for i := range groups {
		if c, ok := n.names[groups[i].SID]; ok && now.Before(c.expires) {
			groups[i].Name = c.name
		} else {
			unknown = append(unknown, groups[i].SID)
		}
	}
	return unknown
}

// add remembers an answer.
func (n *nameCache) add(sids []authn.SID, names map[authn.SID]string, now time.Time) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.fails = false
	if n.names == nil || len(n.names)+len(sids) > maxNames {
		n.names = make(map[authn.SID]cachedName) // asking again costs a millisecond
	}
	for _, sid := range sids {
		c := cachedName{name: names[sid], expires: now.Add(nameLifetime)}
		if c.name == "" {
			c.expires = now.Add(noNameLifetime)
		}
		n.names[sid] = c
	}
}

func (n *nameCache) paused(now time.Time) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return now.Before(n.pause)
}

// failed begins a pause and reports whether it went well before.
func (n *nameCache) failed(now time.Time) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	fresh := !n.fails
	n.fails, n.pause = true, now.Add(lookupPause)
	return fresh
}

// nameGroups names the groups of id, as DOMAIN\name. A login does not fail for
// want of a name: rules that are written with names do not match then, and
// those with SIDs do.
func (v *Verifier) nameGroups(ctx context.Context, id *authn.Identity) {
	if len(v.unnamed(id)) == 0 {
		return
	}
	wait, cancel := context.WithTimeout(ctx, lookupPatience)
	defer cancel()
	// One at a time, so that a hundred members of a new group are one question,
	// and a controller that is silent about it costs each of them as much as one.
	select {
	case v.naming <- struct{}{}:
		defer func() { <-v.naming }()
	case <-wait.Done():
		return
	}
	unknown := v.unnamed(id)
	if len(unknown) == 0 {
		return
	}
	work, cancel := detached(ctx)
	defer cancel()
	work, cancel = context.WithTimeout(work, lookupPatience)
	defer cancel()
	end, _ := work.Deadline()
	fair := time.Until(end) >= lookupPatience/2 // else the rest of the login took the time
	names, err := v.lookup(work, unknown)
	now := v.cfg.testOnlyNow()
	if err != nil {
		if (fair || !isTimeout(err)) && v.names.failed(now) {
			v.cfg.logger().Warn("groups have no names", slog.String("cause", err.Error()),
				slog.String("hint", "rules with names of groups do not match; those with SIDs do. Set netlogon.Config.NoNames if no rule has a name"))
		}
		return
	}
	v.names.add(unknown, names, now)
	v.names.fill(id.Groups, now)
}

// unnamed names the groups of id as far as is known, and returns those that are
// worth asking for.
func (v *Verifier) unnamed(id *authn.Identity) []authn.SID {
	now := v.cfg.testOnlyNow()
	unknown := v.names.fill(id.Groups, now)
	if v.names.paused(now) {
		return nil
	}
	unknown = slices.DeleteFunc(unknown, func(sid authn.SID) bool {
		_, err := parseSID(sid)
		return err != nil // one odd SID must not take the names from all others
	})
	return unknown[:min(len(unknown), maxLookup)]
}

// detached is ctx with its deadline only: what is asked for serves all logins,
// and whose login it is may go away.
func detached(ctx context.Context) (context.Context, context.CancelFunc) {
	all := context.WithoutCancel(ctx)
	if d, ok := ctx.Deadline(); ok {
		return context.WithDeadline(all, d)
	}
	return context.WithCancel(all)
}

// lookup asks the controllers that are up.
func (v *Verifier) lookup(ctx context.Context, sids []authn.SID) (map[authn.SID]string, error) {
	cs, err := v.candidates(ctx)
	if err != nil {
		return nil, err
	}
	err = errors.New("netlogon: no domain controller is up")
	for _, c := range cs {
		if !c.isUp() {
			break
		}
		var names map[authn.SID]string
		if names, err = c.lookupNames(ctx, sids); err == nil {
			return names, nil
		}
		err = fmt.Errorf("netlogon: names of groups: %s: %w", c.name, err)
	}
	return nil, err
}

// lookup is a channel for names. It is opened when the first is asked for.
type lookup struct {
	mu     sync.Mutex
	ch     *channel // nil while it is in use
	closed bool
}

func (l *lookup) take() *channel {
	l.mu.Lock()
	defer l.mu.Unlock()
	ch := l.ch
	l.ch = nil
	return ch
}

func (l *lookup) put(ch *channel) {
	l.mu.Lock()
	keep := !l.closed && l.ch == nil
	if keep {
		l.ch = ch
	}
	l.mu.Unlock()
	if !keep {
		ch.close()
	}
}

// close closes the channel, or sees to it that it is closed when it is put back.
func (l *lookup) close() {
	l.mu.Lock()
	ch := l.ch
	l.ch, l.closed = nil, true
	l.mu.Unlock()
	if ch != nil {
		ch.close()
	}
}

// lookupNames asks for the names of SIDs. Those without one are left out. ctx
// has a deadline.
func (c *controller) lookupNames(ctx context.Context, sids []authn.SID) (map[authn.SID]string, error) {
	ch := c.lookup.take()
	for old := ch != nil; ; old = false {
		if !old {
			var err error
			if ch, err = c.openWith(ctx, bindLSA); err != nil {
				return nil, err
			}
		}
		deadline, _ := ctx.Deadline()
		ch.until(deadline)
		names, err := ch.lookupSIDs(sids)
		if err == nil {
			c.lookup.put(ch)
			return names, nil
		}
		ch.close()
		if !old || isTimeout(err) {
			return nil, err
		}
	}
}

// LookupSids3 answers with one of these when it knows only some SIDs, or none
// (MS-LSAT 3.1.4.9).
const (
	statusSomeNotMapped = 0x00000107
	statusNoneMapped    = 0xC0000073
)

// lookupSIDs asks for names by LsarLookupSids3, which takes a Netlogon channel
// as the proof of who asks (MS-LSAT 3.1.4.9).
func (ch *channel) lookupSIDs(sids []authn.SID) (names map[authn.SID]string, err error) {
	defer guardPanic(&err)
	request := &lsarpc.LookupSids3Request{
		SIDEnumBuffer:   &lsarpc.SIDEnumBuffer{Entries: uint32(len(sids))},
		TranslatedNames: &lsarpc.TranslatedNamesEx{},
		LookupLevel:     lsarpc.LookupLevelWorkstation, ClientRevision: 2,
	}
	for _, text := range sids {
		sid, err := parseSID(text)
		if err != nil {
			return nil, err
		}
		request.SIDEnumBuffer.SIDInfo = append(request.SIDEnumBuffer.SIDInfo, &lsarpc.SIDInformation{SID: sid})
	}
	answer, err := ch.lsa.LookupSids3(ch.ctx, request)
	if answer != nil {
		switch uint32(answer.Return) {
		case 0, statusSomeNotMapped, statusNoneMapped:
			err = nil
		default:
			err = &StatusError{Code: uint32(answer.Return)}
		}
	}
	if err != nil {
		return nil, fmt.Errorf("LsarLookupSids3: %w", err)
	}
	names = make(map[authn.SID]string, len(sids))
	if answer.TranslatedNames == nil || answer.ReferencedDomains == nil {
		return names, nil
	}
	if len(answer.TranslatedNames.Names) > len(sids) {
		return nil, errors.New("LsarLookupSids3: more names than SIDs")
	}
	for i, n := range answer.TranslatedNames.Names {
		if n == nil || !isName(n.Use) || text(n.Name) == "" {
			continue
		}
		d := int(n.DomainIndex)
		if d < 0 || d >= len(answer.ReferencedDomains.Domains) || answer.ReferencedDomains.Domains[d] == nil {
			continue
		}
		names[sids[i]] = text(answer.ReferencedDomains.Domains[d].Name) + `\` + text(n.Name)
	}
	return names, nil
}

// isName reports whether what was found is the name of a group or user; for a
// SID that is not known the controller answers with its text.
func isName(use lsarpc.SIDNameUse) bool {
	switch use {
	case lsarpc.SIDNameUseTypeUser, lsarpc.SIDNameUseTypeGroup, lsarpc.SIDNameUseTypeAlias,
		lsarpc.SIDNameUseTypeWellKnownGroup, lsarpc.SIDNameUseTypeComputer:
		return true
	}
	return false
}
