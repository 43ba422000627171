package config

import (
	"errors"
	"testing"
)

func FuzzParse(f *testing.F) {
	f.Add([]byte(contract))
	for _, s := range []string{"", "a: &a [*a]", "listen: [{addr: 5}]", "realms: {a: {ldap: {url: [\"ldap://x/y\"]}}}", "<<: 1", "? [a]\n: b", "%YAML 1.1\n---\na: b"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		c, err := Parse("c.yaml", text)
		if (c == nil) == (err == nil) {
			t.Fatalf("Parse = %v, %v", c, err)
		}
		var all *Errors
		if err != nil && (!errors.As(err, &all) || len(all.List) == 0 || len(all.List) > maxErrors) {
			t.Fatalf("error %#v", err)
		}
	})
}
