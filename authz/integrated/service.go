package integrated

import (
	"context"
	"fmt"
	"net/http"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/authz/integrated/security"
	"github.com/soapward/soapward/soap"
	"github.com/soapward/soapward/soap/xsd"
	"github.com/soapward/soapward/soapserver"
)

// Service returns the SOAP service IntegratedSecurity, in SOAP 1.1 and 1.2, with
// its description at ?wsdl.
func Service(o Options) *soapserver.Service {
	s := &soapserver.Service{
		Logger: o.logger(), Interceptors: []soapserver.Interceptor{soapserver.Validate},
		MaxBody: 64 << 10, // no question is longer
	}
	security.RegisterIntegratedSecurity(s, server{Options: o})
	return s
}

type server struct {
	security.UnimplementedIntegratedSecurity
	Options
}

var _ security.IntegratedSecurityServer = server{}

// GetDetails implements security.IntegratedSecurityServer.
func (server) GetDetails(ctx context.Context, _ *security.GetDetails) (*security.GetDetailsResponse, error) {
	d := DetailsOf(authn.FromContext(ctx))
	out := security.Details{
		Username: d.Username, IsAuthenticated: d.IsAuthenticated, IsAnonymous: d.IsAnonymous, IsGuest: d.IsGuest, IsSystem: d.IsSystem,
		SID: optional(string(d.SID)), UPN: optional(d.UPN), DisplayName: optional(d.DisplayName), Mechanism: optional(d.Mechanism),
	}
	if d.Time != nil {
		t := xsd.DateTimeOf(*d.Time)
		out.Time = &t
	}
	for _, g := range d.Groups {
		out.Group = append(out.Group, security.Group{SID: optional(string(g.SID)), Name: optional(g.Name)})
	}
	return &security.GetDetailsResponse{Details: out}, nil
}

// CheckRole implements security.IntegratedSecurityServer.
func (s server) CheckRole(ctx context.Context, req *security.CheckRole) (*security.CheckRoleResponse, error) {
	ok, err := s.has(ctx, req.Role)
	if err != nil {
		f := soap.Faultf(soap.CodeServer, "the directory that knows the role does not answer")
		f.Status, f.Err = http.StatusServiceUnavailable, fmt.Errorf("integrated: role %.200q: %w", req.Role, err)
		return nil, f
	}
	return &security.CheckRoleResponse{Belongs: ok}, nil
}

// optional returns nil for what is not known.
func optional(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}
