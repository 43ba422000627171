package netlogon

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"unicode/utf16"

	"github.com/oiweiwei/go-msrpc/msrpc/nrpc/logon/v1"

	"github.com/soapward/soapward/authn"
)

// maxPassword is how many bytes of UTF-16 a new password may have (MS-NRPC
// 2.2.1.3.7).
const maxPassword = 512

// Probe opens a secure channel and closes it again: it proves that a controller
// answers and takes one of the account's passwords. The error wraps ErrAccount
// where all controllers answered and none takes any. With one of them out of
// reach, that one may be the only one to know a new password.
func Probe(ctx context.Context, c Config) error {
	return withChannel(ctx, c, func(*channel) error { return nil })
}

// SetPassword changes the password of the computer account (MS-NRPC
// 3.5.4.4.5). One of Config.Secrets must be in force. After an error the
// password may be the old or the new one: if the controller's answer was lost,
// only Probe can tell. Other controllers learn of the new one within seconds,
// or within minutes between sites; until then they take the old one only, so
// that Config.Secrets must have both.
func SetPassword(ctx context.Context, c Config, password authn.Secret) error {
	clear, err := trustPassword(password)
	if err != nil {
		return err
	}
	return withChannel(ctx, c, func(ch *channel) (err error) {
		defer guardPanic(&err)
		ctx, key := ch.ctx, ch.key
		sealed, err := key.secure.Encrypt(ctx, clear[:])
		if err != nil {
			return err
		}
		out := &logon.TrustPassword{Buffer: make([]uint16, maxPassword/2), Length: binary.LittleEndian.Uint32(sealed[maxPassword:])}
		for i := range out.Buffer {
			out.Buffer[i] = binary.LittleEndian.Uint16(sealed[2*i:])
		}
		auth, err := key.authenticator(ctx)
		if err != nil {
			return err
		}
		answer, err := ch.logons.PasswordSet2(ctx, &logon.PasswordSet2Request{
			PrimaryName: ch.server, AccountName: ch.cfg.accountName(), ComputerName: ch.cfg.Account,
			SecureChannelType: logon.SecureChannelTypeWorkstationSecureChannel,
			Authenticator:     auth, ClearNewPassword: out,
		})
		if err != nil {
			if answer != nil && answer.Return != 0 {
				err = &StatusError{Code: uint32(answer.Return)}
			}
			return fmt.Errorf("NetrServerPasswordSet2: %w", err)
		}
		return key.verify(ctx, answer.ReturnAuthenticator)
	})
}

// trustPassword is the buffer that a password travels in: random bytes, then
// the password, then its length (MS-NRPC 2.2.1.3.7).
func trustPassword(password authn.Secret) (b [maxPassword + 4]byte, err error) {
	if password.IsEmpty() {
		return b, errors.New("netlogon: the new password is empty")
	}
	units := utf16.Encode([]rune(password.Reveal()))
	if 2*len(units) > maxPassword {
		return b, fmt.Errorf("netlogon: the new password has %d characters, at most %d are possible", len(units), maxPassword/2)
	}
	begin := maxPassword - 2*len(units)
	_, _ = rand.Read(b[:begin]) // never fails (crypto/rand)
	for i, u := range units {
		binary.LittleEndian.PutUint16(b[begin+2*i:], u)
	}
	binary.LittleEndian.PutUint32(b[maxPassword:], uint32(2*len(units)))
	return b, nil
}

// withChannel gives f a channel to the first controller that opens one.
func withChannel(ctx context.Context, c Config, f func(*channel) error) error {
	v, err := New(c)
	if err != nil {
		return err
	}
	defer func() { _ = v.Close() }()
	ctx, cancel := context.WithTimeout(ctx, v.cfg.Timeout)
	defer cancel()
	cs, err := v.known(ctx)
	if err != nil {
		return err
	}
	var errs, refusals []error
	for i, dc := range cs {
		patience := v.cfg.Timeout
		if i < len(cs)-1 {
			patience = 2 * v.cfg.Patience // for one that is silent, several dials are waited for
		}
		attempt, cancel := context.WithTimeout(ctx, patience)
		ch, err := dc.open(attempt)
		if err == nil {
			err = f(ch)
			ch.close()
			cancel()
			return err
		}
		cancel()
		err = fmt.Errorf("netlogon: %s: %w", dc.name, explain(err))
		if errors.Is(err, ErrAccount) {
			refusals = append(refusals, err)
		} else {
			errs = append(errs, err)
		}
		if ctx.Err() != nil {
			errs = append(errs, context.Cause(ctx))
			break
		}
	}
	if len(errs) == 0 {
		return errors.Join(refusals...)
	}
	for _, err := range refusals {
		errs = append(errs, errors.New(err.Error()))
	}
	return errors.Join(errs...)
}
