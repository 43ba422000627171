package api

import (
	"cmp"
	"net/http"
	"reflect"
	"slices"
	"strings"

	"github.com/soapward/soapward/admin"
	"github.com/soapward/soapward/admin/api/wire"
)

// An endpoint is a row of the table.
type endpoint struct {
	area    string
	method  string
	path    string // below Prefix, with {parameters}
	summary string
	more    string // what else is to be known; may be empty
	role    admin.Role
	errors  []admin.Kind // besides those that each may have

	query, body, out reflect.Type // nil: none
	maxBody          int64        // bytes; zero means those of most
	maxValues        int          // in a body; zero means those of most
	status           int          // of success
	media            []string     // of a stream or a file; nil: application/json
	export           bool         // a stream of all there is: see maxExports
	large            bool         // its body may be: see maxLargeBodies
	public           bool         // nobody need be logged in
	versioned        bool         // the answer has an ETag, and If-Match counts

	serve func(*call) error // nil: package admin/access has it
}

// A call is a request to an endpoint.
type call struct {
	Areas
	w     http.ResponseWriter
	r     *http.Request
	e     *endpoint
	begun bool // something of the answer is on its way
}

// name is the parameter {name} of the path.
func (c *call) name() string { return c.value("name") }

// ask makes an endpoint without a body. Q is the struct of its query.
func ask[Q, A any](e endpoint, do func(*call, Q) (A, error)) endpoint {
	e.query, e.out = some[Q](), some[A]()
	return e.with(func(c *call) error {
		var q Q
		if err := decodeQuery(c.r, &q); err != nil {
			return err
		}
		a, err := do(c, q)
		if err != nil {
			return err
		}
		return c.write(a)
	})
}

// send makes an endpoint with a body.
func send[B, A any](e endpoint, do func(*call, B) (A, error)) endpoint {
	e.body, e.out = some[B](), some[A]()
	limit := cmp.Or(e.maxBody, maxBody)
	if e.area == areaConfiguration {
		limit = maxConfigBody
	}
	if limit > maxBody {
		e.large, e.errors = true, append(slices.Clip(e.errors), admin.TooMany)
	}
	values := cmp.Or(e.maxValues, maxValues)
	return e.with(func(c *call) error {
		var none struct{}
		if err := decodeQuery(c.r, &none); err != nil {
			return err
		}
		var b B
		if err := decodeBody(c.w, c.r, limit, values, &b); err != nil {
			return err
		}
		a, err := do(c, b)
		if err != nil {
			return err
		}
		return c.write(a)
	})
}

// stream makes an endpoint whose answer is written piece by piece. A is what one
// line of it is.
func stream[Q, A any](e endpoint, do func(*call, Q) error) endpoint {
	e.query, e.out = some[Q](), some[A]()
	e.errors = append(slices.Clip(e.errors), admin.TooMany)
	if e.media == nil {
		e.media = []string{wire.JSONLines}
	}
	return e.with(func(c *call) error {
		var q Q
		if err := decodeQuery(c.r, &q); err != nil {
			return err
		}
		return do(c, q)
	})
}

func (e endpoint) with(serve func(*call) error) endpoint {
	e.serve = serve
	if e.status == 0 {
		e.status = http.StatusOK
		if e.out == nil {
			e.status = http.StatusNoContent
		}
	}
	return e
}

// none is the type of a query, a body or an answer that is not there.
type none = struct{}

// some returns the type T, nil if it is none.
func some[T any]() reflect.Type {
	t := reflect.TypeFor[T]()
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if t == reflect.TypeFor[none]() {
		return nil
	}
	return t
}

// write answers with a value, and with its version.
func (c *call) write(v any) error {
	if u, ok := v.(*admin.User); ok && c.e.versioned {
		c.w.Header().Set("ETag", etag(u.Version))
	}
	if c.e.out == nil {
		c.w.WriteHeader(c.e.status)
		return nil
	}
	writeJSON(c.w, c.e.status, v)
	return nil
}

// parameters are the names in braces of the path.
func (e *endpoint) parameters() (names []string) {
	for part := range strings.SplitSeq(e.path, "/") {
		if strings.HasPrefix(part, "{") {
			names = append(names, strings.Trim(part, "{}"))
		}
	}
	return names
}

// table joins the rows of all areas.
func table(areas ...[]endpoint) (all []endpoint) {
	for _, rows := range areas {
		all = append(all, rows...)
	}
	return all
}

// endpoints is the table.
var endpoints = table(loginRows, userRows, sessionRows, auditRows, gatewayRows, realmRows, configRows)
