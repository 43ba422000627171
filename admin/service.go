package admin

import (
	"context"
	"log/slog"
	"net/url"
	"sync"
	"time"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/authz"
	"github.com/soapward/soapward/directory/store"
	"github.com/soapward/soapward/gateway/config"
	"github.com/soapward/soapward/gateway/health"
)

// A Running is a gateway in this process, as a Service sees it. It is safe for
// concurrent use.
type Running interface {
	Config() *config.Config // in force
	File() string           // that it was started with
	Reload() error

	// Replace calls change, which may change the files, and reloads. Nobody reloads
	// meanwhile. If change fails, nothing was done; if the reload is refused, undo is
	// called, and the files are read again.
	Replace(change func() (undo func() error, err error)) error

	Loaded() (at time.Time, refused error) // the last reload
	Report() health.Report
	Listens() []Listen
	Warnings() []string

	// Policies is what is in force at the elements of each service.
	Policies() map[string][]authz.ElementPolicy

	// Explain tells how a request of id, of nobody with nil, or of nobody in
	// particular with anybody set, would be decided, the client's address being that
	// of ctx.
	Explain(ctx context.Context, method string, u *url.URL, operation string, id *authn.Identity, anybody bool) *authz.Explanation

	Roles() *authz.Roles             // of the configuration
	Operations() map[string][]string // of services that publish a description
	Version() string
	Started() time.Time

	// Build makes the parts of a configuration, to see whether they can be made,
	// and throws them away.
	Build(ctx context.Context, c *config.Config) (warnings []string, err error)
}

// Options are what a Service is made of.
type Options struct {
	// Store returns the store in force. A program beside the gateway has one, too.
	Store func() *store.Store

	// Config returns the configuration, nil where there is none: passwords then
	// follow the defaults.
	Config func() *config.Config

	// Running is the gateway. Nil, in a program beside it: then there is neither a
	// Gateway nor a Configuration.
	Running Running

	Logger *slog.Logger // nil means slog.Default()
	Now    func() time.Time
}

// A Service is all areas, in this process. It is safe for concurrent use.
type Service struct {
	o   Options
	log *slog.Logger
	now func() time.Time

	tests    tries      // of realms
	syncing  sync.Map   // each syncRun of this process
	applying sync.Mutex // held by who changes the configuration
	granted  granted
}

// New returns a Service. Store and Config must be set.
func New(o Options) *Service {
	s := &Service{o: o, log: o.Logger, now: o.Now}
	if s.log == nil {
		s.log = slog.Default()
	}
	if s.now == nil {
		s.now = time.Now
	}
	return s
}

var _ interface {
	Users
	Sessions
	Blocks
	Audit
	Gateway
	Configuration
	Sync
} = (*Service)(nil)
