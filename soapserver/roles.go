package soapserver

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/soapward/soapward/soap"
)

// AnyCaller stands in Roles for everybody who got as far as the Service.
const AnyCaller = "*"

// Roles says which roles an operation needs: one of those listed is enough. The
// key is the operation's name, in Clark notation ({urn:example}Delete, as
// soap.Operation.String returns it) or plain, which stands for the operations
// of that name in all services; Clark notation wins. An operation that is not
// in the table is refused to everybody, like one with an empty list.
type Roles map[string][]string

// DeniedError is why a call was refused, for the log: the caller is told only
// that it was.
type DeniedError struct {
	Operation string
	Roles     []string // one of which would do; empty if the table lacks the operation
}

func (e *DeniedError) Error() string {
	if len(e.Roles) == 0 {
		return fmt.Sprintf("soapserver: %s is refused to everybody: no role is listed for it", e.Operation)
	}
	return fmt.Sprintf("soapserver: %s needs one of the roles %s", e.Operation, strings.Join(e.Roles, ", "))
}

// RequireRoles returns an Interceptor that lets a caller in who has one of the
// operation's roles, and answers all others with the fault "access denied" and
// status 403. has reports whether the caller has a role; it must be safe for
// concurrent use. table must not change afterwards.
func RequireRoles(table Roles, has func(ctx context.Context, role string) bool) Interceptor {
	return func(next Func) Func {
		return func(ctx context.Context, op *soap.Operation, req any) (any, error) {
			roles, _ := ofOperation(table, op)
			for _, r := range roles {
				if r == AnyCaller || has(ctx, r) {
					return next(ctx, op, req)
				}
			}
			return nil, accessDenied(&DeniedError{Operation: op.String(), Roles: roles})
		}
	}
}

// Authorize returns an Interceptor that asks check before each operation. Nil
// lets the caller in. An error with a method Denied() bool that returns true, or
// one that wraps such an error, is answered with the fault "access denied" and
// status 403; any other means that nobody could say, and is answered with 503. The
// error goes to the log, under the reference of the fault. check must be safe for
// concurrent use; it finds the caller in its context.
func Authorize(check func(ctx context.Context, op *soap.Operation) error) Interceptor {
	return func(next Func) Func {
		return func(ctx context.Context, op *soap.Operation, req any) (any, error) {
			err := check(ctx, op)
			if err == nil {
				return next(ctx, op, req)
			}
			var d interface{ Denied() bool }
			if errors.As(err, &d) && d.Denied() {
				return nil, accessDenied(err)
			}
			f := soap.AsFault(&soap.Fault{Code: soap.CodeServer, Status: http.StatusServiceUnavailable})
			f.Reason = "authorization is not available at the moment (reference " + f.Ref + ")"
			f.Err = err
			return nil, f
		}
	}
}

func accessDenied(err error) *soap.Fault {
	f := soap.AsFault(&soap.Fault{Code: soap.CodeClient, Status: http.StatusForbidden})
	f.Reason = "access denied (reference " + f.Ref + ")"
	f.Err = err
	return f
}

// Check compares the table with the operations of a Service: an operation
// without entry, which nobody can call, and an entry without operation, often a
// slip of the pen, are errors.
func (t Roles) Check(ops []*soap.Operation) error {
	known := map[string]bool{}
	var missing, unknown []string
	for _, op := range ops {
		known[op.Name], known[op.String()] = true, true
		if _, ok := ofOperation(t, op); !ok {
			missing = append(missing, op.String())
		}
	}
	for _, name := range slices.Sorted(maps.Keys(t)) {
		if !known[name] {
			unknown = append(unknown, name)
		}
	}
	if len(missing)+len(unknown) == 0 {
		return nil
	}
	var parts []string
	if len(missing) > 0 {
		parts = append(parts, "nobody can call "+strings.Join(missing, ", "))
	}
	if len(unknown) > 0 {
		parts = append(parts, "there is no operation "+strings.Join(unknown, ", "))
	}
	return fmt.Errorf("soapserver: roles: %s", strings.Join(parts, "; "))
}

// ofOperation looks an operation up in a table.
func ofOperation[V any](table map[string]V, op *soap.Operation) (V, bool) {
	if v, ok := table[op.String()]; ok {
		return v, true
	}
	v, ok := table[op.Name]
	return v, ok
}
