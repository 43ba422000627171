package config

import (
	"os"
	"reflect"
	"regexp"
	"slices"
	"testing"
)

// The reference names each key, and no others.
func TestReference(t *testing.T) {
	t.Parallel()
	b, err := os.ReadFile("../../docs/reference-config.md")
	if err != nil {
		t.Fatal(err)
	}
	documented := make(map[string]bool)
	for _, m := range regexp.MustCompile("(?m)^\\| `([^`]+)` \\|").FindAllStringSubmatch(string(b), -1) {
		if documented[m[1]] {
			t.Errorf("%s is there twice", m[1])
		}
		documented[m[1]] = true
	}
	var keys []string
	walk(reflect.TypeFor[Config](), "", &keys)
	for _, key := range keys {
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
func walk(t reflect.Type, path string, keys *[]string) {
	switch {
	case t == reflect.TypeFor[Secret]() && path != "SECRET":
		add(keys, path)
		walk(t, "SECRET", keys)
		return
	case t == reflect.TypeFor[Account]() && path != "ACCOUNT":
		add(keys, path)
		walk(t, "ACCOUNT", keys)
		return
	case t == reflect.TypeFor[Settings]() && path != "SETTINGS":
		if path != "" && t != nil && path == "defaults" {
			add(keys, path)
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
		add(keys, path)
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

func add(keys *[]string, key string) {
	if !slices.Contains(*keys, key) {
		*keys = append(*keys, key)
	}
}
