// Package peers starts the servers, proxies and browsers that others wrote, for
// the tests in the packages around it: [StartApache], [StartSquid], [StartChrome],
// [StartNGINX], an OpenID Connect provider, [StartProvider], and soapward's own binary as
// a child, [StartGateway]. [Chrome.Accessible] has axe-core judge a page. Each listens
// on a port of 127.0.0.1, reads nothing of the machine's own configuration, and
// ends with its test. [Names] lets programs find the hosts of the test domain.
//
// Only tests import this package.
package peers

import (
	"bytes"
	"sync"
)

// A Log is what a child wrote. Its methods are safe for concurrent use.
type Log struct {
	mu sync.Mutex
	b  bytes.Buffer
}

// Write implements io.Writer.
func (l *Log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

// String returns what was written up to now.
func (l *Log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
