// Package provision turns what a directory says of an account into the user
// that a store keeps: at each login, and once a day for everybody.
//
//   - [Provisioner] stands behind a login. It finds the user who logged in,
//     makes one at the first login, refreshes name, e-mail, mobile phone and
//     groups, and refuses users who are disabled.
//   - [Sync] is the daily job for the users of a domain. It never makes users.
//   - [Daily] says when the job is due.
//
// A realm of Active Directory is put together like this:
//
//	p := &provision.Provisioner{Realm: "corp", Store: store, Source: dir}
//	mw := &authn.Middleware{Authenticators: []authn.Authenticator{p.Wrap(negotiate)}}
//	sync := &provision.Sync{Realm: "corp", Domains: []string{"CORP"}, Store: store, Source: dir}
//
// # Who is who
//
// The SID decides. An account that was renamed keeps its user, with all roles;
// its sessions end, because they bear the old name. An account that was deleted
// and made again has another SID, and is another person: the old user is set
// aside as DOMAIN\name:SID, disabled, and its sessions end, before the new one
// is made, so that nothing is inherited. The name can be nobody's at a login,
// because a colon is not allowed in account names. Where there is no SID, the
// name decides.
//
// A user belongs to one realm. A realm cannot log in users of another one, nor
// internal users that have the same name, whatever its directory says.
//
// Compatibility: exported names keep their meaning within a major version, and
// structs may gain fields whose zero value keeps today's behaviour.
package provision
