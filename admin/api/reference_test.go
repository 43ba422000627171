package api

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/soapward/soapward/admin"
)

// reference is docs/reference-admin-api.md, made of the table.
func reference() string {
	var b strings.Builder
	b.WriteString(`<!-- Made of the table in admin/api by its tests, with -update. -->
# The admin API

What administrators do in the console, for programs: JSON over HTTP below ` + "`" + Prefix + "`" + `, on the admin listener. For machines there is an [OpenAPI 3.1 document](openapi.json), which a gateway serves at ` + "`" + DocumentPath + "`" + `, to everybody who reaches the listener.

## Logging in
` + "`soapward login`" + ` logs in with the company's provider, and commands with ` + "`--server`" + ` send what it got. Other programs exchange an ID token, or the passwords of a local administrator, for a token of the gateway, and send it with each request:

` + "```" + `
curl -H "Authorization: Bearer $TOKEN" https://gw-admin.corp.test/admin/v1/users?search=ali
` + "```" + `

The token is a session like another: it is listed, it ends, and every node knows it. What it may do is the role of its administrator: a ` + "`viewer`" + ` sees everything but secrets, an ` + "`operator`" + ` keeps things running, an ` + "`administrator`" + ` changes users and the configuration.

## Requests
- A body is one JSON value, ` + "`application/json`" + `, of at most 1 MiB and 10,000 values (configuration: 8 MiB; import: 8 MiB and 600,000 values). Of those that may be larger than 1 MiB an administrator has four at a time. Each field and parameter that is not listed is refused, with its name.
- Names in paths are escaped: ` + "`CORP\\alice`" + ` is ` + "`CORP%5Calice`" + `, a slash is ` + "`%2F`" + `. The names ` + "`.`" + ` and ` + "`..`" + ` are ` + "`%2E`" + ` and ` + "`%2E%2E`" + `.
- Passwords are in bodies only. They are in no log and in no answer.
- Times are as in RFC 3339, durations such as ` + "`24h`" + `.
- Lists come in pages: ` + "`limit`" + ` is how many (50 without one, 1000 at most), and ` + "`next`" + ` of the answer is ` + "`after`" + ` of the next page.
- Streams are lines, one JSON value each (` + "`application/jsonl`" + `). An empty line, every 15 seconds at the least, says that the stream lives. A stream that breaks off is not whole.

## Errors
` + "```" + `json
{"kind":"conflict","error":"somebody else changed the user meanwhile","field":"version","remedy":"read it again","ref":"3f9a1c02de"}
` + "```" + `

` + "`kind`" + ` is for programs, ` + "`error`" + ` and ` + "`remedy`" + ` are for people, ` + "`ref`" + ` finds the request in the gateway's log and in the record of changes.

| status | kind | meaning |
|---|---|---|
`)
	for _, k := range slices.SortedFunc(maps.Keys(kindTexts), func(a, b admin.Kind) int {
		return strings.Compare(strconv.Itoa(statuses[a])+string(a), strconv.Itoa(statuses[b])+string(b))
	}) {
		fmt.Fprintf(&b, "| %d | `%s` | %s |\n", statuses[k], k, kindTexts[k])
	}
	b.WriteString("| 412 | `conflict` | somebody else changed it after what `If-Match` names |\n")
	area := ""
	for i := range endpoints {
		e := &endpoints[i]
		if e.area != area {
			area = e.area
			fmt.Fprintf(&b, "\n## %s\n", area)
		}
		e.reference(&b)
	}
	all := schemas{}
	for i := range endpoints {
		for _, t := range []reflect.Type{endpoints[i].body, endpoints[i].out} {
			if t != nil {
				all.of(t)
			}
		}
	}
	b.WriteString("\n## Types\nFields in *italics* may be missing.\n")
	for _, name := range slices.Sorted(maps.Keys(all)) {
		all.reference(&b, name)
	}
	return b.String()
}

// kindTexts say what kinds of errors mean.
var kindTexts = map[admin.Kind]string{
	admin.Forbidden:   "the role of the administrator does not allow it",
	admin.NotFound:    "there is no such thing",
	admin.Exists:      "the name is taken",
	admin.Conflict:    "somebody else changed it meanwhile, or is doing the same",
	admin.Refused:     "it can be, and is not allowed as things are; `remedy` says what to do first",
	admin.Invalid:     "what was given cannot be; `field` says which",
	admin.Unavailable: "somebody who is needed does not answer",
	admin.TooMany:     "as many streams, exports or large bodies of the administrator are open as may be",

	"malformed":       "the request cannot be read",
	"unauthenticated": "nobody is logged in, or not any more",
	"too_large":       "the body has too many bytes, or values",
	"media_type":      "the body is not `application/json`",
	"no_endpoint":     "there is nothing at the path",
	"method":          "the path takes other methods, which `Allow` lists",
	"internal":        "the gateway's log says what, with the reference",
}

func (e *endpoint) reference(b *strings.Builder) {
	fmt.Fprintf(b, "\n### `%s %s`\n%s.", e.method, e.path, e.summary)
	if e.more != "" {
		b.WriteString(" " + e.more)
	}
	b.WriteString("\n\n")
	who := "whoever is logged in"
	switch {
	case e.public:
		who = "everybody"
	case e.role != admin.NoRole:
		who = e.role.String()
	}
	fmt.Fprintf(b, "- role: %s\n", who)
	if e.query != nil {
		var list []string
		for _, f := range jsonFields(e.query) {
			list = append(list, fmt.Sprintf("`%s` (%s)", f.name, typeText(schemas{}.of(f.field.Type))))
		}
		fmt.Fprintf(b, "- query: %s\n", strings.Join(list, ", "))
	}
	if e.body != nil {
		fmt.Fprintf(b, "- body: %s\n", link(schemaName(e.body)))
	}
	switch {
	case e.out == nil:
		fmt.Fprintf(b, "- answer: %d\n", e.status)
	case e.media != nil:
		fmt.Fprintf(b, "- answer: %d, lines of %s\n", e.status, link(schemaName(e.out)))
	default:
		fmt.Fprintf(b, "- answer: %d, %s\n", e.status, link(schemaName(e.out)))
	}
	var kinds []string
	for _, k := range e.errors {
		kinds = append(kinds, "`"+string(k)+"`")
	}
	if kinds != nil {
		fmt.Fprintf(b, "- errors: %s\n", strings.Join(kinds, ", "))
	}
}

func link(name string) string { return "[" + name + "](#" + strings.ToLower(name) + ")" }

func (all schemas) reference(b *strings.Builder, name string) {
	fmt.Fprintf(b, "\n### %s\n| field | type |\n|---|---|\n", name)
	required, _ := all[name]["required"].([]string)
	properties, _ := all[name]["properties"].(map[string]schema)
	for _, field := range slices.Sorted(maps.Keys(properties)) {
		mark := "`" + field + "`"
		if !slices.Contains(required, field) {
			mark = "*" + mark + "*"
		}
		fmt.Fprintf(b, "| %s | %s |\n", mark, typeText(properties[field]))
	}
}

// typeText is a schema in a few words.
func typeText(s schema) string {
	if ref, ok := s["$ref"].(string); ok {
		return link(ref[strings.LastIndexByte(ref, '/')+1:])
	}
	if list, ok := s["enum"].([]string); ok {
		return strings.Join(list, ", ")
	}
	if items, ok := s["items"].(schema); ok {
		return "list of " + typeText(items)
	}
	switch {
	case s["format"] == "date-time":
		return "time"
	case s["examples"] != nil:
		return "duration"
	case s["format"] == "password":
		return "string, secret"
	case s["type"] == nil:
		return "any"
	}
	return fmt.Sprint(s["type"])
}
