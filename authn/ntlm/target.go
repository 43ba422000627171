package ntlm

import "strings"

// matchesTarget reports whether the service principal name is one of ours. A
// port counts only where ours has one.
func matchesTarget(ours []string, name string) bool {
	class, host, port := splitSPN(name)
	for _, our := range ours {
		c, h, p := splitSPN(our)
		if strings.EqualFold(c, class) && strings.EqualFold(h, host) && (p == "" || p == port) {
			return true
		}
	}
	return false
}

// splitSPN splits class/host:port. A name without a class is one of HTTP, as
// configurations like to write it. A third part, the service's name, is left
// with the port, so that it must be equal to match.
func splitSPN(spn string) (class, host, port string) {
	class, rest, ok := strings.Cut(spn, "/")
	if !ok {
		class, rest = "HTTP", spn
	}
	// The colons of an IPv6 address are inside brackets.
	i := strings.LastIndexByte(rest, ':')
	if i < 0 || i < strings.LastIndexByte(rest, ']') {
		return class, rest, ""
	}
	return class, rest[:i], rest[i+1:]
}
