package integrated

import (
	"time"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/authz"
)

// Details is what a caller, or an application on its behalf, is told about
// itself. What is not known is left out.
type Details struct {
	Username        string     `json:"username"` // CORP\alice; empty for an anonymous caller
	IsAuthenticated bool       `json:"is_authenticated"`
	IsAnonymous     bool       `json:"is_anonymous"`
	IsGuest         bool       `json:"is_guest"`
	IsSystem        bool       `json:"is_system"`
	SID             authn.SID  `json:"sid,omitempty"`
	UPN             string     `json:"upn,omitempty"`
	DisplayName     string     `json:"display_name,omitempty"`
	Groups          []Group    `json:"groups"`
	Mechanism       string     `json:"mechanism,omitempty"` // Kerberos, NTLM, Basic, ...
	Time            *time.Time `json:"time,omitempty"`      // of the login, in UTC
}

// Group is a group of the caller: its SID, its name, or both.
type Group struct {
	SID  authn.SID `json:"sid,omitempty"`
	Name string    `json:"name,omitempty"` // DOMAIN\name
}

// DetailsOf returns the details of a caller, nil for an anonymous one. Evidence
// and claims are not among them.
func DetailsOf(id *authn.Identity) Details {
	d := Details{Groups: []Group{}}
	if authz.IsAnonymous(id) {
		d.IsAnonymous = true
		return d
	}
	d.Username, d.IsAuthenticated = id.String(), true
	d.IsGuest, d.IsSystem = authz.IsGuest(id), authz.IsSystem(id)
	d.SID, d.UPN, d.DisplayName, d.Mechanism = id.SID, id.UPN, id.DisplayName, id.Mechanism
	for _, g := range id.Groups {
		d.Groups = append(d.Groups, Group{SID: g.SID, Name: g.Name})
	}
	if !id.AuthTime.IsZero() {
		t := id.AuthTime.UTC().Truncate(time.Second)
		d.Time = &t
	}
	return d
}
