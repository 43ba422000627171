package ui

// Entries of the navigation, for Page.Nav.
const (
	NavOverview      = "overview"
	NavServices      = "services"
	NavUsers         = "users"
	NavRoles         = "roles"
	NavSessions      = "sessions"
	NavBlocks        = "blocks"
	NavLogins        = "logins"
	NavChanges       = "changes"
	NavRealms        = "realms"
	NavProviders     = "providers"
	NavConfiguration = "configuration"
	NavAccount       = "account"
)

type navGroup struct {
	Title string
	Items []navItem
}

type navItem struct{ Name, Title, Icon, Path string }

var navigation = []navGroup{
	{"Gateway", []navItem{
		{NavOverview, "Overview", "pulse", "/console/"},
		{NavServices, "Services", "layers", "/console/services"},
		{NavConfiguration, "Configuration", "file", "/console/configuration"},
	}},
	{"People", []navItem{
		{NavUsers, "Users", "users", "/console/users"},
		{NavRoles, "Roles", "key", "/console/roles"},
		{NavSessions, "Sessions", "screen", "/console/sessions"},
		{NavBlocks, "Blocks", "block", "/console/blocks"},
	}},
	{"Record", []navItem{
		{NavLogins, "Logins", "list", "/console/logins"},
		{NavChanges, "Changes", "pen", "/console/changes"},
	}},
	{"Directories", []navItem{
		{NavRealms, "Realms", "tree", "/console/realms"},
		{NavProviders, "Identity providers", "badge", "/console/providers"},
	}},
}
