package computer

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
	"unicode/utf16"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/directory/ldap"
)

// ErrDenied means that we may not do it. The controller's own words are in the
// error.
var ErrDenied = errors.New("computer: not allowed")

// ErrUnsure means that the controller's answer was lost, so that the account may
// have been made, or its password be set. The password is kept in FILE.new, and
// the same command finishes.
var ErrUnsure = errors.New("computer: the controller's answer was lost; run the same command again to finish")

// A Joiner makes the account of a plan. All fields must be set.
type Joiner struct {
	Plan      *Plan
	File      SecretFile
	Directory Directory // logged in as somebody who may create the account

	// LogIn opens another connection, logged in as the account itself: it may
	// write some of its attributes where its creator may not. A refused login
	// is an *authn.RefusedError.
	LogIn func(ctx context.Context, password authn.Secret) (Directory, error)

	testOnlyStep func(step string) error // see Rotation
}

// Made is what Create or Reset did.
type Made struct {
	Entry    *Entry // as the directory has it now
	Created  bool   // false: it was there
	Resumed  bool   // an earlier run had been interrupted, and is finished now
	Left     []Left // what an administrator has to do
	Password authn.Secret
}

// Left is one thing that nobody of us was allowed to do.
type Left struct {
	What    string // "service names HTTP/hr.corp.test"
	Why     error
	Windows string // command for an administrator, in PowerShell
	Samba   string // the same on a Samba domain controller

	changes []ldap.Change // none: it is not for us to decide
}

// Create makes the account, and the file with its password. It refuses a file
// that exists, and an account that exists, with ErrTaken, unless that is one
// that an interrupted Create made.
//
// One request makes all of the account. Where that is refused, less is tried:
// without the encryption types, then without any attribute that can do without,
// then a disabled account that is enabled once it has a password. What is
// missing after that is tried one by one, by whoever is logged in and by the
// account itself; what is still missing is in Made.Left.
func (j *Joiner) Create(ctx context.Context) (*Made, error) {
	unlock, err := j.File.lock()
	if err != nil {
		return nil, err
	}
	defer unlock()
	if there, err := exists(string(j.File)); there || err != nil {
		return nil, errors.Join(err, fmt.Errorf("%w: password file %s", ErrFileExists, j.File))
	}
	begun, err := exists(j.File.next())
	if err != nil {
		return nil, err
	}
	if j.Plan.Existing != nil && !begun {
		return nil, fmt.Errorf("%w: %s", ErrTaken, j.Plan.Existing.DN)
	}
	password, leftover, err := j.File.pending(j.Plan.Account)
	if err != nil {
		return nil, err
	}
	if err := j.step("made"); err != nil {
		return nil, err
	}
	m := &Made{Password: password}
	if j.Plan.Existing == nil {
		if err := j.add(ctx, password); err != nil {
			return nil, j.giveUp(err, leftover)
		}
		m.Created = true
	} else { // is it the one that an interrupted run made?
		self, err := j.LogIn(ctx, password)
		if err != nil {
			return nil, fmt.Errorf("%w: %s, and it was not made with the password in %s: %w", ErrTaken, j.Plan.Existing.DN, j.File.next(), err)
		}
		_ = self.Close()
		m.Resumed = true
	}
	if err := j.step("told"); err != nil {
		return nil, err
	}
	return j.finish(ctx, m)
}

// ErrFileExists means that the password file is there.
var ErrFileExists = errors.New("computer: exists, and is not overwritten")

// Reset gives an account that exists a new password, and what it lacks. The one
// logged in must be allowed to reset it. Whatever uses the account with the old
// password is locked out. It refuses an account that another user made, with
// ErrCreator.
func (j *Joiner) Reset(ctx context.Context) (*Made, error) {
	if j.Plan.Existing == nil {
		return nil, fmt.Errorf("%w: %s", ErrNoAccount, j.Plan.Account.SAM())
	}
	if j.Plan.Foreign {
		return nil, fmt.Errorf("%w: %s", ErrCreator, j.Plan.Existing.DN)
	}
	unlock, err := j.File.lock()
	if err != nil {
		return nil, err
	}
	defer unlock()
	password, leftover, err := j.File.pending(j.Plan.Account)
	if err != nil {
		return nil, err
	}
	if err := j.step("made"); err != nil {
		return nil, err
	}
	if err := j.Directory.Modify(ctx, j.Plan.DN, ldap.Replace(attrPassword, quoted(password))); err != nil {
		return nil, j.giveUp(err, leftover)
	}
	if err := j.step("told"); err != nil {
		return nil, err
	}
	return j.finish(ctx, &Made{Password: password, Resumed: leftover})
}

func (j *Joiner) step(name string) error {
	if j.testOnlyStep == nil {
		return nil
	}
	return j.testOnlyStep(name)
}

// giveUp removes the new password, if the controller refused it in words.
func (j *Joiner) giveUp(err error, leftover bool) error {
	var answered *ldap.Error
	switch {
	case !errors.As(err, &answered):
		return fmt.Errorf("%w: %w", ErrUnsure, err)
	case errors.Is(err, ldap.ErrExists):
		err = fmt.Errorf("%w: %w", ErrTaken, err)
	case errors.Is(err, ldap.ErrDenied):
		err = fmt.Errorf("%w: %w", ErrDenied, err)
	}
	if leftover {
		return err // an earlier run's, which may be in force after all
	}
	return errors.Join(err, j.File.discard())
}

// quoted is a password as the value of unicodePwd (MS-ADTS 3.1.1.3.1.5.1).
func quoted(password authn.Secret) string {
	var b []byte
	for _, u := range utf16.Encode([]rune(`"` + password.Reveal() + `"`)) {
		b = binary.LittleEndian.AppendUint16(b, u)
	}
	return string(b)
}

// encTypes is msDS-SupportedEncryptionTypes with AES beside what is there.
func encTypes(old uint32) string { return strconv.FormatUint(uint64(old|encAES), 10) }

// add makes the account with as much as we may give it.
func (j *Joiner) add(ctx context.Context, password authn.Secret) error {
	a := j.Plan.Account
	account := func(bits int, more ...ldap.Attribute) []ldap.Attribute {
		return append([]ldap.Attribute{
			{Name: attrClass, Values: []string{"top", "person", "organizationalPerson", "user", "computer"}},
			{Name: attrSAM, Values: []string{a.SAM()}},
			{Name: attrControl, Values: []string{strconv.Itoa(bits)}},
		}, more...)
	}
	secret := ldap.Attribute{Name: attrPassword, Values: []string{quoted(password)}}
	host := ldap.Attribute{Name: attrHost, Values: []string{a.Host()}}
	spns := ldap.Attribute{Name: attrSPN, Values: a.ServiceNames()}
	types := ldap.Attribute{Name: attrEncTypes, Values: []string{encTypes(0)}}

	var first error
	for _, attributes := range [][]ldap.Attribute{
		account(controlWorkstation, secret, host, spns, types),
		account(controlWorkstation, secret, host, spns),
		account(controlWorkstation, secret),
	} {
		err := j.Directory.Add(ctx, j.Plan.DN, attributes...)
		if !lessMayDo(err) {
			return err
		}
		if first == nil {
			first = err
		}
	}
	err := j.addDisabled(ctx, account(controlWorkstation|controlDisabled), password)
	if lessMayDo(err) && err.Error() != first.Error() {
		return errors.Join(first, err)
	}
	return err
}

// addDisabled makes the account without a password first: some controllers take
// one with an entry that is there already only. It must be disabled until then.
func (j *Joiner) addDisabled(ctx context.Context, attributes []ldap.Attribute, password authn.Secret) error {
	if err := j.Directory.Add(ctx, j.Plan.DN, attributes...); err != nil {
		return err
	}
	for _, change := range []ldap.Change{
		ldap.Replace(attrPassword, quoted(password)),
		ldap.Replace(attrControl, strconv.Itoa(controlWorkstation)),
	} {
		err := j.Directory.Modify(ctx, j.Plan.DN, change)
		if err == nil {
			continue
		}
		if !lessMayDo(err) {
			return err // nothing can be told of the account, so nothing is undone
		}
		if gone := j.Directory.Delete(ctx, j.Plan.DN); gone != nil {
			err = errors.Join(err, fmt.Errorf("computer: the disabled account %s is left in the directory: %w", j.Plan.DN, gone))
		}
		return err
	}
	return nil
}

// lessMayDo reports whether less of the same may be granted.
func lessMayDo(err error) bool {
	return errors.Is(err, ldap.ErrDenied) || errors.Is(err, ldap.ErrUnwilling)
}
