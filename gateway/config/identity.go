package config

import (
	"time"

	"go.yaml.in/yaml/v3"
)

// Tokens are what all tokens about callers have in common.
type Tokens struct {
	Issuer string `yaml:"issuer"`
}

// JWT is a signed token about the caller.
type JWT struct {
	Header string `yaml:"header"`
	Key    Secret `yaml:"key"` // private, in PEM

	Audience string      `yaml:"audience"` // empty: the name of the service
	Lifetime Duration    `yaml:"lifetime"`
	Groups   TokenGroups `yaml:"groups"`
}

func (j *JWT) decode(d *decoder, n *yaml.Node, path string) {
	type plain JWT
	j.Lifetime, j.Groups = Duration(5*time.Minute), TokenGroupNames
	j.Key.lines = true
	decodeStruct(d, n, (*plain)(j), path)
}

// TokenGroups says how a token names groups.
type TokenGroups string

// Ways to name them.
const (
	TokenGroupNames TokenGroups = "names"
	TokenGroupSIDs  TokenGroups = "sids"
	TokenGroupsNone TokenGroups = "none" // the token has none
)

func (TokenGroups) choices() []string {
	return []string{string(TokenGroupNames), string(TokenGroupSIDs), string(TokenGroupsNone)}
}
