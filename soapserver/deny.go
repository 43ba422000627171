package soapserver

import (
	"net/http"

	"github.com/soapward/soapward/soap"
)

// Deny answers a request that an authentication in front of the Service
// refused with status and a fault that tells nothing but ref, the reference of
// the log line. It fits the field Deny of authn.Middleware.
func Deny(w http.ResponseWriter, r *http.Request, status int, ref string) {
	f := &soap.Fault{Code: soap.CodeClient, Status: status, Ref: ref}
	f.Reason = "authentication required (reference " + ref + ")"
	switch status {
	case http.StatusServiceUnavailable:
		f.Code = soap.CodeServer
		f.Reason = "authentication is not available at the moment (reference " + ref + ")"
	case http.StatusTooManyRequests:
		f.Reason = "too many failed login attempts, please try again later (reference " + ref + ")"
	}
	WriteFault(w, r, f)
}
