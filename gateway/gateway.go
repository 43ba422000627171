// Package gateway is Windows authentication in front of any service, and out of
// any program: the parts below it, put together from a configuration.
package gateway
