package config

import (
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// The reference names each key, and no others, with the type that the schema has.
func TestReference(t *testing.T) {
	t.Parallel()
	b, err := os.ReadFile("../../docs/reference-config.md")
	if err != nil {
		t.Fatal(err)
	}
	documented, types := make(map[string]bool), make(map[string]string)
	for _, m := range regexp.MustCompile("(?m)^\\| `([^`]+)` \\| ([^|]*) \\|").FindAllStringSubmatch(string(b), -1) {
		if documented[m[1]] {
			t.Errorf("%s is there twice", m[1])
		}
		documented[m[1]], types[m[1]] = true, m[2]
	}
	keys := keyList{typeOf: make(map[string]reflect.Type)}
	walk(reflect.TypeFor[Config](), "", &keys)
	for key, typ := range keys.typeOf {
		want := typeWords(typ)
		if key == "realms.NAME.ldap.groups" { // chain is for Active Directory, and refused there
			want = strings.Replace(want, "`chain`, ", "", 1)
		}
		if want != "" && documented[key] && types[key] != want {
			t.Errorf("%s: its type is %s in the reference, and %s in the schema", key, types[key], want)
		}
	}
	for _, key := range keys.list {
		if !documented[key] {
			t.Errorf("%s is not in the reference", key)
		}
		delete(documented, key)
	}
	for key := range documented {
		t.Errorf("%s is in the reference, and no key", key)
	}
}

// walk lists the keys of a struct that hold values. Those that stand in several
// places are listed as the reference has them: below SETTINGS, SECRET and
// ACCOUNT.
func walk(t reflect.Type, path string, keys *keyList) {
	switch {
	case t == reflect.TypeFor[Secret]() && path != "SECRET":
		add(keys, path, t)
		walk(t, "SECRET", keys)
		return
	case t == reflect.TypeFor[Account]() && path != "ACCOUNT":
		add(keys, path, t)
		walk(t, "ACCOUNT", keys)
		return
	case t == reflect.TypeFor[Settings]() && path != "SETTINGS":
		if path != "" && t != nil && path == "defaults" {
			add(keys, path, t)
		}
		walk(t, "SETTINGS", keys)
		return
	}
	_, whole := reflect.PointerTo(t).MethodByName("String")
	switch {
	case t.Kind() == reflect.Pointer:
		walk(t.Elem(), path, keys)
	case t.Kind() == reflect.Map:
		walk(t.Elem(), path+".NAME", keys)
	case t.Kind() == reflect.Slice && t.Elem().Kind() == reflect.Struct && t.Elem().NumField() > 0 && hasKeys(t.Elem()):
		walk(t.Elem(), path+"[]", keys)
	case t.Kind() == reflect.Struct && !whole && hasKeys(t):
		for i := range t.NumField() {
			f := t.Field(i)
			switch key, inline := keyOf(f); {
			case inline:
				walk(f.Type, "inline", keys)
			case key != "":
				walk(f.Type, join(path, key), keys)
			}
		}
	default:
		add(keys, path, t)
	}
}

func hasKeys(t reflect.Type) bool {
	for i := range t.NumField() {
		if _, ok := t.Field(i).Tag.Lookup("yaml"); ok {
			return true
		}
	}
	return false
}

// keyList is all keys, and the types of their values.
type keyList struct {
	list   []string
	typeOf map[string]reflect.Type
}

func add(keys *keyList, key string, t reflect.Type) {
	if !slices.Contains(keys.list, key) {
		keys.list = append(keys.list, key)
		keys.typeOf[key] = t
	}
}

// typeWords is what the reference calls a type, empty for those that it calls by
// what they are for, such as hosts.
func typeWords(t reflect.Type) string {
	if t.Kind() == reflect.Slice {
		one := typeWords(t.Elem())
		switch {
		case strings.HasPrefix(one, "`"):
			return one
		case t.Elem() == reflect.TypeFor[Network]():
			return "networks"
		}
		return ""
	}
	switch t {
	case reflect.TypeFor[Duration]():
		return "time"
	case reflect.TypeFor[Size]():
		return "size"
	case reflect.TypeFor[Secret]():
		return "secret"
	case reflect.TypeFor[Account]():
		return "account"
	}
	if c, ok := reflect.Zero(t).Interface().(interface{ choices() []string }); ok {
		return "`" + strings.Join(c.choices(), "`, `") + "`"
	}
	switch t.Kind() {
	case reflect.Bool:
		return "true, false"
	case reflect.Int, reflect.Int64, reflect.Uint32, reflect.Float64:
		return "number"
	}
	return ""
}
