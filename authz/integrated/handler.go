package integrated

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/authz"
)

// Paths that NewHandler serves.
const (
	WhoAmIPath   = "/.soapward/whoami"
	RolePath     = "/.soapward/role"
	SecurityPath = "/.soapward/security"
)

// maxRoleName bounds the name in a question, as the WSDL does.
const maxRoleName = 1024

// Options are for NewHandler and Service. The zero value is fine behind an
// authz.Guard or Roles.Wrap.
type Options struct {
	// Roles are asked. Nil means those that authz has put into the context.
	Roles *authz.Roles

	Logger *slog.Logger // nil means slog.Default()
}

// has asks for a role of the caller in ctx.
func (o Options) has(ctx context.Context, role string) (bool, error) {
	if o.Roles == nil {
		return authz.IsInRole(ctx, role)
	}
	return o.Roles.Has(ctx, authn.FromContext(ctx), role)
}

func (o Options) logger() *slog.Logger {
	if o.Logger != nil {
		return o.Logger
	}
	return slog.Default()
}

// NewHandler returns a handler for all paths below /.soapward/ that answer the
// two questions. It is safe for concurrent use.
func NewHandler(o Options) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+WhoAmIPath, func(w http.ResponseWriter, r *http.Request) {
		answer(w, http.StatusOK, DetailsOf(authn.FromContext(r.Context())))
	})
	mux.HandleFunc("GET "+RolePath, o.role)
	mux.Handle(SecurityPath, Service(o))
	return mux
}

// roleAnswer is the answer about a role.
type roleAnswer struct {
	Role    string `json:"role"`
	Belongs bool   `json:"belongs"`
}

func (o Options) role(w http.ResponseWriter, r *http.Request) {
	names := r.URL.Query()["name"]
	if len(names) != 1 || names[0] == "" || len(names[0]) > maxRoleName {
		answer(w, http.StatusBadRequest, problem{
			Title: "one role, please", Status: http.StatusBadRequest,
			Detail: "Give the name of one role or group, of up to 1024 bytes: " + RolePath + "?name=payroll",
		})
		return
	}
	ok, err := o.has(r.Context(), names[0])
	if err != nil {
		o.logger().LogAttrs(r.Context(), slog.LevelError, "role is not known",
			slog.Any("user", authn.FromContext(r.Context())), slog.String("role", names[0]), slog.String("cause", err.Error()))
		answer(w, http.StatusServiceUnavailable, problem{
			Title: "not known at the moment", Status: http.StatusServiceUnavailable,
			Detail: "The directory that knows the role does not answer. Ask again later.",
		})
		return
	}
	answer(w, http.StatusOK, roleAnswer{names[0], ok})
}

// problem is an error for programs (RFC 9457).
type problem struct {
	Title  string `json:"title"`
	Status int    `json:"status"`
	Detail string `json:"detail"`
}

// answer writes JSON that no cache keeps and no other site reads.
func answer(w http.ResponseWriter, status int, v any) {
	h := w.Header()
	h.Set("Content-Type", "application/json")
	if _, ok := v.(problem); ok {
		h.Set("Content-Type", "application/problem+json")
	}
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v) // a client that went away
}
