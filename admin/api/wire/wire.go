// Package wire has the bodies of the admin API that package admin has no type
// for: those with a password in them, lists in an object, and lines of streams.
// Packages admin/api and admin/client share it; most programs use admin/client.
package wire

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"time"

	"github.com/soapward/soapward/admin"
	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/directory/provision"
)

// JSONLines is the media type of streams: one JSON value a line. A line without
// one only says that the stream lives.
const JSONLines = "application/jsonl"

// Heartbeat is how often a stream has a line, at the least.
const Heartbeat = 15 * time.Second

// Kinds of an admin.Error that only the API has.
const (
	Malformed       admin.Kind = "malformed"       // the request cannot be read
	Unauthenticated admin.Kind = "unauthenticated" // nobody is logged in
	TooLarge        admin.Kind = "too_large"       // the body has too many bytes, or values
	Media           admin.Kind = "media_type"      // the body is not application/json
	NoEndpoint      admin.Kind = "no_endpoint"     // the path is none of the API
	Method          admin.Kind = "method"          // the path has another method
	Internal        admin.Kind = "internal"        // the log has the cause, with the reference
)

// A Password is one in a body. It is written to JSON as it is, and prints as any
// authn.Secret: not at all.
type Password struct{ authn.Secret }

// MarshalJSON reveals the password: only bodies are made of it.
func (p Password) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err := e.Encode(p.Reveal())
	return bytes.TrimSpace(b.Bytes()), err
}

// UnmarshalJSON takes a string. Its error does not have what was there instead.
func (p *Password) UnmarshalJSON(b []byte) error {
	var s string
	if err := json.Unmarshal(b, &s); err != nil {
		return errors.New("a password is a string")
	}
	p.Secret = authn.NewSecret(s)
	return nil
}

// IsZero is for omitzero.
func (p Password) IsZero() bool { return p.IsEmpty() }

// NewUser is a user who is to be added.
type NewUser struct {
	admin.NewUser
	Password Password `json:"password,omitzero"`
}

// MaxImport bounds the body of an import, in bytes.
const MaxImport = 8 << 20

// UserImport is users who are to be added at once.
type UserImport struct {
	admin.UserImport
	Users ImportUsers `json:"users"`
}

// ImportUser is one of a UserImport.
type ImportUser struct {
	admin.ImportUser
	PasswordHash Password `json:"password_hash,omitzero"`
}

// ImportUsers are those of a UserImport.
type ImportUsers []ImportUser

// UnmarshalJSON takes a list of at most admin.MaxImport, and nothing that a user has
// no field for. In a body of MaxImport there is room for hundreds of times as
// many users without anything, which in memory are not as small.
func (l *ImportUsers) UnmarshalJSON(b []byte) error {
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	switch t, err := d.Token(); {
	case err != nil:
		return err
	case t == nil:
		return nil // as encoding/json takes null
	case t != json.Delim('['):
		return &json.UnmarshalTypeError{Value: "value", Type: reflect.TypeFor[ImportUsers]()}
	}
	for d.More() {
		if len(*l) == admin.MaxImport {
			return &admin.Error{Kind: TooLarge, Text: fmt.Sprintf("more than %d users at once", admin.MaxImport), Field: "users"}
		}
		var u ImportUser
		if err := d.Decode(&u); err != nil {
			return err
		}
		*l = append(*l, u)
	}
	return nil
}

// NewPassword is the password that a user is to have.
type NewPassword struct {
	Password Password `json:"password"`
	admin.NewPassword
}

// Test is a try of something of a realm, which is in the path.
type Test struct {
	Kind     admin.TestKind `json:"kind"`
	User     string         `json:"user,omitempty"`
	Password Password       `json:"password,omitzero"`
}

// Apply is a configuration that is to be in force.
type Apply struct {
	admin.ConfigSet
	Comment string `json:"comment,omitempty"`
}

// RollBack goes back to a version, which is in the path.
type RollBack struct {
	Comment string `json:"comment,omitempty"`
	Force   bool   `json:"force,omitempty"`
}

// Ended is how many sessions were ended.
type Ended struct {
	Ended int `json:"ended"`
}

// Cleared is how many passwords were taken.
type Cleared struct {
	Cleared int `json:"cleared"`
}

// Blocks are those that hold.
type Blocks struct {
	Blocks []admin.Block `json:"blocks"`
}

// Lifted are the keys of blocks that hold no longer.
type Lifted struct {
	Lifted []string `json:"lifted"`
}

// Roles are those of the configuration.
type Roles struct {
	Roles []admin.RoleInfo `json:"roles"`
}

// Realms are those of the configuration.
type Realms struct {
	Realms []admin.Realm `json:"realms"`
}

// Versions are configurations that were in force.
type Versions struct {
	Versions []admin.ConfigVersion `json:"versions"`
}

// Me is who asks.
type Me struct {
	Name  string     `json:"name"`
	Role  admin.Role `json:"role"`
	Local bool       `json:"local"`
	Login string     `json:"login"`
}

// A SyncEvent is a line of a synchronisation: progress, or, as the last one, how
// it ended, which is a summary, an error, or both.
type SyncEvent struct {
	Progress *admin.SyncProgress `json:"progress,omitempty"`
	Summary  *provision.Summary  `json:"summary,omitempty"`
	Millis   int64               `json:"ms,omitempty"`    // with a summary: how long it took
	Total    int                 `json:"total,omitempty"` // with a summary: Summary.Total
	Error    *admin.Error        `json:"error,omitempty"`
}

// Providers says how administrators log in, to somebody who has not yet.
type Providers struct {
	Providers []Provider `json:"providers"`
	Local     bool       `json:"local"` // local administrators may
}

// A Provider is one of OpenID Connect, as a program without a secret needs it.
type Provider struct {
	Name     string   `json:"name"`
	Title    string   `json:"title,omitempty"` // what people know it by, if that is not the name
	Issuer   string   `json:"issuer"`
	ClientID string   `json:"client_id"`
	Scopes   []string `json:"scopes,omitempty"`
}

// TokenRequest is exchanged for a Token: an ID token, or the password of a local
// administrator with his one-time password.
type TokenRequest struct {
	Provider string   `json:"provider,omitempty"`
	IDToken  Password `json:"id_token,omitzero"`
	Nonce    string   `json:"nonce,omitempty"`

	User     string   `json:"user,omitempty"`
	Password Password `json:"password,omitzero"`
	Code     Password `json:"code,omitzero"`
}

// Token is a bearer token for requests to the API.
type Token struct {
	Token   Password   `json:"token"`
	Expires time.Time  `json:"expires"`
	Name    string     `json:"name"`
	Role    admin.Role `json:"role"`
}
