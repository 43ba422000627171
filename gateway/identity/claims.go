package identity

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/gateway/config"
)

// maxToken bounds a token, so that its header line fits into the 8190 bytes that
// Apache takes for one and the 8 KiB that others do.
const maxToken = 8000

// claims is the payload of a token. Those of RFC 7519 4.1 come first; groups and
// roles are as in RFC 9068 2.2.3.1, auth_time as in OpenID Connect Core 2.
type claims struct {
	Issuer   string `json:"iss"`
	Subject  string `json:"sub"` // SID, or DOMAIN\account
	Audience string `json:"aud"`
	Expires  int64  `json:"exp"`
	IssuedAt int64  `json:"iat"`
	ID       string `json:"jti"`

	Name      string    `json:"name,omitempty"` // for people
	Account   string    `json:"account,omitempty"`
	Domain    string    `json:"domain,omitempty"`
	UPN       string    `json:"upn,omitempty"`
	SID       authn.SID `json:"sid,omitempty"`
	Mechanism string    `json:"mechanism,omitempty"`
	AuthTime  int64     `json:"auth_time,omitempty"`
	Roles     []string  `json:"roles,omitempty"`
	Groups    []string  `json:"groups,omitempty"`

	RolesTruncated  bool `json:"roles_truncated,omitempty"`
	GroupsTruncated bool `json:"groups_truncated,omitempty"`
}

// claims returns the payload of a token about id.
func (s *service) claims(issuer string, id *authn.Identity, jti string, now, expires time.Time) ([]byte, error) {
	c := claims{
		Issuer: issuer, Subject: id.String(), Audience: s.audience, Expires: expires.Unix(), IssuedAt: now.Unix(), ID: jti,
		Name: id.DisplayName, Account: id.Account, Domain: id.Domain, UPN: id.UPN, SID: id.SID, Mechanism: id.Mechanism,
		RolesTruncated: true, GroupsTruncated: true, // room for saying so
	}
	if id.SID != "" {
		c.Subject = string(id.SID)
	}
	if !id.AuthTime.IsZero() {
		c.AuthTime = id.AuthTime.Unix()
	}
	b, err := json.Marshal(&c)
	if err != nil {
		return nil, fmt.Errorf("identity: claims: %w", err)
	}
	const lists = len(`"roles":[],"groups":[],`)
	left := s.room - len(b) - lists
	if left < 0 {
		return nil, fmt.Errorf("identity: the names of %v are too long for a token", id)
	}
	c.Roles, c.RolesTruncated = fit(id.Roles, &left)
	c.Groups, c.GroupsTruncated = fit(s.groupsOf(id), &left)
	return json.Marshal(&c)
}

// groupsOf lists what a service is told of the groups.
func (s *service) groupsOf(id *authn.Identity) []string {
	if s.groups == config.TokenGroupsNone {
		return nil
	}
	names := make([]string, 0, len(id.Groups))
	for _, g := range id.Groups {
		switch {
		case s.groups != config.TokenGroupSIDs:
			names = append(names, g.String())
		case g.SID != "":
			names = append(names, string(g.SID))
		}
	}
	return names
}

// fit returns the first of some names that fit into left bytes, and whether some
// do not.
func fit(names []string, left *int) (_ []string, truncated bool) {
	for n, name := range names {
		b, err := json.Marshal(name)
		if err != nil || len(b)+1 > *left {
			return names[:n], true
		}
		*left -= len(b) + 1
	}
	return names, false
}
