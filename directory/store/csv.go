package store

import (
	"bufio"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/soapward/soapward/directory"
)

// csvColumns are the columns that ReadCSV knows, and what they set.
var csvColumns = []struct {
	name string
	set  func(u *directory.User, value string) error
}{
	{"name", func(u *directory.User, v string) error { u.Name = v; return nil }},
	{"display", func(u *directory.User, v string) error { u.DisplayName = v; return nil }},
	{"email", func(u *directory.User, v string) error { u.Email = v; return nil }},
	{"phone", func(u *directory.User, v string) error { u.Phone = v; return nil }},
	{"realm", func(u *directory.User, v string) error { u.Realm = v; return nil }},
	{"roles", func(u *directory.User, v string) error { u.Roles = strings.Fields(v); return nil }},
	{"password-hash", func(u *directory.User, v string) error {
		if v != "" && !strings.HasPrefix(v, "$argon2id$v=") {
			return errors.New("password-hash is not one of argon2id ($argon2id$v=19$...); leave it empty and set the password with soapward user passwd")
		}
		if v != "" {
			u.Password = directory.NewPasswordHash(v)
		}
		return nil
	}},
}

// A CSVUser is a user in a file, and where.
type CSVUser struct {
	*directory.User
	Line int
}

// ReadCSV reads users from comma-separated values (RFC 4180), or with semicolons,
// as spreadsheets write them. The first line names the columns, in any order:
// name must be one, and may be display, email, phone, realm, roles (separated by
// spaces) and password-hash ($argon2id$...). Each user is one that CreateUser
// takes.
//
// Errors begin with file, the name of what is read, and the line. After one that
// is about a single user others may follow.
func ReadCSV(r io.Reader, file string) iter.Seq2[CSVUser, error] {
	return func(yield func(CSVUser, error) bool) {
		limit := &recordLimit{r, maxRecord}
		c, columns, err := csvHeader(limit)
		if err != nil {
			yield(CSVUser{}, fmt.Errorf("%s:1: %w", file, err))
			return
		}
		line := 1
		for {
			limit.left = maxRecord
			record, err := c.Read()
			if errors.Is(err, io.EOF) {
				return
			}
			var bad *csv.ParseError
			if errors.As(err, &bad) && errors.Is(bad, csv.ErrFieldCount) {
				if !yield(CSVUser{}, fmt.Errorf("%s:%d: %d values, but the first line names %d columns", file, bad.Line, len(record), len(columns))) {
					return
				}
				continue
			}
			if errors.As(err, &bad) {
				yield(CSVUser{}, fmt.Errorf("%s:%d:%d: %w", file, bad.Line, bad.Column, bad.Err))
				return
			}
			if errors.Is(err, errLongRecord) {
				yield(CSVUser{}, fmt.Errorf("%s: after line %d: %w", file, line, err))
				return
			}
			if err != nil {
				yield(CSVUser{}, fmt.Errorf("%s: %w", file, err))
				return
			}
			line, _ = c.FieldPos(0)
			u := &directory.User{}
			for i, value := range record {
				e := csvColumns[columns[i]].set(u, strings.TrimSpace(value))
				if !utf8.ValidString(value) {
					e = errNotUTF8
				}
				if e != nil && err == nil {
					l, col := c.FieldPos(i)
					err = fmt.Errorf("%s:%d:%d: %w", file, l, col, e)
				}
			}
			if err == nil {
				if e := checkUser(u); e != nil {
					err = fmt.Errorf("%s:%d: %w", file, line, e)
				}
			}
			if !yield(CSVUser{u, line}, err) {
				return
			}
		}
	}
}

// maxRecord bounds a user in a file, in bytes: more than all that one may have.
const maxRecord = 4 << 20

var errLongRecord = fmt.Errorf("a line or a user of more than %d MiB: is a quotation mark never closed?", maxRecord>>20)

// recordLimit bounds what is read for one record, which is in memory as a whole.
type recordLimit struct {
	r    io.Reader
	left int
}

func (l *recordLimit) Read(p []byte) (int, error) {
	if l.left <= 0 {
		return 0, errLongRecord
	}
	n, err := l.r.Read(p[:min(len(p), l.left)])
	l.left -= n
	return n, err
}

// errNotUTF8 is about files of old spreadsheets.
var errNotUTF8 = errors.New("the text is not UTF-8: save the file as \"CSV UTF-8\"")

// csvHeader reads the first line. columns says for each what of csvColumns it is.
func csvHeader(r io.Reader) (c *csv.Reader, columns []int, err error) {
	b := bufio.NewReader(r)
	if mark, _ := b.Peek(3); string(mark) == "\ufeff" { // Windows programs write it
		_, _ = b.Discard(3)
	}
	c = csv.NewReader(b)
	c.ReuseRecord = true
	if begin, _ := b.Peek(200); !strings.Contains(firstLine(begin), ",") && strings.Contains(firstLine(begin), ";") {
		c.Comma = ';'
	}
	header, err := c.Read()
	if errors.Is(err, io.EOF) {
		return nil, nil, errors.New("the file is empty: the first line names the columns, such as name,display,email")
	}
	if err != nil {
		return nil, nil, err
	}
	var known []string
	for _, col := range csvColumns {
		known = append(known, col.name)
	}
	for _, h := range header {
		i := slices.Index(known, strings.ToLower(strings.TrimSpace(h)))
		switch {
		case !utf8.ValidString(h):
			return nil, nil, errNotUTF8
		case i < 0 && strings.EqualFold(strings.TrimSpace(h), "password"):
			return nil, nil, errors.New("column \"password\": passwords are not read from a file; take it out, and set each by soapward user passwd, or give argon2id hashes in password-hash")
		case i < 0:
			return nil, nil, fmt.Errorf("unknown column %q: the first line names the columns, of %s", clean(h, 64), strings.Join(known, ", "))
		case slices.Contains(columns, i):
			return nil, nil, fmt.Errorf("column %q is there twice", h)
		}
		columns = append(columns, i)
	}
	if !slices.Contains(columns, 0) {
		return nil, nil, errors.New("there is no column \"name\"")
	}
	return c, columns, nil
}

func firstLine(b []byte) string {
	line, _, _ := strings.Cut(string(b), "\n")
	return line
}
