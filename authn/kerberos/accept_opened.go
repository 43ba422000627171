package kerberos

import (
	"crypto/sha256"
	"encoding/binary"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/internal/krb5"
	"github.com/soapward/soapward/internal/krb5/pac"
)

// Bounds of openedTickets: entries, and bytes of the tickets they are of. What is
// kept of a ticket with 1,015 groups is ten times as large as the ticket.
const (
	maxOpened      = 8192
	maxOpenedBytes = 8 << 20
)

// openedTickets remembers tickets that were opened: a client sends one with each
// login for hours. All that is kept follows from a ticket's cipher text and the
// service's keys, which never change (serviceKeys). What depends on the time, on
// the rest of the token or on the Mechanism is checked at each login, and the
// authenticator counts once whether the ticket is known or not. Whoever can read
// it from memory can read the keys that open all tickets. The zero value is ready
// for use. It is safe for concurrent use.
type openedTickets struct {
	mu         sync.Mutex
	young, old map[openedID]*openedTicket // what was not used since young was begun goes first
	bytes      int                        // of the young ones
}

type openedID [sha256.Size]byte

// openedTicket is not modified but for account.
type openedTicket struct {
	key     krb5.Key // of the service
	part    *krb5.EncTicketPart
	size    int
	account atomic.Pointer[pacAccount] // once the PAC was verified
}

// pacAccount is what a PAC that was verified says of the client. It is not
// modified.
type pacAccount struct {
	info   *pac.LogonInfo
	upn    string
	sid    authn.SID
	groups []authn.Group
}

func openedIDOf(d krb5.EncryptedData) (id openedID) {
	h := sha256.New()
	_, _ = h.Write(binary.BigEndian.AppendUint32(nil, uint32(d.EType)))
	_, _ = h.Write(d.Cipher)
	h.Sum(id[:0])
	return id
}

func (o *openedTickets) get(id openedID) *openedTicket {
	o.mu.Lock()
	defer o.mu.Unlock()
	t := o.young[id]
	if t == nil {
		if t = o.old[id]; t != nil {
			delete(o.old, id)
			o.add(id, t)
		}
	}
	return t
}

func (o *openedTickets) put(id openedID, t *openedTicket) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.young[id] == nil { // or another login opened it, too
		delete(o.old, id)
		o.add(id, t)
	}
}

func (o *openedTickets) add(id openedID, t *openedTicket) {
	if o.young == nil || len(o.young) >= maxOpened/2 || o.bytes+t.size > maxOpenedBytes/2 {
		o.young, o.old, o.bytes = make(map[openedID]*openedTicket), o.young, 0
	}
	o.young[id] = t
	o.bytes += t.size
}

// describe writes what the PAC says into an identity.
func (a *pacAccount) describe(id *authn.Identity) {
	if a.info.Account != "" {
		id.Account = a.info.Account
	}
	if a.info.Domain != "" {
		id.Domain = a.info.Domain
	}
	id.DisplayName, id.SID, id.UPN = a.info.FullName, a.sid, a.upn
	id.Groups = slices.Clip(a.groups) // of all logins with the ticket; nobody modifies an Identity
}
