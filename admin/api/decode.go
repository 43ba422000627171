package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/soapward/soapward/admin"
	"github.com/soapward/soapward/admin/api/wire"
)

// Bounds of a body, in bytes.
const (
	maxBody       = 1 << 20
	maxConfigBody = 8 << 20 // 1 MiB of files, of which JSON makes up to six times as much
)

// Values in a body, at most: {} is many times as large in memory, and the body of
// somebody who may not do what it asks for is read, too. An import has 10,000 users.
const (
	maxValues       = 10_000
	maxImportValues = 600_000
)

// Bodies of more than maxBody that a caller sends at a time.
const maxLargeBodies = 4

func malformed(format string, args ...any) error {
	return &admin.Error{Kind: wire.Malformed, Text: fmt.Sprintf(format, args...)}
}

// decodeBody reads one JSON value into v, and nothing that v has no field for.
// What was in the body is in no error: it may be a password.
func decodeBody(w http.ResponseWriter, r *http.Request, limit int64, values int, v any) error {
	media, params, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || media != "application/json" || params["charset"] != "" && !strings.EqualFold(params["charset"], "utf-8") {
		return &admin.Error{Kind: wire.Media, Text: "the body must be application/json"}
	}
	b, err := io.ReadAll(http.MaxBytesReader(w, r.Body, limit))
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		return &admin.Error{Kind: wire.TooLarge, Text: fmt.Sprintf("the body has more than %d bytes", limit)}
	case err != nil:
		return &admin.Error{Kind: wire.Malformed, Text: "the body ended too early", Err: err}
	case !utf8.Valid(b):
		return malformed("the body is not UTF-8")
	case valuesIn(b) > values:
		return &admin.Error{Kind: wire.TooLarge, Text: fmt.Sprintf("the body has more than %d values", values)}
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return bodyError(err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return malformed("the body has more than one JSON value")
	}
	return nil
}

// valuesIn is how many values a JSON text has one after the other, in lists and in
// objects. Those in each other are bounded by the decoder.
func valuesIn(b []byte) int {
	n, quoted := 1, false
	for i := 0; i < len(b); i++ {
		switch c := b[i]; {
		case c == '"':
			quoted = !quoted
		case quoted && c == '\\':
			i++
		case !quoted && c == ',':
			n++
		}
	}
	return n
}

// bodyError says what is wrong with a body.
func bodyError(err error) error {
	var known *admin.Error // of a type that decodes itself
	if errors.As(err, &known) {
		return known
	}
	var syntax *json.SyntaxError
	var mistyped *json.UnmarshalTypeError
	switch text, unknown := strings.CutPrefix(err.Error(), "json: unknown field "); {
	case unknown:
		name, err := strconv.Unquote(text)
		if err != nil {
			name = text
		}
		return &admin.Error{Kind: wire.Malformed, Text: "there is no field " + strconv.QuoteToASCII(clip(name)), Field: clip(name)}
	case errors.As(err, &syntax):
		return malformed("the body is not JSON: wrong at byte %d", syntax.Offset)
	case errors.As(err, &mistyped):
		name := fieldName(mistyped.Field)
		if name == "" {
			return malformed("the body must be %s", article(jsonType(mistyped.Type)))
		}
		return &admin.Error{Kind: wire.Malformed, Text: fmt.Sprintf("the field %s must be %s", name, article(jsonType(mistyped.Type))), Field: name}
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return malformed("the body is no whole JSON value")
	}
	return malformed("the body cannot be read") // its own words may have what was in it
}

// fieldName is the path of a field without the structs that are embedded, which
// encoding/json names too. Our names in JSON begin with small letters.
func fieldName(path string) string {
	parts := slices.DeleteFunc(strings.Split(path, "."), func(s string) bool { return s != "" && s[0] >= 'A' && s[0] <= 'Z' })
	return strings.Join(parts, ".")
}

func article(noun string) string {
	if strings.HasPrefix(noun, "i") || strings.HasPrefix(noun, "o") || strings.HasPrefix(noun, "a") {
		return "an " + noun
	}
	return "a " + noun
}

// clip bounds what a client sent that is told back to it.
func clip(s string) string {
	const most = 64
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + "..."
}

// decodeQuery reads the query of a request into the struct at q, by the names of
// its JSON. Each parameter comes once.
func decodeQuery(r *http.Request, q any) error {
	values, err := parseQuery(r.URL.RawQuery)
	if err != nil {
		return err
	}
	v := reflect.ValueOf(q).Elem()
	fields := map[string]reflect.Value{}
	for name, f := range queryFields(v.Type()) {
		fields[name] = v.FieldByIndex(f.Index)
	}
	for name, value := range values {
		f, known := fields[name]
		if !known {
			return &admin.Error{Kind: wire.Malformed, Text: "there is no parameter " + strconv.QuoteToASCII(clip(name)), Field: clip(name)}
		}
		if err := setField(f, value); err != nil {
			return &admin.Error{Kind: wire.Malformed, Text: fmt.Sprintf("the parameter %s must be %s", name, err), Field: name}
		}
	}
	return nil
}

// queryFields are the parameters that a struct stands for.
func queryFields(t reflect.Type) map[string]reflect.StructField {
	fields := map[string]reflect.StructField{}
	for _, f := range reflect.VisibleFields(t) {
		if name, _, _ := strings.Cut(f.Tag.Get("json"), ","); name != "" && name != "-" && !f.Anonymous {
			fields[name] = f
		}
	}
	return fields
}

// maxQuery bounds a query, in bytes.
const maxQuery = 16 << 10

func parseQuery(raw string) (map[string]string, error) {
	if len(raw) > maxQuery {
		return nil, malformed("the query has more than %d bytes", maxQuery)
	}
	parsed, err := url.ParseQuery(raw)
	if err != nil {
		return nil, malformed("the query is not encoded as one")
	}
	values := map[string]string{}
	for name, list := range parsed {
		if len(list) != 1 {
			return nil, &admin.Error{Kind: wire.Malformed, Text: "the parameter " + strconv.QuoteToASCII(clip(name)) + " comes more than once", Field: clip(name)}
		}
		if !utf8.ValidString(list[0]) || !utf8.ValidString(name) {
			return nil, malformed("the query is not UTF-8")
		}
		values[name] = list[0]
	}
	return values, nil
}

// setField parses the text of a parameter. Its error is what was wanted.
func setField(f reflect.Value, text string) error {
	switch p := f.Addr().Interface().(type) {
	case *time.Time:
		t, err := time.Parse(time.RFC3339Nano, text)
		if err != nil {
			return errors.New("a time as in RFC 3339, such as 2026-11-26T08:00:00Z")
		}
		*p = t
		return nil
	case *time.Duration:
		d, err := time.ParseDuration(text)
		if err != nil {
			return errors.New("a duration, such as 24h")
		}
		*p = d
		return nil
	}
	switch f.Kind() {
	case reflect.String:
		f.SetString(text)
	case reflect.Bool:
		switch text {
		case "true", "false":
			f.SetBool(text == "true")
		default:
			return errors.New("true or false")
		}
	case reflect.Int, reflect.Int64:
		n, err := strconv.ParseInt(text, 10, f.Type().Bits())
		if err != nil {
			return errors.New("a whole number")
		}
		f.SetInt(n)
	default:
		panic("api: a query cannot have a " + f.Type().String())
	}
	return nil
}

func etag(version int64) string { return `"` + strconv.FormatInt(version, 10) + `"` }

// ifMatch is the version that the client read, zero if any will do. RFC 9110
// 13.1.1: a list is not taken, for there is one version.
func ifMatch(r *http.Request) (int64, error) {
	switch tags := r.Header.Values("If-Match"); {
	case len(tags) == 0:
		return 0, nil
	case len(tags) == 1 && tags[0] == "*":
		return 0, nil
	case len(tags) == 1:
		n, err := strconv.ParseInt(strings.Trim(tags[0], `"`), 10, 64)
		if err == nil && n > 0 && tags[0] == etag(n) {
			return n, nil
		}
	}
	return 0, &admin.Error{Kind: wire.Malformed, Text: `If-Match takes the ETag of one answer, such as "7"`}
}
