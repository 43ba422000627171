package config

import (
	"reflect"
	"strconv"
	"strings"
)

// position returns where a key stands, or the nearest one around it that is
// written, as Position does.
func (c *Config) position(key string) string {
	at := ""
	v := reflect.ValueOf(c).Elem()
	for key != "" {
		if v = inner(v, &key); !v.IsValid() {
			break
		}
		for _, p := range addresses(v) {
			if pos := c.Position(p); pos != "" {
				at = pos
			}
		}
	}
	return at
}

// inner returns what the first part of a key names in v, and takes that part off.
func inner(v reflect.Value, key *string) reflect.Value {
	for v.Kind() == reflect.Pointer {
		v = v.Elem()
	}
	take := func(name string) bool {
		rest, ok := strings.CutPrefix(*key, name)
		if !ok || rest != "" && rest[0] != '.' && rest[0] != '[' {
			return false
		}
		*key = strings.TrimPrefix(rest, ".")
		return true
	}
	switch v.Kind() {
	case reflect.Struct:
		fields := make(map[string]reflect.Value)
		collect(v, fields)
		for name, field := range fields {
			if take(name) {
				return field
			}
		}
	case reflect.Map: // whose names may have dots in them
		longest := ""
		for _, k := range v.MapKeys() {
			if rest, ok := strings.CutPrefix(*key, k.String()); ok && (rest == "" || rest[0] == '.') && len(k.String()) > len(longest) {
				longest = k.String()
			}
		}
		if longest != "" && take(longest) {
			return v.MapIndex(reflect.ValueOf(longest))
		}
	case reflect.Slice:
		number, rest, ok := strings.Cut(strings.TrimPrefix(*key, "["), "]")
		if i, err := strconv.Atoi(number); ok && err == nil && i >= 0 && i < v.Len() {
			*key = strings.TrimPrefix(rest, ".")
			return v.Index(i)
		}
	}
	return reflect.Value{}
}

// addresses are those that a value may be known by.
func addresses(v reflect.Value) (list []any) {
	if v.CanAddr() {
		list = append(list, v.Addr().Interface())
	}
	if v.Kind() == reflect.Pointer && !v.IsNil() {
		list = append(list, v.Interface())
	}
	return list
}
