// Package totp is the second factor that a telephone or a key shows: time-based
// one-time passwords (RFC 6238) of six digits, by HMAC-SHA1 in steps of 30
// seconds, which is what all authenticator programs know.
package totp
