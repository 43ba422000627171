package api

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/soapward/soapward/admin"
	"github.com/soapward/soapward/admin/api/wire"
	"github.com/soapward/soapward/authz"
	"github.com/soapward/soapward/directory/provision"
)

// A schema is one of JSON Schema 2020-12, which OpenAPI 3.1 uses. Keys are sorted
// when it is written, so that the document does not change by itself.
type schema map[string]any

// words are the values of types that have few.
var words = map[reflect.Type][]string{
	reflect.TypeFor[admin.Role]():     {"none", "viewer", "operator", "administrator"},
	reflect.TypeFor[admin.TestKind](): {string(admin.TestBind), string(admin.TestNetlogon), string(admin.TestTicket), string(admin.TestInternal), string(admin.TestProvider)},
	reflect.TypeFor[authz.Result]():   {string(authz.Allowed), string(authz.Denied), string(authz.Unknown), string(authz.Depends)},
}

// names are those of types whose own would say too little among others.
var names = map[reflect.Type]string{
	reflect.TypeFor[provision.Summary]():  "SyncSummary",
	reflect.TypeFor[wire.NewUser]():       "NewUser",
	reflect.TypeFor[wire.UserImport]():    "UserImport",
	reflect.TypeFor[wire.ImportUser]():    "ImportUser",
	reflect.TypeFor[wire.NewPassword]():   "NewPassword",
	reflect.TypeFor[wire.Test]():          "Test",
	reflect.TypeFor[admin.ServiceInfo]():  "Service",
	reflect.TypeFor[admin.RoleInfo]():     "Role",
	reflect.TypeFor[authz.Explanation]():  "Explanation",
	reflect.TypeFor[wire.Apply]():         "ConfigApply",
	reflect.TypeFor[wire.RollBack]():      "ConfigRollBack",
	reflect.TypeFor[wire.TokenRequest]():  "TokenRequest",
	reflect.TypeFor[wire.Providers]():     "Providers",
	reflect.TypeFor[admin.SyncProgress](): "SyncProgress",
}

// schemas collects what structs become.
type schemas map[string]schema

// of returns the schema of a type, which for a struct refers to its own.
func (all schemas) of(t reflect.Type) schema {
	if list := words[t]; list != nil {
		return schema{"type": "string", "enum": list}
	}
	switch t {
	case reflect.TypeFor[time.Time]():
		return schema{"type": "string", "format": "date-time"}
	case reflect.TypeFor[time.Duration]():
		return schema{"type": "string", "examples": []string{"24h"}}
	case reflect.TypeFor[json.RawMessage]():
		return schema{"description": "any JSON value"}
	case reflect.TypeFor[wire.Password]():
		return schema{"type": "string", "format": "password"}
	case reflect.TypeFor[admin.Kind]():
		return schema{"type": "string", "enum": kindNames()}
	}
	switch t.Kind() {
	case reflect.Pointer:
		return all.of(t.Elem())
	case reflect.Slice:
		return schema{"type": "array", "items": all.of(t.Elem())}
	case reflect.Interface:
		return schema{}
	case reflect.Struct:
		return all.ref(t)
	case reflect.Int64:
		return schema{"type": "integer", "format": "int64"}
	default:
		return schema{"type": jsonType(t)}
	}
}

// ref puts a struct among the schemas and returns what refers to it.
func (all schemas) ref(t reflect.Type) schema {
	name := schemaName(t)
	ref := schema{"$ref": "#/components/schemas/" + name}
	if _, done := all[name]; done {
		return ref
	}
	s := schema{"type": "object"}
	all[name] = s
	properties, required := map[string]schema{}, []string{}
	for _, f := range jsonFields(t) {
		properties[f.name] = all.of(f.field.Type)
		if !f.optional {
			required = append(required, f.name)
		}
	}
	s["properties"] = properties
	if len(required) > 0 {
		s["required"] = required
	}
	return ref
}

// schemaName is the name of a struct's schema. Two structs that have the same one
// are a mistake in this package, which its tests find.
func schemaName(t reflect.Type) string {
	if name := names[t]; name != "" {
		return name
	}
	name := t.Name()
	if strings.HasSuffix(t.PkgPath(), "/gateway/health") {
		return "Health" + name
	}
	return strings.ToUpper(name[:1]) + name[1:]
}

// A jsonField is one of a struct as JSON.
type jsonField struct {
	name     string
	field    reflect.StructField
	optional bool
}

// jsonFields returns the fields of a struct in their order, those of embedded
// structs among them. Of two with one name the outer one counts, as it does for
// encoding/json.
func jsonFields(t reflect.Type) (list []jsonField) {
	depth := map[string]int{}
	for _, f := range reflect.VisibleFields(t) {
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		if !f.IsExported() || name == "-" || f.Anonymous && name == "" {
			continue
		}
		if name == "" {
			name = f.Name
		}
		field := jsonField{name, f, strings.Contains(options, "omit")}
		if d, twice := depth[name]; twice {
			if len(f.Index) < d {
				i := slices.IndexFunc(list, func(o jsonField) bool { return o.name == name })
				list[i], depth[name] = field, len(f.Index)
			}
			continue
		}
		depth[name] = len(f.Index)
		list = append(list, field)
	}
	return list
}

// jsonType is what a type of Go is in JSON.
func jsonType(t reflect.Type) string {
	switch t.Kind() {
	case reflect.Pointer:
		return jsonType(t.Elem())
	case reflect.String:
		return "string"
	case reflect.Bool:
		return "boolean"
	case reflect.Int, reflect.Int64, reflect.Int32, reflect.Uint8:
		return "integer"
	case reflect.Float64:
		return "number"
	case reflect.Slice:
		return "array"
	case reflect.Struct, reflect.Map:
		return "object"
	default:
		panic(fmt.Sprintf("api: %s is no type of JSON", t))
	}
}

// kindNames are the kinds of errors.
func kindNames() (list []string) {
	for k := range statuses {
		list = append(list, string(k))
	}
	slices.Sort(list)
	return list
}
