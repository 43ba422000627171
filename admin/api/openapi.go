package api

import (
	"bytes"
	"encoding/json"
	"net/http"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/soapward/soapward/admin"
	"github.com/soapward/soapward/admin/api/wire"
)

//go:generate go test -run ^TestDocuments$ -update .

// Document returns the OpenAPI 3.1 document of the API. It must not be changed.
var Document = sync.OnceValue(func() []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(document()); err != nil {
		panic("api: OpenAPI document: " + err.Error())
	}
	return b.Bytes()
})

const about = "What administrators of soapward do, for programs. Requests have a bearer token, which POST /token gives, or which `soapward login` gets. " +
	"Each field and each parameter that is not here is refused. Errors have a `kind` for programs, a text for people, and the reference of the request, which the log of the gateway has too."

// document makes the OpenAPI document of the table.
func document() schema {
	all := schemas{}
	all.ref(reflect.TypeFor[admin.Error]())
	paths := map[string]schema{}
	for i := range endpoints {
		e := &endpoints[i]
		if paths[e.path] == nil {
			paths[e.path] = schema{}
		}
		paths[e.path][strings.ToLower(e.method)] = all.operation(e)
	}
	return schema{
		"openapi": "3.1.0",
		"info": schema{
			"title": "soapward admin API", "version": "1", "description": about,
			"license": schema{"name": "Apache-2.0", "identifier": "Apache-2.0"},
		},
		"servers":    []schema{{"url": strings.TrimSuffix(Prefix, "/"), "description": "on the admin listener"}},
		"security":   []schema{{"bearer": []string{}}},
		"tags":       tags(),
		"paths":      paths,
		"components": schema{"schemas": all, "securitySchemes": schema{"bearer": schema{"type": "http", "scheme": "bearer"}}},
	}
}

func tags() (list []schema) {
	for _, e := range endpoints {
		if !slices.ContainsFunc(list, func(s schema) bool { return s["name"] == e.area }) {
			list = append(list, schema{"name": e.area})
		}
	}
	return list
}

func (all schemas) operation(e *endpoint) schema {
	op := schema{
		"tags": []string{e.area}, "summary": e.summary, "operationId": operationID(e), "responses": all.responses(e),
	}
	if text := e.description(); text != "" {
		op["description"] = text
	}
	if e.public {
		op["security"] = []schema{}
	}
	if e.role != admin.NoRole {
		op["x-role"] = e.role.String()
	}
	var params []schema
	for _, name := range e.parameters() {
		s := schema{"type": "string"}
		if name == "id" && e.area == areaConfiguration {
			s = schema{"type": "integer", "format": "int64"}
		}
		params = append(params, schema{"name": name, "in": "path", "required": true, "schema": s})
	}
	if e.query != nil {
		for _, f := range jsonFields(e.query) {
			params = append(params, schema{"name": f.name, "in": "query", "schema": all.of(f.field.Type)})
		}
	}
	if e.conditional() {
		params = append(params, schema{"name": "If-Match", "in": "header", "schema": schema{"type": "string"}, "description": "ETag of the user that was read"})
	}
	if params != nil {
		op["parameters"] = params
	}
	if e.body != nil {
		op["requestBody"] = schema{"required": true, "content": schema{"application/json": schema{"schema": all.of(e.body)}}}
	}
	return op
}

// conditional reports whether If-Match counts.
func (e *endpoint) conditional() bool { return e.versioned && e.method == http.MethodPatch }

// description is what follows the summary.
func (e *endpoint) description() string {
	text := e.more
	if e.role != admin.NoRole {
		text = strings.TrimSpace(text + " Needs the role " + e.role.String() + ".")
	}
	return text
}

// operationID is what generators of clients name the call: listUsers is not
// known here, getUsers is.
func operationID(e *endpoint) string {
	id := strings.ToLower(e.method)
	for part := range strings.FieldsFuncSeq(e.path, func(r rune) bool { return strings.ContainsRune("/{}-", r) }) {
		id += strings.ToUpper(part[:1]) + part[1:]
	}
	return id
}

func (all schemas) responses(e *endpoint) schema {
	success := schema{"description": http.StatusText(e.status)}
	if e.out != nil {
		content := schema{}
		for _, media := range e.mediaTypes() {
			switch media {
			case "text/csv":
				content[media] = schema{"schema": schema{"type": "string"}}
			case wire.JSONLines:
				content[media] = schema{"schema": schema{"type": "string", "description": "one JSON value a line", "contentSchema": all.of(e.out)}}
			default:
				content[media] = schema{"schema": all.of(e.out)}
			}
		}
		success["content"] = content
	}
	if e.versioned {
		success["headers"] = schema{"ETag": schema{"schema": schema{"type": "string"}, "description": "the version of the user"}}
	}
	out := schema{strconv.Itoa(e.status): success}
	for status, kinds := range e.refusals() {
		out[strconv.Itoa(status)] = schema{
			"description": strings.Join(kinds, ", "),
			"content":     schema{"application/json": schema{"schema": all.ref(reflect.TypeFor[admin.Error]())}},
		}
	}
	return out
}

func (e *endpoint) mediaTypes() []string {
	if e.media == nil {
		return []string{"application/json"}
	}
	return e.media
}

// refusals are the kinds of errors that an endpoint may answer with, by status.
func (e *endpoint) refusals() map[int][]string {
	kinds := append([]admin.Kind{wire.Malformed, wire.Internal, admin.Unavailable}, e.errors...)
	if !e.public || e.method == http.MethodPost {
		kinds = append(kinds, wire.Unauthenticated)
	}
	if e.role != admin.NoRole {
		kinds = append(kinds, admin.Forbidden)
	}
	if e.body != nil {
		kinds = append(kinds, wire.TooLarge, wire.Media)
	}
	slices.Sort(kinds)
	out := map[int][]string{}
	for _, k := range slices.Compact(kinds) {
		status := statuses[k]
		out[status] = append(out[status], string(k))
		if k == admin.Conflict && e.conditional() {
			out[http.StatusPreconditionFailed] = []string{string(k)}
		}
	}
	return out
}
