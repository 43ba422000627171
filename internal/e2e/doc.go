// Package e2e holds end-to-end tests: clients that others wrote against our
// servers, our clients against servers that others wrote, with a real Active
// Directory behind both. What works with whom, and what is refused on purpose,
// is written down in docs/interop.md.
package e2e
