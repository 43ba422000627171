package config

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"time"
)

// Config is a configuration. It is not modified after it was parsed.
type Config struct {
	// Include are the files with more of the configuration. They are part of
	// this Config already.
	Include []Include `yaml:"include"`

	// Files are those that were read, the one that Load was given first.
	Files []string

	Listen   []Listener `yaml:"listen"`
	Admin    *Admin     `yaml:"admin"`
	Shutdown Shutdown   `yaml:"shutdown"`

	Log       Log       `yaml:"log"`
	AccessLog AccessLog `yaml:"access_log"`
	Tracing   *Tracing  `yaml:"tracing"` // nil: none

	// TrustedProxies are those whose X-Forwarded-For counts.
	TrustedProxies []Network `yaml:"trusted_proxies"`

	Store     Store     `yaml:"store"`
	Sessions  Sessions  `yaml:"sessions"`
	Throttle  Throttle  `yaml:"throttle"`
	Passwords Passwords `yaml:"passwords"`

	Realms map[string]*Realm `yaml:"realms"`
	Roles  map[string]*Role  `yaml:"roles"`

	// Tokens are those that tell backends of callers.
	Tokens Tokens `yaml:"identity"`

	// Defaults are the settings that services inherit.
	Defaults  Settings             `yaml:"defaults"`
	Services  map[string]*Service  `yaml:"services"`
	Upstreams map[string]*Upstream `yaml:"upstreams"`

	Publish     Publish      `yaml:"publish"`
	ForwardAuth *ForwardAuth `yaml:"forward_auth"`

	marks map[any]mark

	unfinished *Reader // by which it was read; nil: the files are as they were read
}

// Store is where users, sessions and counters are kept. Its zero value is none.
type Store struct {
	Driver Driver `yaml:"driver"`
	// DSN is the file of SQLite, or what PostgreSQL wants, which holds no
	// password.
	DSN      string `yaml:"dsn"`
	Password Secret `yaml:"password"` // for PostgreSQL

	KeepLogins Duration `yaml:"keep_logins"` // history of logins
}

// A Driver is the kind of a Store.
type Driver string

// Drivers.
const (
	SQLite   Driver = "sqlite"
	Postgres Driver = "postgres"
)

func (Driver) choices() []string { return []string{string(SQLite), string(Postgres)} }

// Sessions are logins of browsers that last for more than a request.
type Sessions struct {
	Idle     Duration `yaml:"idle"`
	Absolute Duration `yaml:"absolute"`
	Remember Duration `yaml:"remember"` // "keep me logged in"

	// TLSAtProxy says that a trusted proxy in front ends TLS, so that passwords
	// are taken from it, and cookies are Secure, although it sends plain HTTP.
	TLSAtProxy bool `yaml:"tls_at_proxy"`

	// AllowEvidence keeps what callers can be passed on with, Kerberos tickets and
	// passwords, in memory while their sessions last.
	AllowEvidence bool `yaml:"allow_evidence"`

	// AllowInsecureHTTP leaves Secure off cookies, and takes passwords over plain
	// HTTP, for development.
	AllowInsecureHTTP bool `yaml:"allow_insecure_http"`
}

// Throttle is the protection against guessing of passwords.
type Throttle struct {
	Window  Duration       `yaml:"window"` // in which failures are counted
	User    []ThrottleRule `yaml:"user"`   // of a user together with an address
	Address []ThrottleRule `yaml:"address"`
}

// A ThrottleRule blocks for a time after so many failures.
type ThrottleRule struct {
	Failures int      `yaml:"failures"`
	Block    Duration `yaml:"block"`
}

// Passwords are the rules for internal ones.
type Passwords struct {
	MinLength int `yaml:"min_length"` // in characters
	MemoryKiB int `yaml:"memory_kib"` // of a hash, argon2id
	Passes    int `yaml:"passes"`     // of a hash
}

// A Role is who has it: users and groups, any of them.
type Role struct {
	Groups []string `yaml:"groups"` // DOMAIN\name, SID or DN
	Users  []string `yaml:"users"`  // DOMAIN\name or SID
	Roles  []string `yaml:"roles"`  // who has these has this
	Claims []Claim  `yaml:"claims"`
}

// A Claim is what an external provider says of a user.
type Claim struct {
	Name  string `yaml:"name"`
	Value string `yaml:"value"`
	Realm string `yaml:"realm"` // of the provider; empty: whichever says it
}

// Load reads a configuration, the files that it includes, and looks at the files
// with secrets that it names. It refuses a file that others than its owner and
// group can change, and secrets that they can read. What is wrong with the text,
// or a secret's file, is an *Errors. While Replace changes files, or was interrupted,
// the configuration is the one of before or the new one. Load writes nothing.
func Load(path string) (*Config, error) {
	for try := 1; ; try++ {
		c, seen, err := loadOnce(path)
		if try == maxLoads || seen.still() {
			return c, err
		}
	}
}

// maxLoads is how often Load reads files that somebody changes meanwhile.
const maxLoads = 5

func loadOnce(path string) (*Config, *sight, error) {
	s := &sight{main: path, files: map[string][]byte{}, globs: map[string][]string{}}
	var err error
	if s.r, err = NewReader(path); err != nil {
		return nil, s, err
	}
	b, err := s.readFile(path)
	if err != nil {
		return nil, s, err
	}
	c, err := load(&decoder{files: []string{path}, read: s.readFile, glob: s.glob}, b)
	if s.r.pending == nil {
		return c, s, err
	}
	if many := new(Errors); errors.As(err, &many) {
		many.List = append(many.List, &Error{File: Journal(path), Text: s.r.interrupted() + ": " + remedyInterrupted})
	}
	if c != nil {
		c.unfinished = s.r
	}
	return c, s, err
}

// ParseFiles is Load for files that are not in place: text has all of them by
// their names, as Config.Files has them, and no other file is part of the
// configuration. The files with secrets that it names are looked at.
func ParseFiles(path string, text map[string][]byte) (*Config, error) {
	d, err := inMemory(path, text)
	if err != nil {
		return nil, err
	}
	return load(d, text[path])
}

// ParseTexts is ParseFiles that looks at no file at all.
func ParseTexts(path string, text map[string][]byte) (*Config, error) {
	d, err := inMemory(path, text)
	if err != nil {
		return nil, err
	}
	return d.parse(text[path])
}

// inMemory is a decoder for which there are no other files than those in text.
func inMemory(path string, text map[string][]byte) (*decoder, error) {
	read := func(name string) ([]byte, error) {
		b, ok := text[name]
		if !ok {
			return nil, fmt.Errorf("config: %w: %s", fs.ErrNotExist, name)
		}
		return b, nil
	}
	if _, err := read(path); err != nil {
		return nil, err
	}
	glob := func(pattern string) (files []string, err error) {
		for _, name := range slices.Sorted(maps.Keys(text)) {
			fits, err := filepath.Match(pattern, name)
			if err != nil {
				return nil, err
			}
			if fits {
				files = append(files, name)
			}
		}
		return files, nil
	}
	return &decoder{files: []string{path}, read: read, glob: glob}, nil
}

// load parses a text and looks at the files with secrets that it names.
func load(d *decoder, text []byte) (*Config, error) {
	c, err := d.parse(text)
	if err != nil {
		return nil, err
	}
	for _, s := range d.secrets {
		if s.File == "" {
			continue // an environment is that of the process that uses it
		}
		if _, err := s.Read(); err != nil {
			d.failAt(s, "%s", trimPackage(err))
		}
	}
	if err := d.err(); err != nil {
		return nil, err
	}
	return c, nil
}

// Parse reads the text of a configuration. name is that of its file: it is in
// errors, and relative paths are taken from its directory. An error is an
// *Errors. Parse looks at no other file, so that a text which includes some is
// refused.
func Parse(name string, text []byte) (*Config, error) {
	return (&decoder{files: []string{name}}).parse(text)
}

func readConfig(path string) ([]byte, error) { return readPrivate(path, maxSize, 0o002, 0o644) }

// parse reads the text of the first of d.files.
func (d *decoder) parse(text []byte) (_ *Config, err error) {
	d.marks = make(map[any]mark)
	c := defaults()
	defer func() {
		if v := recover(); v != nil && v != any(errMany) {
			panic(v)
		} else if v != nil {
			err = d.err()
		}
	}()
	if n := d.document(text); n != nil {
		d.include(n, len(text))
		d.root(n, c)
		if len(d.errs) == 0 {
			d.check(c)
		}
	}
	if err := d.err(); err != nil {
		return nil, err
	}
	c.Files, c.marks = d.files, d.marks
	return c, nil
}

// defaults are what is not written.
func defaults() *Config {
	const minute, hour, day = Duration(time.Minute), Duration(time.Hour), Duration(24 * time.Hour)
	return &Config{
		Shutdown:  Shutdown{Grace: Duration(30 * time.Second)},
		Log:       Log{Level: LevelInfo},
		AccessLog: AccessLog{File: TargetLog, Format: AccessJSON},
		Store:     Store{KeepLogins: 90 * day},
		Sessions:  Sessions{Idle: 20 * minute, Absolute: 12 * hour, Remember: 10 * day},
		Throttle: Throttle{
			Window:  hour,
			User:    []ThrottleRule{{3, Duration(30 * time.Second)}, {6, 30 * minute}},
			Address: []ThrottleRule{{20, 5 * minute}, {50, hour}},
		},
		Tokens:    Tokens{Issuer: "soapward"},
		Passwords: Passwords{MinLength: 12, MemoryKiB: 19 << 10, Passes: 2},
	}
}

func trimPackage(err error) string {
	const prefix = "config: "
	var many *Errors
	if s := err.Error(); !errors.As(err, &many) && len(s) > len(prefix) && s[:len(prefix)] == prefix {
		return s[len(prefix):]
	}
	return fmt.Sprint(err)
}
