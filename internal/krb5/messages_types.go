package krb5

import (
	"fmt"
	"log/slog"
	"slices"
	"strings"

	"golang.org/x/crypto/cryptobyte/asn1"
)

// NameType tells what kind of name a PrincipalName is (RFC 4120 6.2). It is a
// hint: names that differ in it alone are the same.
type NameType int32

// Name types.
const (
	NameUnknown    NameType = 0
	NamePrincipal  NameType = 1  // a user, or a service named by its account
	NameService    NameType = 2  // service/instance, such as krbtgt/REALM
	NameHost       NameType = 3  // service/host
	NameEnterprise NameType = 10 // a UPN, in one component (RFC 6806 5)
	NameWellKnown  NameType = 11 // RFC 6111
)

// maxNameComponents bounds a name. Those in use have one to three.
const maxNameComponents = 16

// PrincipalName is a name without its realm (RFC 4120 5.2.2).
type PrincipalName struct {
	Type       NameType
	Components []string
}

// NewPrincipalName returns the name s stands for: its components are parted by
// slashes, except in an enterprise name, which is one component.
func NewPrincipalName(t NameType, s string) PrincipalName {
	if t == NameEnterprise {
		return PrincipalName{t, []string{s}}
	}
	return PrincipalName{t, strings.Split(s, "/")}
}

// String returns the components joined by slashes.
func (p PrincipalName) String() string { return strings.Join(p.Components, "/") }

// IsZero reports whether there is no name.
func (p PrincipalName) IsZero() bool { return len(p.Components) == 0 }

// Equal reports whether the names have the same components; the name type does
// not count (RFC 4120 6.2).
func (p PrincipalName) Equal(q PrincipalName) bool {
	return slices.Equal(p.Components, q.Components)
}

// EqualFold is Equal without regard to case, as Active Directory compares.
func (p PrincipalName) EqualFold(q PrincipalName) bool {
	return slices.EqualFunc(p.Components, q.Components, strings.EqualFold)
}

// IsTGS reports whether p names a ticket-granting service, and of which realm
// (RFC 4120 7.3).
func (p PrincipalName) IsTGS() (realm string, ok bool) {
	if len(p.Components) != 2 || p.Components[0] != "krbtgt" {
		return "", false
	}
	return p.Components[1], true
}

// TGSName returns the name of a realm's ticket-granting service.
func TGSName(realm string) PrincipalName {
	return PrincipalName{NameService, []string{"krbtgt", realm}}
}

func (r reader) principal() PrincipalName {
	p := r.principalOrNone()
	if p.IsZero() {
		r.fail()
	}
	return p
}

func (r reader) principalOrNone() PrincipalName {
	s := r.seq()
	t := s.field(0)
	p := PrincipalName{Type: NameType(t.int32())}
	l := s.field(1).seq()
	s.end()
	for l.more() {
		var one reader
		one, l = l.split()
		if len(p.Components) == maxNameComponents {
			r.fail()
			return p
		}
		p.Components = append(p.Components, one.string())
	}
	return p
}

// split takes the next element whole, with its tag.
func (r reader) split() (one, rest reader) {
	var e reader
	var tag asn1.Tag
	e.err = r.err
	if *r.err != nil || !r.s.ReadAnyASN1Element(&e.s, &tag) {
		return r.fail(), reader{err: r.err}
	}
	return e, r
}

func addPrincipal(w *writer, n uint8, p PrincipalName) {
	addSeq(w, n, func(w *writer) {
		addInt(w, 0, int64(p.Type))
		addSeq(w, 1, func(w *writer) {
			for _, c := range p.Components {
				addGeneralString(w, c)
			}
		})
	})
}

// Flags are KerberosFlags: bit 0 of the specifications is the highest.
type Flags uint32

// Ticket flags (RFC 4120 5.3). The KDC options of the same names have the same
// bits (RFC 4120 5.4.1).
const (
	FlagForwardable   Flags = 1 << (31 - 1)
	FlagForwarded     Flags = 1 << (31 - 2)
	FlagProxiable     Flags = 1 << (31 - 3)
	FlagProxy         Flags = 1 << (31 - 4)
	FlagMayPostdate   Flags = 1 << (31 - 5)
	FlagPostdated     Flags = 1 << (31 - 6)
	FlagInvalid       Flags = 1 << (31 - 7)
	FlagRenewable     Flags = 1 << (31 - 8)
	FlagInitial       Flags = 1 << (31 - 9)
	FlagPreAuthent    Flags = 1 << (31 - 10)
	FlagHWAuthent     Flags = 1 << (31 - 11)
	FlagTransited     Flags = 1 << (31 - 12) // transited policy checked
	FlagOKAsDelegate  Flags = 1 << (31 - 13)
	FlagEncPARep      Flags = 1 << (31 - 15) // RFC 6806 11
	FlagAnonymous     Flags = 1 << (31 - 16) // RFC 8062
	OptionCNameInAddl Flags = 1 << (31 - 14) // S4U2Proxy (MS-SFU 2.2.3)
	OptionCanonical   Flags = 1 << (31 - 15) // RFC 6806 3
	OptionRenewableOK Flags = 1 << (31 - 27)
	OptionSessionKey  Flags = 1 << (31 - 28) // enc-tkt-in-skey: user to user
	OptionRenew       Flags = 1 << (31 - 30)
	OptionValidate    Flags = 1 // bit 31
)

// AP options (RFC 4120 5.5.1).
const (
	APUseSessionKey  Flags = 1 << (31 - 1) // user to user
	APMutualRequired Flags = 1 << (31 - 2)
)

// Has reports whether all bits of x are set.
func (f Flags) Has(x Flags) bool { return f&x == x }

// EncryptedData is a sealed part of a message (RFC 4120 5.2.9).
type EncryptedData struct {
	EType  EType
	KVNO   uint32 // key version, 0 if absent
	Cipher []byte
}

// Open decrypts d.
func (d EncryptedData) Open(k Key, u Usage) ([]byte, error) {
	if d.EType != k.EType() {
		return nil, fmt.Errorf("krb5: message sealed with %v, key is %v: %w", d.EType, k.EType(), ErrIntegrity)
	}
	return k.Decrypt(u, d.Cipher)
}

// Seal encrypts plain. kvno is that of a long-term key, 0 for a session key.
func Seal(k Key, u Usage, kvno uint32, plain []byte) (EncryptedData, error) {
	c, err := k.Encrypt(u, plain)
	if err != nil {
		return EncryptedData{}, err
	}
	return EncryptedData{EType: k.EType(), KVNO: kvno, Cipher: c}, nil
}

// ParseEncryptedData parses an EncryptedData that stands alone, such as the
// value of PA-ENC-TIMESTAMP.
func ParseEncryptedData(b []byte) (EncryptedData, error) {
	r := newReader(b)
	d := r.encrypted()
	_, err := finish(r, "EncryptedData", &d)
	return d, err
}

// Marshal returns the DER form.
func (d EncryptedData) Marshal() ([]byte, error) {
	return marshalSeq("EncryptedData", d.write)
}

func (r reader) encrypted() EncryptedData {
	s := r.seq()
	d := EncryptedData{EType: EType(s.field(0).int32())}
	if f, ok := s.optional(1); ok {
		d.KVNO = f.uint32()
	}
	d.Cipher = s.field(2).octets()
	s.end()
	return d
}

func (d EncryptedData) write(w *writer) {
	addInt(w, 0, int64(d.EType))
	if d.KVNO != 0 {
		addInt(w, 1, int64(d.KVNO))
	}
	addOctets(w, 2, d.Cipher)
}

func addEncrypted(w *writer, n uint8, d EncryptedData) { addSeq(w, n, d.write) }

// key reads an EncryptionKey (RFC 4120 5.2.9).
func (r reader) key() Key {
	s := r.seq()
	e := EType(s.field(0).int32())
	b := s.field(1).octets()
	s.end()
	if *r.err != nil {
		return Key{}
	}
	k, err := NewKey(e, b)
	if err != nil {
		r.failWith(err)
	}
	return k
}

func addKey(w *writer, n uint8, k Key) {
	if k.IsZero() {
		w.SetError(ErrNoKey)
		return
	}
	addSeq(w, n, func(w *writer) {
		addInt(w, 0, int64(k.EType()))
		addOctets(w, 1, k.Bytes())
	})
}

// Checksum is a checksum with its type (RFC 4120 5.2.9).
type Checksum struct {
	Type ChecksumType
	Sum  []byte
}

// Sign returns the checksum of data by the method that belongs to the key.
func Sign(k Key, u Usage, data []byte) (Checksum, error) {
	sum, err := k.Checksum(u, data)
	return Checksum{k.ChecksumType(), sum}, err
}

func (r reader) checksum() Checksum {
	s := r.seq()
	c := Checksum{Type: ChecksumType(s.field(0).int32())}
	c.Sum = s.field(1).octets()
	s.end()
	return c
}

func addChecksum(w *writer, n uint8, c Checksum) {
	addSeq(w, n, func(w *writer) {
		addInt(w, 0, int64(c.Type))
		addOctets(w, 1, c.Sum)
	})
}

// HostAddress is an address a ticket may be used from (RFC 4120 5.2.5).
type HostAddress struct {
	Type int32
	Addr []byte
}

func (r reader) address() HostAddress {
	s := r.seq()
	a := HostAddress{Type: s.field(0).int32()}
	a.Addr = s.field(1).octets()
	s.end()
	return a
}

func (r reader) addresses() []HostAddress {
	var l []HostAddress
	for s := r.seq(); s.more(); {
		var one reader
		one, s = s.split()
		l = append(l, one.address())
	}
	return l
}

func (a HostAddress) write(w *writer) {
	addInt(w, 0, int64(a.Type))
	addOctets(w, 1, a.Addr)
}

func addAddresses(w *writer, n uint8, l []HostAddress) {
	if len(l) == 0 {
		return
	}
	addSeq(w, n, func(w *writer) {
		for _, a := range l {
			w.AddASN1(asn1.SEQUENCE, a.write)
		}
	})
}

// LogValue implements slog.LogValuer: type, version and length, no bytes.
func (d EncryptedData) LogValue() slog.Value {
	return slog.GroupValue(slog.String("etype", d.EType.String()),
		slog.Uint64("kvno", uint64(d.KVNO)), slog.Int("len", len(d.Cipher)))
}
