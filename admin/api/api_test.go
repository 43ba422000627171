package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/soapward/soapward/admin"
	"github.com/soapward/soapward/admin/admintest"
	"github.com/soapward/soapward/internal/testenv"
)

var update = flag.Bool("update", false, "write docs/openapi.json and docs/reference-admin-api.md again")

// serve returns an API with a log of its own.
func serve(areas Areas) (*API, *testenv.Log) {
	a, log := New(areas), &testenv.Log{}
	a.Logger = slog.New(slog.NewJSONHandler(log, nil))
	return a, log
}

// do sends a request of a caller, nil for nobody.
func do(t *testing.T, h http.Handler, who *admin.Caller, method, target, body string, header ...string) *http.Response {
	t.Helper()
	var content io.Reader
	if body != "" {
		content = strings.NewReader(body)
	}
	r := httptest.NewRequestWithContext(t.Context(), method, target, content)
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	if who != nil {
		r = r.WithContext(admin.NewContext(r.Context(), who))
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Result()
}

func text(t *testing.T, r *http.Response) string {
	t.Helper()
	b, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func refusal(t *testing.T, r *http.Response) admin.Error {
	t.Helper()
	var e admin.Error
	if b := text(t, r); json.Unmarshal([]byte(b), &e) != nil || e.Kind == "" || e.Text == "" || e.Ref == "" {
		t.Errorf("%s: the error is %q", r.Status, b)
	}
	return e
}

var alice = &admin.Caller{Name: "alice", Role: admin.Administrator, Local: true, Login: "local"}

// The documents that are committed are those of the table.
func TestDocuments(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{"openapi.json": string(Document()), "reference-admin-api.md": reference()} {
		path := filepath.Join("..", "..", "docs", name)
		if *update {
			if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if got, err := os.ReadFile(path); err != nil || string(got) != want {
			t.Errorf("docs/%s is not what the table says (%v): go test ./admin/api -update", name, err)
		}
	}
}

// TestDocumentIsOpenAPI has the document judged by somebody else.
func TestDocumentIsOpenAPI(t *testing.T) {
	t.Parallel()
	node, modules := testenv.Need(t, "node"), testenv.NodeModules(t, "testdata/node")
	for name, tt := range map[string]struct {
		document string
		valid    bool
	}{
		"ours":    {string(Document()), true},
		"a wrong": {strings.Replace(string(Document()), `"in": "path"`, `"in": "somewhere"`, 1), false},
	} {
		var result struct {
			Valid   bool
			Version string
			Errors  any
		}
		out := testenv.Run(t, nil, tt.document, node, "testdata/node/validate.mjs", modules)
		if err := json.Unmarshal([]byte(out), &result); err != nil || result.Valid != tt.valid || result.Version != "3.1" && tt.valid {
			t.Errorf("%s document: %s", name, out)
		}
	}
}

// Each type has a name of its own, and each operation.
func TestNamesAreUnique(t *testing.T) {
	t.Parallel()
	types, ids := map[string]reflect.Type{}, map[string]bool{}
	var visit func(reflect.Type)
	visit = func(ty reflect.Type) {
		for ty.Kind() == reflect.Pointer || ty.Kind() == reflect.Slice {
			ty = ty.Elem()
		}
		if ty.Kind() != reflect.Struct || ty == reflect.TypeFor[time.Time]() {
			return
		}
		if s := (schemas{}).of(ty); s["$ref"] == nil {
			return
		}
		if other := types[schemaName(ty)]; other != nil && other != ty {
			t.Errorf("%s and %s have the same name", other, ty)
		} else if other != nil {
			return
		}
		types[schemaName(ty)] = ty
		for _, f := range jsonFields(ty) {
			visit(f.field.Type)
		}
	}
	for i := range endpoints {
		e := &endpoints[i]
		for _, ty := range []reflect.Type{e.body, e.out} {
			if ty != nil {
				visit(ty)
			}
		}
		if ids[operationID(e)] {
			t.Errorf("%s twice", operationID(e))
		}
		ids[operationID(e)] = true
		for _, k := range e.errors {
			if statuses[k] == 0 {
				t.Errorf("%s %s: no status for %s", e.method, e.path, k)
			}
		}
	}
	for k := range statuses {
		if kindTexts[k] == "" {
			t.Errorf("the reference does not say what %s is", k)
		}
	}
}

// validators are made of the document, in which all that is not there is refused.
func validators(t *testing.T) func(ref string, v any) error {
	t.Helper()
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(Document()))
	if err != nil {
		t.Fatal(err)
	}
	components := doc.(map[string]any)["components"].(map[string]any)["schemas"].(map[string]any)
	for _, s := range components {
		s.(map[string]any)["additionalProperties"] = false
	}
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	if err := c.AddResource("doc.json", doc); err != nil {
		t.Fatal(err)
	}
	var compiling sync.Mutex // a compiler is for one at a time, and a schema for all
	return func(ref string, v any) error {
		compiling.Lock()
		s, err := c.Compile("doc.json" + ref)
		compiling.Unlock()
		if err != nil {
			return err
		}
		return s.Validate(v)
	}
}

var braces = regexp.MustCompile(`\{[a-z]+\}`)

// sample makes a request for an endpoint, with all that can be given.
func sample(t *testing.T, e *endpoint) (target, body string) {
	t.Helper()
	target = Prefix + strings.TrimPrefix(braces.ReplaceAllString(e.path, "17"), "/")
	if e.query != nil {
		params := url.Values{}
		for _, f := range jsonFields(e.query) {
			switch v := admintest.FillType(f.field.Type).Interface().(type) {
			case time.Time:
				params.Set(f.name, v.Format(time.RFC3339Nano))
			default:
				params.Set(f.name, fmt.Sprint(v))
			}
		}
		if params.Has("format") {
			params.Set("format", "jsonl")
		}
		target += "?" + params.Encode()
	}
	if e.body != nil {
		b, err := json.Marshal(admintest.FillType(e.body).Interface())
		if err != nil {
			t.Fatal(err)
		}
		body = string(b)
	}
	return target, body
}

// onePage answers as Fill does, but lists end, and nothing new comes.
func onePage(_ context.Context, method string, args []any) (any, error) {
	if method != "Logins" {
		return nil, nil
	}
	if q, ok := args[0].(admin.LoginQuery); ok && q.NewerID != 0 && q.Limit == pageOfExport {
		return &admin.LoginPage{}, errors.New("over") // ends following
	}
	page := admintest.Fill[*admin.LoginPage]()
	page.Next = ""
	return page, nil
}

// TestEveryEndpoint sends the fullest request to each endpoint, and the emptiest
// answer and each kind of error back: all are as the document says.
func TestEveryEndpoint(t *testing.T) {
	t.Parallel()
	validate := validators(t)
	checked := func(t *testing.T, e *endpoint, r *http.Response) {
		t.Helper()
		pointer := strings.NewReplacer("~", "~0", "/", "~1")
		media := strings.TrimSpace(strings.Split(r.Header.Get("Content-Type"), ";")[0])
		ref := fmt.Sprintf("#/paths/%s/%s/responses/%d", pointer.Replace(e.path), strings.ToLower(e.method), r.StatusCode)
		b := text(t, r)
		if e.out == nil && r.StatusCode == e.status {
			if b != "" {
				t.Errorf("an answer %q", b)
			}
			return
		}
		lines := []string{b}
		ref += "/content/" + pointer.Replace(media) + "/schema"
		if media == "application/jsonl" {
			lines = strings.Split(b, "\n")
			ref += "/contentSchema"
		}
		for _, line := range lines {
			if line == "" {
				continue
			}
			v, err := jsonschema.UnmarshalJSON(strings.NewReader(line))
			if err == nil {
				err = validate(ref, v)
			}
			if err != nil {
				t.Errorf("%s: %v\n%s", ref, err, line)
			}
		}
	}
	for i := range endpoints {
		e := &endpoints[i]
		if e.serve == nil {
			continue
		}
		t.Run(e.method+" "+e.path, func(t *testing.T) {
			t.Parallel()
			target, body := sample(t, e)
			if e.body != nil {
				v, err := jsonschema.UnmarshalJSON(strings.NewReader(body))
				if err == nil {
					err = validate("#/components/schemas/"+schemaName(e.body), v)
				}
				if err != nil {
					t.Errorf("the body is not as the document says: %v\n%s", err, body)
				}
			}
			fake := &admintest.Fake{Answer: onePage}
			a, _ := serve(fake)
			func() {
				defer func() { // a stream that ends with an error
					if v := recover(); v != nil && v != http.ErrAbortHandler {
						panic(v)
					}
				}()
				r := do(t, a, alice, e.method, target, body)
				if r.StatusCode != e.status && e.path != "/logins/follow" {
					t.Fatalf("%s: %s", r.Status, text(t, r))
				}
				for name, want := range map[string]string{"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"} {
					if got := r.Header.Get(name); got != want {
						t.Errorf("%s: %q", name, got)
					}
				}
				if e.versioned != (r.Header.Get("ETag") == `"7"`) {
					t.Errorf("ETag %q", r.Header.Get("ETag"))
				}
				if e.path != "/logins/follow" {
					checked(t, e, r)
				}
			}()
			if calls := fake.Calls(); len(calls) == 0 && e.path != "/me" || len(calls) > 0 && calls[0].Caller != alice {
				t.Errorf("called %v", calls)
			}
			for kind, status := range statuses {
				if e.path == "/me" {
					break
				}
				a, _ := serve(&admintest.Fake{Err: &admin.Error{Kind: kind, Text: "no", Field: "f", Remedy: "do"}})
				r := do(t, a, alice, e.method, target, body)
				if r.StatusCode != status {
					t.Errorf("%s is %d, want %d", kind, r.StatusCode, status)
				}
				if slices.Contains(e.errors, kind) || kind == admin.Forbidden {
					checked(t, e, r)
				} else if got := refusal(t, r); got.Kind != kind {
					t.Errorf("%s came as %s", kind, got.Kind)
				}
			}
		})
	}
}

// Answers without anything in them are as the document says, too: no list is null.
func TestEmptyAnswers(t *testing.T) {
	t.Parallel()
	validate := validators(t)
	for i := range endpoints {
		e := &endpoints[i]
		if e.out == nil || e.media != nil {
			continue
		}
		b, err := encode(reflect.New(e.out).Interface())
		if err != nil {
			t.Fatal(err)
		}
		v, err := jsonschema.UnmarshalJSON(bytes.NewReader(b))
		if err == nil {
			err = validate("#/components/schemas/"+schemaName(e.out), v)
		}
		if err != nil && !strings.Contains(string(b), `"result":""`) {
			t.Errorf("%s: %v\n%s", e.path, err, b)
		}
	}
	shared := &admin.Services{Services: []admin.ServiceInfo{{Name: "hr"}}}
	if b, err := encode(shared); err != nil || strings.Contains(string(b), "null") || shared.Services[0].Logins != nil || shared.Upstreams != nil {
		t.Errorf("%s, %v; what was given became %+v", b, err, shared)
	}
}

// The taking of all passwords goes on when the client has left, and ends at last.
func TestClearPasswordsWithoutClient(t *testing.T) {
	t.Parallel()
	ctx, leave := context.WithCancel(t.Context())
	a, _ := serve(&admintest.Fake{Answer: func(ctx context.Context, _ string, _ []any) (any, error) {
		leave()
		if _, bounded := ctx.Deadline(); !bounded || ctx.Err() != nil {
			t.Errorf("bounded: %v, %v", bounded, ctx.Err())
		}
		return nil, nil
	}})
	r := httptest.NewRequestWithContext(admin.NewContext(ctx, &admin.Caller{Name: "root", Role: admin.Administrator}), "POST", Prefix+"passwords/clear", nil)
	w := httptest.NewRecorder()
	if a.ServeHTTP(w, r); w.Code != 200 {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}
