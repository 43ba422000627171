package store

// dialect is where the databases differ. All other statements are the same.
type dialect struct {
	name         string
	keepPrepared bool // the driver prepares a statement each time it is used

	groupsOf string // a user's groups as JSON: [["S-1-...","DOMAIN\\name"],...]
	rolesOf  string // the roles: ["name",...]
	pairs    string // a query that makes rows (sid, name) of such JSON in $1
	names    string // a query that makes rows (name) of a JSON array in $1

	domainOf string // what a folded name has up to its backslash, as the index says it
	noLimit  string // for LIMIT

	taken  func(error) bool // the name or the SID is
	broken func(error) bool // the connection is
	again  func(error) bool // a statement or transaction failed by no fault of its own, and was undone
}
