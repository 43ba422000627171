package password

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"golang.org/x/crypto/argon2"
	"golang.org/x/text/secure/precis"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/directory"
)

// Params say how much work an argon2id hash is (RFC 9106 3.1).
type Params struct {
	Memory  uint32 // in KiB; zero means 19 MiB
	Time    uint32 // passes over the memory; zero means 2
	Threads uint8  // zero means 1
}

// Bounds of parameters, so that a hash which somebody put into the store cannot
// take the machine's memory or time. RFC 9106 4 has 64 MiB for machines that
// have little memory.
const (
	maxMemory  = 64 << 10
	maxTime    = 16
	maxThreads = 16
	minSalt    = 8
	maxSalt    = 64
	minKey     = 16
	maxKey     = 64
)

// Sizes of what we make.
const (
	saltSize = 16
	keySize  = 32
)

const (
	defaultMaxWait = 5 * time.Second
	waitPerSlot    = 64 // hashes that may wait for each that is computed
)

// maxPassword bounds a password, in bytes.
const maxPassword = 1024

// ErrBadHash means that a hash is not one of argon2id in the form of the
// PHC, or asks for more memory or time than is allowed.
var ErrBadHash = errors.New("password: the hash cannot be used")

// Hasher makes and checks hashes of passwords. The zero value is ready. The
// fields must not change after the first use. It is safe for concurrent use and
// must not be copied.
//
// Hashes take memory on purpose, so only so many are computed at once. Others
// wait, and if there are too many of them or that takes too long, the error wraps
// authn.ErrOverloaded.
//
// Passwords are compared as RFC 8265 4.2 says (OpaqueString): in the
// normalization form C and with any space as U+0020, so that it does not matter
// whether a keyboard composes letters. Case matters.
type Hasher struct {
	// Params of new hashes. The defaults are those that OWASP recommends. Check
	// tells whether they are within bounds.
	Params Params

	MaxConcurrent int           // zero means as many as there are processors
	MaxWait       time.Duration // zero means 5 s

	once    sync.Once
	slots   chan struct{}
	waiting atomic.Int64
	salt    [saltSize]byte // of hashes that nobody has
}

// Check reports parameters out of bounds.
func (h *Hasher) Check() error {
	if p := h.params(); !p.ok() {
		return fmt.Errorf("password: argon2id with %d KiB, %d passes, %d threads: want 8 KiB for each thread and at most %d KiB, %d passes, %d threads",
			p.Memory, p.Time, p.Threads, maxMemory, maxTime, maxThreads)
	}
	return nil
}

// Hash returns the hash of a password with a new salt.
func (h *Hasher) Hash(ctx context.Context, password string) (directory.PasswordHash, error) {
	prepared, err := prepare(password)
	if err != nil {
		return directory.PasswordHash{}, err
	}
	if err := h.Check(); err != nil {
		return directory.PasswordHash{}, err
	}
	leave, err := h.enter(ctx)
	if err != nil {
		return directory.PasswordHash{}, err
	}
	defer leave()
	e := encoded{params: h.params(), salt: make([]byte, saltSize)}
	_, _ = rand.Read(e.salt) // never fails (crypto/rand)
	e.key = e.params.key(prepared, e.salt, keySize)
	return directory.NewPasswordHash(e.String()), nil
}

// Verify reports whether hash is that of the password, and whether it is not
// one that Hash makes now, so that it should be replaced while the password is
// at hand. A hash of less work takes as long as one of Params to about a tenth,
// which a Chain covers.
func (h *Hasher) Verify(ctx context.Context, hash directory.PasswordHash, password string) (match, outdated bool, err error) {
	e, err := parseHash(hash.Reveal())
	if err != nil {
		return false, false, err
	}
	leave, err := h.enter(ctx)
	if err != nil {
		return false, false, err
	}
	defer leave()
	prepared, prepErr := prepare(password) // one that nobody can have set
	got := e.params.key(prepared, e.salt, len(e.key))
	match = subtle.ConstantTimeCompare(got, e.key) == 1 && prepErr == nil
	want := h.params()
	want.less(e.params).key(prepared, h.salt[:], keySize)
	return match, e.params != want || len(e.salt) < saltSize || len(e.key) < keySize, nil
}

// burn takes the time of Verify for somebody who has no hash.
func (h *Hasher) burn(ctx context.Context, password string) error {
	leave, err := h.enter(ctx)
	if err != nil {
		return err
	}
	defer leave()
	prepared, _ := prepare(password)
	h.params().key(prepared, h.salt[:], keySize)
	return nil
}

func (h *Hasher) params() Params {
	p := h.Params
	if p.Memory == 0 {
		p.Memory = 19 << 10
	}
	if p.Time == 0 {
		p.Time = 2
	}
	if p.Threads == 0 {
		p.Threads = 1
	}
	return p
}

// enter waits until a hash may be computed.
func (h *Hasher) enter(ctx context.Context) (leave func(), err error) {
	h.once.Do(func() {
		n := h.MaxConcurrent
		if n <= 0 {
			n = runtime.GOMAXPROCS(0)
		}
		h.slots = make(chan struct{}, n)
		_, _ = rand.Read(h.salt[:]) // never fails (crypto/rand)
	})
	leave = func() { <-h.slots }
	select {
	case h.slots <- struct{}{}:
		return leave, nil
	default:
	}
	defer h.waiting.Add(-1)
	if h.waiting.Add(1) > int64(waitPerSlot*cap(h.slots)) {
		return nil, fmt.Errorf("%w: too many passwords wait to be checked", authn.ErrOverloaded)
	}
	wait := h.MaxWait
	if wait <= 0 {
		wait = defaultMaxWait
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case h.slots <- struct{}{}:
		return leave, nil
	case <-timer.C:
		return nil, fmt.Errorf("%w: other passwords are being checked for more than %v", authn.ErrOverloaded, wait)
	case <-ctx.Done():
		return nil, fmt.Errorf("password: waiting for other passwords to be checked: %w", ctx.Err())
	}
}

func (p Params) ok() bool {
	return p.Threads >= 1 && p.Threads <= maxThreads && p.Time >= 1 && p.Time <= maxTime &&
		p.Memory >= 8*uint32(p.Threads) && p.Memory <= maxMemory // RFC 9106 3.1
}

func (p Params) key(password string, salt []byte, size int) []byte {
	if p.Time == 0 {
		return nil
	}
	return argon2.IDKey([]byte(password), salt, p.Time, p.Memory, p.Threads, uint32(size))
}

// less returns what is left of the work of p after that of done. Its Time is
// zero if nothing is.
func (p Params) less(done Params) Params {
	all, part := uint64(p.Memory)*uint64(p.Time), uint64(done.Memory)*uint64(done.Time)
	if part >= all {
		return Params{}
	}
	passes := (all - part + uint64(p.Memory) - 1) / uint64(p.Memory)
	return Params{
		Memory:  max(uint32((all-part)/passes), 8*uint32(p.Threads)),
		Time:    uint32(passes),
		Threads: p.Threads,
	}
}

// prepare returns a password as it is hashed (RFC 8265 4.2.2).
func prepare(password string) (string, error) {
	if len(password) > maxPassword {
		return "", fmt.Errorf("password: longer than %d bytes", maxPassword)
	}
	s, err := precis.OpaqueString.String(password)
	if err != nil || !utf8.ValidString(password) {
		return "", errors.New("password: empty, or with characters that passwords cannot have (RFC 8265 4.2)")
	}
	return s, nil
}

// encoded is a hash with what it takes to compute it again.
type encoded struct {
	params Params
	salt   []byte
	key    []byte
}

var b64 = base64.RawStdEncoding.Strict()

// String returns the hash in the form of the PHC, which the reference
// implementation of argon2 has as well:
// $argon2id$v=19$m=19456,t=2,p=1$salt$key.
func (e *encoded) String() string {
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version,
		e.params.Memory, e.params.Time, e.params.Threads, b64.EncodeToString(e.salt), b64.EncodeToString(e.key))
}

// CheckHash reports what is wrong with a hash that comes from elsewhere, which is then
// an ErrBadHash: nobody could log in by it. It computes nothing, and the error does not
// have the hash.
func CheckHash(hash directory.PasswordHash) error {
	_, err := parseHash(hash.Reveal())
	return err
}

// parseHash is strict: there is one way to write a hash. Errors do not have it.
func parseHash(s string) (*encoded, error) {
	if len(s) > 512 {
		return nil, fmt.Errorf("%w: too long", ErrBadHash)
	}
	parts := strings.Split(s, "$")
	if len(parts) != 6 || parts[0] != "" || parts[1] != "argon2id" {
		return nil, fmt.Errorf("%w: not argon2id in the form of the PHC", ErrBadHash)
	}
	if parts[2] != "v="+strconv.Itoa(argon2.Version) {
		return nil, fmt.Errorf("%w: another version of argon2", ErrBadHash)
	}
	e := new(encoded)
	numbers := strings.Split(parts[3], ",")
	if len(numbers) != 3 {
		return nil, fmt.Errorf("%w: parameters", ErrBadHash)
	}
	var values [3]uint64
	for i, name := range [...]string{"m=", "t=", "p="} {
		digits, ok := strings.CutPrefix(numbers[i], name)
		n, err := strconv.ParseUint(digits, 10, 32)
		if !ok || err != nil || i == 2 && n > maxThreads {
			return nil, fmt.Errorf("%w: parameters", ErrBadHash)
		}
		values[i] = n
	}
	e.params = Params{Memory: uint32(values[0]), Time: uint32(values[1]), Threads: uint8(values[2])}
	if !e.params.ok() {
		return nil, fmt.Errorf("%w: parameters out of bounds", ErrBadHash)
	}
	var err error
	if e.salt, err = b64.DecodeString(parts[4]); err != nil || len(e.salt) < minSalt || len(e.salt) > maxSalt {
		return nil, fmt.Errorf("%w: the salt is not base64 of %d to %d bytes", ErrBadHash, minSalt, maxSalt)
	}
	if e.key, err = b64.DecodeString(parts[5]); err != nil || len(e.key) < minKey || len(e.key) > maxKey {
		return nil, fmt.Errorf("%w: the key is not base64 of %d to %d bytes", ErrBadHash, minKey, maxKey)
	}
	if e.String() != s { // leading zeros, line breaks
		return nil, fmt.Errorf("%w: not in canonical form", ErrBadHash)
	}
	return e, nil
}
