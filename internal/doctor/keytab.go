package doctor

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"runtime"
	"slices"
	"strings"

	"github.com/soapward/soapward/authn/kerberos"
)

// maxFile is more than a keytab may have.
const maxFile = 1<<20 + 1

// rc4 is the only weak type that tickets may still have.
const rc4 = "rc4-hmac"

// readKeytab reads the file and says what is to be said without a KDC. It
// reports whether there is a key to ask with.
func (d *doctor) readKeytab() bool {
	b, err := d.readFile()
	if err != nil {
		return false // there is a finding
	}
	if len(b) == 0 {
		d.empty()
		return false
	}
	entries, err := kerberos.InspectKeytab(b)
	if err != nil {
		f := Finding{
			ID: "keytab.malformed", Severity: Broken, Subjects: []string{d.cfg.Keytab}, What: "this is no keytab, or a damaged one",
			Why:    strings.TrimPrefix(err.Error(), "kerberos: ") + "; a program that reads it has no keys",
			Remedy: "export it again, and copy it as it is: as a text file it does not survive",
		}
		if b[0] != 5 || len(b) > 1 && b[1] != 1 && b[1] != 2 {
			f.Why = "a keytab begins with the bytes 05 02, and this file does not; a program that reads it has no keys"
		}
		d.report.add(f)
		return false
	}
	if len(entries) == 0 {
		d.empty()
		return false
	}
	d.group(entries)
	d.index()
	d.checkTypes()
	d.checkRepeated(entries)
	d.checkNames()
	if !slices.ContainsFunc(entries, func(e kerberos.KeytabEntry) bool { return e.Usable }) {
		return false
	}
	if d.keytab, err = kerberos.ParseKeytab(b); err != nil {
		return false // InspectKeytab takes nothing that this refuses, but for want of usable keys
	}
	return true
}

func (d *doctor) empty() {
	d.report.add(Finding{
		ID: "keytab.empty", Severity: Broken, Subjects: []string{d.cfg.Keytab}, What: "there is no key in the file",
		Why: "a program that reads it has no keys", Remedy: "export the keytab again, and look what the program that exports it says",
	})
}

// readFile reads the file, and tells of its owner and mode.
func (d *doctor) readFile() ([]byte, error) {
	path := d.cfg.Keytab
	unreadable := func(err error, remedy string) ([]byte, error) {
		d.report.add(Finding{
			ID: "keytab.unreadable", Severity: Broken, Subjects: []string{path}, What: "the file cannot be read",
			Why: err.Error(), Remedy: remedy,
		})
		return nil, err
	}
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return unreadable(err, "name the file that the service reads, or export one")
	case errors.Is(err, fs.ErrPermission):
		return unreadable(err, "run this as the user the service runs as, or as root; if that is who you are, the service cannot read it either: chown it")
	case err != nil:
		return unreadable(err, "name the file that the service reads")
	case !info.Mode().IsRegular():
		return unreadable(errors.New("not a regular file"), "name the file itself")
	}
	k := &d.report.Keytab
	k.Owner = owner(info)
	perm := info.Mode().Perm()
	if runtime.GOOS != "windows" { // access lists, not modes
		k.Mode = fmt.Sprintf("%04o", perm)
		d.checkMode(perm)
	}
	f, err := os.Open(path)
	if err != nil {
		return unreadable(err, "run this as the user the service runs as, or as root; if that is who you are, the service cannot read it either: chown it")
	}
	defer func() { _ = f.Close() }()
	b, err := io.ReadAll(io.LimitReader(f, maxFile))
	if err != nil {
		return unreadable(err, "look at the disk")
	}
	return b, nil
}

// checkMode says the same of a mode as LoadKeytab does.
func (d *doctor) checkMode(perm fs.FileMode) {
	if perm&0o027 == 0 {
		return
	}
	d.report.add(Finding{
		ID: "keytab.mode", Severity: Broken, Subjects: []string{d.cfg.Keytab},
		What:   fmt.Sprintf("others can read or replace the file (mode %04o)", perm),
		Why:    "who has the keys can make tickets for the service in anybody's name, an administrator's too; soapward refuses such a file",
		Remedy: fmt.Sprintf("chmod %04o %s, and if others may have read it, set the account's password again", perm&0o640, quote(d.cfg.Keytab)),
	})
}

// quote makes a path one word of a shell.
func quote(path string) string {
	if plainName.MatchString(strings.TrimPrefix(path, "/")) {
		return path
	}
	return "'" + strings.ReplaceAll(path, "'", `'\''`) + "'"
}

// group puts the entries of one version of a principal together, in the order of
// the file.
func (d *doctor) group(entries []kerberos.KeytabEntry) {
	k := &d.report.Keytab
	at := map[string]int{}
	for _, e := range entries {
		name := e.Principal + "@" + e.Realm
		slot := fmt.Sprintf("%s %d", name, e.KVNO)
		i, ok := at[slot]
		if !ok {
			i = len(k.Keys)
			at[slot] = i
			k.Keys = append(k.Keys, Key{Principal: name, KVNO: e.KVNO, name: e.Principal, realm: e.Realm, account: e.Account})
			if !e.Written.IsZero() {
				k.Keys[i].Written = &e.Written
			}
		}
		key := &k.Keys[i]
		key.ETypes = appendNew(key.ETypes, []string{e.EType})
		if e.Usable {
			key.usable = appendNew(key.usable, []string{e.EType})
		}
	}
}

// newest returns the newest version of each principal, in the order of the file.
func (d *doctor) newest() []Key {
	var out []Key
	at := map[string]int{}
	for _, k := range d.report.Keytab.Keys {
		i, ok := at[k.Principal]
		switch {
		case !ok:
			at[k.Principal] = len(out)
			out = append(out, k)
		case k.KVNO > out[i].KVNO:
			out[i] = k
		}
	}
	return out
}

// checkTypes looks for keys that are weak or of no use.
func (d *doctor) checkTypes() {
	for _, k := range d.newest() {
		f := Finding{Subjects: []string{k.Principal}}
		f.Windows, f.Samba = aesCommands(d.accountOf(k), k.realm, d.spnsOf(k.account))
		isRC4 := func(e string) bool { return e == rc4 }
		switch {
		case len(k.usable) == 0:
			f.ID, f.Severity, f.What = "keytab.no-usable-keys", Broken, "there are only keys of types that are no longer used"
			f.Why = "no KDC of today issues tickets for them"
			f.Remedy = "give the account AES keys, then export the keytab again"
		case !slices.ContainsFunc(k.usable, func(e string) bool { return !isRC4(e) }):
			f.ID, f.Severity, f.What = "keytab.rc4-only", Broken, "there are only RC4 keys"
			f.Why = "they open no ticket sealed with AES, and soapward refuses tickets sealed with RC4 unless that is allowed"
			f.Remedy = "have the account use AES (msDS-SupportedEncryptionTypes 24), set its password again, which makes the keys, then export the keytab again"
		case slices.ContainsFunc(k.usable, isRC4):
			f = Finding{
				ID: "keytab.rc4-too", Severity: Note, Subjects: f.Subjects, What: "there are RC4 keys beside those of AES",
				Why: "who has one can make tickets sealed with RC4, which soapward refuses unless that is allowed; the key is the NTLM hash of the password as well", Remedy: "leave the RC4 keys out when the keytab is exported next",
			}
		default:
			continue
		}
		d.report.add(f)
	}
}

// checkRepeated looks for versions that are there more than once.
func (d *doctor) checkRepeated(entries []kerberos.KeytabEntry) {
	first := map[string]int{}
	for _, e := range entries {
		name := e.Principal + "@" + e.Realm
		slot := fmt.Sprintf("%s %d %s", name, e.KVNO, e.EType)
		key, seen := first[slot]
		switch {
		case !seen:
			first[slot] = e.Key
		case key == e.Key:
			d.report.add(Finding{
				ID: "keytab.repeated", Severity: Note, Subjects: []string{name}, What: "the same key is there more than once",
				Why: "exports were added to a file that had the key", Remedy: "export to a new file",
			})
		default:
			d.report.add(Finding{
				ID: "keytab.two-keys", Severity: Risk, Subjects: []string{name}, What: "one version has two different keys of the same type",
				Why:    "one of them is of another account or an older one of the same name; soapward tries both, programs with MIT's library take the first",
				Remedy: "export to a new file",
			})
		}
	}
}
