package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"runtime"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/soapward/soapward/authn"
)

// maxSecret bounds what is read of a file.
const maxSecret = 16 << 10

// A Secret names where a secret is: {file: PATH} or {env: NAME}. The zero value
// is none. It holds nothing secret itself.
type Secret struct {
	File Path   `yaml:"file"`
	Env  string `yaml:"env"`

	lines bool // it may have several, as a key in PEM has
}

// IsZero reports whether no secret is named.
func (s Secret) IsZero() bool { return s.File == "" && s.Env == "" }

var variable = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]{0,127}$`)

func (s *Secret) decode(d *decoder, n *yaml.Node, path string) {
	if n.Kind != yaml.MappingNode { // its text may be the secret: it is not shown
		d.fail(n, "%s: a secret does not stand in the configuration: write it into a file and name that, {file: PATH}, or an environment variable, {env: NAME}", path)
		return
	}
	before := len(d.errs)
	d.pairs(n, path, func(key, value *yaml.Node) {
		switch key.Value {
		case "file":
			s.File.decode(d, value, path+".file")
		case "env":
			text, ok := d.scalar(value, "the name of an environment variable", path+".env")
			if ok && !variable.MatchString(text) {
				// It may be the secret itself.
				d.fail(value, "%s.env: want the name of an environment variable: letters, digits and underscores", path)
			}
			s.Env = text
		default:
			d.fail(key, "unknown key %q in %s: want one of file, env", clip(key.Value), path)
		}
	})
	if len(d.errs) == before && (s.File == "") == (s.Env == "") {
		d.fail(n, "%s: want {file: PATH} or {env: NAME}", path)
	}
	d.secrets = append(d.secrets, s)
}

// Read returns the secret: the line that is in the file, or the variable's value.
// Where a key in PEM is wanted, it is the whole file.
// It refuses files that users outside of their owner and group can read, and
// empty secrets.
func (s Secret) Read() (authn.Secret, error) {
	switch {
	case s.Env != "":
		v := os.Getenv(s.Env)
		if v == "" {
			return authn.Secret{}, fmt.Errorf("config: the environment variable %s is empty or not set", s.Env)
		}
		return authn.NewSecret(v), nil
	case s.File == "":
		return authn.Secret{}, errors.New("config: no secret is named")
	}
	b, err := readPrivate(string(s.File), maxSecret, 0o027, 0o640)
	if err != nil {
		return authn.Secret{}, err
	}
	if s.lines {
		if len(bytes.TrimSpace(b)) == 0 {
			return authn.Secret{}, fmt.Errorf("config: secret file %s is empty", s.File)
		}
		return authn.NewSecret(string(b)), nil
	}
	line := strings.TrimSuffix(strings.TrimSuffix(string(b), "\n"), "\r")
	if line == "" || strings.ContainsAny(line, "\r\n\x00") {
		return authn.Secret{}, fmt.Errorf("config: secret file %s: want one line of text", s.File)
	}
	return authn.NewSecret(line), nil
}

// ReadPrivate returns a file such as a key, of so many bytes at most. It refuses
// one that users outside of its owner and group can read, or others than its
// owner write.
func (v Path) ReadPrivate(most int64) ([]byte, error) {
	return readPrivate(string(v), most, 0o027, 0o640)
}

// ReadPublic is ReadPrivate for a file that everybody may read, such as a
// certificate.
func (v Path) ReadPublic(most int64) ([]byte, error) {
	return readPrivate(string(v), most, 0o002, 0o644)
}

// readPrivate reads a file that has none of the permissions in open.
func readPrivate(path string, most int64, open, better os.FileMode) ([]byte, error) {
	f, err := openFile(path)
	if err != nil {
		return nil, fmt.Errorf("config: %w", err)
	}
	defer func() { _ = f.Close() }()
	info, err := f.Stat()
	switch {
	case err != nil:
		return nil, fmt.Errorf("config: %w", err)
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("config: %s is not a regular file", path)
	case info.Mode().Perm()&open != 0 && runtime.GOOS != "windows":
		return nil, fmt.Errorf("config: %s has mode %04o, so others could read or change it: run chmod %04o %s", path, info.Mode().Perm(), better, path)
	}
	b, err := io.ReadAll(io.LimitReader(f, most+1))
	if err != nil {
		return nil, fmt.Errorf("config: %w", err)
	}
	if int64(len(b)) > most {
		return nil, fmt.Errorf("config: %s is larger than %d KiB", path, most>>10)
	}
	return b, nil
}
