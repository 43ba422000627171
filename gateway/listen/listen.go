// Package listen opens the gateway's sockets: TCP or Unix, with TLS, behind load
// balancers that speak the PROXY protocol, or handed over by systemd.
package listen
