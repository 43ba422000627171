package outbound

import (
	"context"
	"crypto/tls"
	"encoding/xml"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"strings"

	"github.com/soapward/soapward/authclient"
	"github.com/soapward/soapward/authclient/delegation"
	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/authn/kerberos"
	"github.com/soapward/soapward/soap"
	"github.com/soapward/soapward/soapserver"
)

// Namespace is that of the subcodes of faults, and begins the types of problems.
const Namespace = "urn:soapward:outbound"

// Reasons of refusals that are decided here, for trail.Trail.Refusal. Those of
// callers who cannot be passed on are delegation.Reasons.
const (
	reasonNetwork     = "network-not-allowed"
	reasonCrossSite   = "cross-site"
	reasonHost        = "host-not-known"
	reasonConnect     = "connect-not-possible"
	reasonForm        = "not-a-proxy-request"
	reasonDestination = "destination-not-listed"
	reasonPath        = "path-leads-out"
	reasonToken       = "identity-token"
	reasonRole        = "role-missing"

	reasonRefused     = "upstream-refused"     // it did not take the login
	reasonProxy       = "proxy-refused"        // nor did the proxy
	reasonDown        = "upstream-down"        // no connection
	reasonCertificate = "upstream-certificate" // TLS
	reasonUnverified  = "upstream-unverified"  // it did not prove who it is
	reasonBroken      = "upstream-broken"      // no answer, or none that can be read
	reasonTimeout     = "upstream-timeout"
	reasonKDC         = "kdc-down"
	reasonAccount     = "account-refused" // ours, by the KDC
	reasonTooLarge    = "body-too-large"
	reasonMidway      = "login-asked-midway"
	reasonCanceled    = "canceled"
	reasonRoles       = "roles-unavailable"
)

// refusal is a request that is not passed on.
type refusal struct {
	reason string
	err    error
}

func (e *refusal) Error() string { return "outbound: " + e.reason + ": " + e.err.Error() }

func (e *refusal) Unwrap() error { return e.err }

// reply is what a program is told. The words say what it can do, and nothing of
// what is behind.
type reply struct {
	status int
	title  string
}

var replies = map[string]reply{
	reasonNetwork:     {http.StatusForbidden, "requests from this address are not taken"},
	reasonCrossSite:   {http.StatusForbidden, "requests of pages of other sites are not taken"},
	reasonHost:        {http.StatusMisdirectedRequest, "this is not called by that name: use localhost, the address, or have the name listed"},
	reasonConnect:     {http.StatusMethodNotAllowed, "CONNECT would hide the requests, and they could not be logged in: send http://HOST:443/PATH, which is called by https"},
	reasonForm:        {http.StatusBadRequest, "this is a forward proxy: the request has to name a server, as http://HOST/PATH, without a user"},
	reasonDestination: {http.StatusForbidden, "that server is not called through this proxy"},
	reasonPath:        {http.StatusBadRequest, "the path could lead out of what may be called"},
	reasonToken:       {http.StatusForbidden, "the identity token is not valid"},
	reasonRole:        {http.StatusForbidden, "access denied"},

	reasonRefused:     {http.StatusBadGateway, "the server did not accept the login"},
	reasonProxy:       {http.StatusBadGateway, "the proxy did not accept the login"},
	reasonDown:        {http.StatusBadGateway, "the server cannot be reached"},
	reasonCertificate: {http.StatusBadGateway, "the server's certificate was not accepted"},
	reasonUnverified:  {http.StatusBadGateway, "the server did not prove its identity"},
	reasonBroken:      {http.StatusBadGateway, "the server gave no answer that can be passed on"},
	reasonTimeout:     {http.StatusGatewayTimeout, "the server did not answer in time"},
	reasonKDC:         {http.StatusServiceUnavailable, "no domain controller answered"},
	reasonAccount:     {http.StatusBadGateway, "the gateway's account could not log in"},
	reasonTooLarge:    {http.StatusRequestEntityTooLarge, "the request is too large to be kept for the login; a smaller one first makes the login, and larger ones pass after it"},
	reasonMidway:      {http.StatusServiceUnavailable, "the server asked for a login in the middle of the request, which cannot be sent again: please repeat it"},
	reasonCanceled:    {http.StatusBadGateway, "the request was given up"},
	reasonRoles:       {http.StatusServiceUnavailable, "the roles of the caller could not be found out at the moment"},
}

// reasonOf says in one word why a request failed.
func reasonOf(ctx context.Context, err error) string {
	var r *refusal
	var de *delegation.Error
	var refused *authclient.RefusedError
	var large *authclient.BodyTooLargeError
	var kdc *kerberos.KDCError
	var certificate *tls.CertificateVerificationError
	var timeout interface{ Timeout() bool }
	var dial *net.OpError
	switch {
	case errors.As(err, &r):
		return r.reason
	case errors.As(err, &de):
		return string(de.Reason)
	case errors.Is(ctx.Err(), context.Canceled):
		return reasonCanceled
	case errors.As(err, &refused) && refused.Proxy:
		return reasonProxy
	case errors.As(err, &refused):
		return reasonRefused
	case errors.As(err, &large):
		return reasonTooLarge
	case errors.Is(err, authclient.ErrBodyNotReplayable):
		return reasonMidway
	case errors.Is(err, authclient.ErrServerUnverified):
		return reasonUnverified
	case errors.As(err, &certificate):
		return reasonCertificate
	case errors.Is(err, authn.ErrUnavailable):
		return reasonKDC
	case errors.As(err, &kdc), errors.Is(err, authn.ErrBadCredentials), errors.Is(err, authclient.ErrNTLMNotAllowed):
		return reasonAccount
	case errors.As(err, &dial) && (dial.Op == "dial" || dial.Op == "proxyconnect"):
		return reasonDown
	case errors.As(err, &timeout) && timeout.Timeout():
		return reasonTimeout
	}
	return reasonBroken
}

// fail answers a request that is not passed on, or whose server gave no answer.
func (u *upstream) fail(w http.ResponseWriter, r *http.Request, err error) {
	ctx := r.Context()
	x := callOf(ctx)
	reason := reasonOf(ctx, err)
	x.trail.Refuse(reason, err.Error())
	u.log(ctx, x, reason, err)
	ref := authn.Ref(ctx)
	var de *delegation.Error
	if errors.As(err, &de) {
		p := de.Problem(ref)
		if errors.Is(err, authn.ErrUnavailable) {
			p.Status = http.StatusServiceUnavailable
		}
		subcode, words := de.SOAPFault()
		writeAnswer(w, r, p, subcode, words)
		return
	}
	re, ok := replies[reason]
	if !ok {
		re = replies[reasonBroken]
	}
	if reason == reasonConnect {
		w.Header().Set("Allow", "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS")
	}
	p := &delegation.Problem{Type: Namespace + ":" + reason, Title: re.title, Status: re.status, Ref: ref}
	writeAnswer(w, r, p, xml.Name{Space: Namespace, Local: reason}, re.title)
}

// log writes the line of a refusal.
func (u *upstream) log(ctx context.Context, x *call, reason string, err error) {
	level := slog.LevelWarn
	switch reason {
	case reasonCanceled:
		level = slog.LevelDebug
	case reasonAccount, string(delegation.ReasonServiceAccount):
		level = slog.LevelError // nobody gets through until somebody acts
	}
	as := []slog.Attr{
		slog.String("ref", authn.Ref(ctx)), slog.String("upstream", u.name), slog.String("reason", reason), slog.Any("user", x.id),
	}
	var de *delegation.Error
	if errors.As(err, &de) {
		as = append(as, slog.Any("cause", de))
	} else {
		as = append(as, slog.String("cause", err.Error()))
	}
	u.logger.LogAttrs(ctx, level, "outbound request refused", as...)
}

// writeAnswer tells a program in its own language.
func writeAnswer(w http.ResponseWriter, r *http.Request, p *delegation.Problem, subcode xml.Name, words string) {
	w.Header().Set("Cache-Control", "no-store")
	if !isSOAP(r) {
		p.ServeHTTP(w, r)
		return
	}
	f := &soap.Fault{Code: soap.CodeServer, Subcodes: []xml.Name{subcode}, Reason: words + " (reference " + p.Ref + ")", Ref: p.Ref}
	if p.Status < http.StatusInternalServerError {
		f.Code, f.Status = soap.CodeClient, p.Status
	}
	// Else 500, as SOAP has it (SOAP 1.1 6.2, SOAP 1.2 Part 2 7.5): many clients
	// look for a fault in nothing else.
	soapserver.WriteFault(w, r, f)
}

// deny answers those whom the login of the upstream refuses.
func (u *upstream) deny(w http.ResponseWriter, r *http.Request, status int, ref string) {
	if isSOAP(r) {
		soapserver.Deny(w, r, status, ref)
		return
	}
	(&delegation.Problem{Type: "about:blank", Title: http.StatusText(status), Status: status, Ref: ref}).ServeHTTP(w, r)
}

// isSOAP reports whether r is a call by SOAP.
func isSOAP(r *http.Request) bool {
	c := soap.ParseContentType(r.Header.Get("Content-Type"))
	_, action := r.Header["Soapaction"]
	switch {
	case r.Method != http.MethodPost:
		return false
	case c.Type == soap.V12.MediaType():
		return true
	case c.Type == soap.V11.MediaType():
		return action
	}
	return c.Multipart() && (action || c.IsXOP() || strings.Contains(r.Header.Get("Content-Type"), soap.V12.MediaType()))
}
