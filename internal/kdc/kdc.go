package kdc

import (
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/soapward/soapward/internal/krb5"
	"github.com/soapward/soapward/internal/krb5/pac"
)

// Config is what New needs. All but Realm may be zero.
type Config struct {
	Realm     string  // such as CORP.TEST
	NetBIOS   string  // NetBIOS name of the domain; default: the first label of Realm
	DomainSID pac.SID // default: a random one

	TicketLife time.Duration // longest life of a ticket; default 10 h
	RenewLife  time.Duration // longest renewable life; default 7 days
	Skew       time.Duration // how far a client's clock may be off; default 5 min

	Now    func() time.Time // default time.Now
	Logger *slog.Logger     // default: no log
}

// KDC is the key distribution centre of one realm. It is safe for concurrent
// use, as are all its methods.
type KDC struct {
	cfg    Config
	krbtgt *account
	stats  counters
	server server

	mu       sync.RWMutex
	fault    Fault
	accounts map[string]*account // by lower-case sAMAccountName
	upns     map[string]*account // by lower-case UPN
	spns     map[string]*account // by lower-case SPN
	trusts   map[string]*trust   // by realm
	nextRID  uint32
}

// New returns a KDC without accounts. It answers requests through Handle; Start
// puts it on the network.
func New(c Config) (*KDC, error) {
	if c.Realm == "" || c.Realm != strings.ToUpper(c.Realm) || strings.ContainsAny(c.Realm, "/@ ") {
		return nil, fmt.Errorf("kdc: realm %q: want upper-case letters and dots", c.Realm)
	}
	if c.NetBIOS == "" {
		c.NetBIOS, _, _ = strings.Cut(c.Realm, ".")
	}
	if c.DomainSID == "" {
		c.DomainSID = randomDomainSID()
	}
	if c.TicketLife == 0 {
		c.TicketLife = 10 * time.Hour
	}
	if c.RenewLife == 0 {
		c.RenewLife = 7 * 24 * time.Hour
	}
	if c.Skew == 0 {
		c.Skew = 5 * time.Minute
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	k := &KDC{
		cfg:      c,
		accounts: map[string]*account{},
		upns:     map[string]*account{},
		spns:     map[string]*account{},
		trusts:   map[string]*trust{},
		nextRID:  1103,
	}
	var err error
	k.krbtgt, err = newServiceOfKDC("krbtgt", krb5.AES256SHA1)
	if err != nil {
		return nil, err
	}
	return k, nil
}

func randomDomainSID() pac.SID {
	var b [12]byte
	_, _ = rand.Read(b[:]) // never fails (crypto/rand)
	return pac.SID("S-1-5-21").RID(binary.LittleEndian.Uint32(b[:])).
		RID(binary.LittleEndian.Uint32(b[4:])).RID(binary.LittleEndian.Uint32(b[8:]))
}

// Realm returns the name of the realm.
func (k *KDC) Realm() string { return k.cfg.Realm }

// NetBIOS returns the NetBIOS name of the domain.
func (k *KDC) NetBIOS() string { return k.cfg.NetBIOS }

// DomainSID returns the SID of the domain.
func (k *KDC) DomainSID() pac.SID { return k.cfg.DomainSID }

// A refusal is an error that is sent to the client as a KRB-ERROR.
type refusal struct {
	code krb5.ErrorCode
	text string
	data []byte
}

func (r *refusal) Error() string { return fmt.Sprintf("kdc: %v: %s", r.code, r.text) }

func refuse(c krb5.ErrorCode, text string) error { return &refusal{code: c, text: text} }

// exchange is one request on its way through the KDC.
type exchange struct {
	req   *krb5.KDCReq
	now   time.Time
	fault Fault
}

// Handle answers one message. A nil answer means that the client hears
// nothing. It is what the listeners call; tests may call it directly.
func (k *KDC) Handle(b []byte) []byte {
	k.mu.RLock()
	x := &exchange{fault: k.fault}
	k.mu.RUnlock()
	x.now = k.cfg.Now().Add(x.fault.Skew).UTC()

	rep, err := k.dispatch(x, b)
	if err != nil {
		k.stats.errors.Add(1)
		k.cfg.Logger.Debug("KDC refused", slog.Any("cause", err))
		rep = k.errorMessage(x, err)
	}
	return x.fault.spoil(rep)
}

func (k *KDC) dispatch(x *exchange, b []byte) ([]byte, error) {
	var err error
	if x.req, err = krb5.ParseKDCReq(b); err != nil {
		return nil, refuse(krb5.CodeMsgType, "not a well-formed request")
	}
	if x.fault.hits(x.req.Type) && x.fault.Silent {
		return nil, nil
	}
	if x.fault.hits(x.req.Type) && x.fault.Error != 0 {
		return nil, refuse(x.fault.Error, "fault injected by a test")
	}
	if x.req.Body.Realm != k.cfg.Realm {
		return nil, refuse(krb5.CodeWrongRealm, "this is the KDC of "+k.cfg.Realm)
	}
	if x.req.Body.SName.IsZero() {
		return nil, refuse(krb5.CodeServerUnknown, "no service named")
	}
	if x.req.Type == krb5.MsgASReq {
		k.stats.as.Add(1)
		return k.as(x)
	}
	k.stats.tgs.Add(1)
	return k.tgs(x)
}

// errorMessage encodes err for the client. An error that is no refusal says
// nothing but that something went wrong here.
func (k *KDC) errorMessage(x *exchange, err error) []byte {
	m := krb5.ErrorMessage{
		STime: x.now.Truncate(time.Second),
		SUSec: x.now.Nanosecond() / 1000,
		Code:  krb5.CodeGeneric,
		Realm: k.cfg.Realm,
		SName: krb5.TGSName(k.cfg.Realm),
	}
	var r *refusal
	if errors.As(err, &r) {
		m.Code, m.Text, m.Data = r.code, r.text, r.data
	}
	if x.req != nil && !x.req.Body.SName.IsZero() {
		m.SName = x.req.Body.SName
	}
	b, err := m.Marshal()
	if err != nil {
		// A name that came in and cannot go out; it is for information only.
		m.SName = krb5.TGSName(k.cfg.Realm)
		b, _ = m.Marshal()
	}
	return b
}

// logonInfo returns what the PAC says of an account of the domain.
func (k *KDC) logonInfo(a *account, now time.Time, asserted pac.SID) *pac.LogonInfo {
	l := &pac.LogonInfo{
		LogonTime:         now,
		PasswordLastSet:   a.passwordSet,
		PasswordCanChange: a.passwordSet,
		Account:           a.Name,
		FullName:          a.FullName,
		UserID:            a.RID,
		PrimaryGroupID:    ridDomainUsers,
		Groups:            []pac.GroupMembership{{RID: ridDomainUsers, Attributes: pac.GroupDefault}},
		LogonServer:       "KDC",
		Domain:            k.cfg.NetBIOS,
		DomainSID:         k.cfg.DomainSID,
		AccountControl:    accountNormal | accountDontExpire,
		ExtraSIDs:         []pac.SIDAttributes{{SID: asserted, Attributes: pac.GroupDefault}},
	}
	for _, g := range a.Groups {
		l.Groups = append(l.Groups, pac.GroupMembership{RID: g, Attributes: pac.GroupDefault})
	}
	for _, s := range a.ExtraSIDs {
		l.ExtraSIDs = append(l.ExtraSIDs, pac.SIDAttributes{SID: s, Attributes: pac.GroupDefault})
	}
	if a.Sensitive {
		l.AccountControl |= accountNotDelegated
	}
	return l
}

func (k *KDC) upnInfo(a *account) *pac.UPNInfo {
	return &pac.UPNInfo{
		UPN:         a.UPN,
		Constructed: a.upnConstructed,
		DNSDomain:   k.cfg.Realm,
		Account:     a.Name,
		SID:         k.cfg.DomainSID.RID(a.RID),
	}
}
