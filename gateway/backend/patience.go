package backend

import "time"

// How slow a client may be. While it sends its body, or takes an answer, it keeps
// a connection to the server, of which there are not many.
const (
	clientIdle = time.Minute // for what fits into a buffer
	clientRate = 4 << 10     // bytes a second, of larger pieces
)

// patience is how long a client may take for n bytes.
func (p *Proxy) patience(n int64) time.Duration {
	if p.testOnlyClientIdle > 0 {
		return p.testOnlyClientIdle
	}
	return clientIdle + time.Duration(n/clientRate)*time.Second
}

// waitForBody bounds the time in which the client sends n bytes. net/http ends
// that with the body.
func (x *exchange) waitForBody(n int64) {
	_ = x.control().SetReadDeadline(time.Now().Add(x.p.patience(n))) // a test's may have none
}

// waitForClient bounds the time in which the client takes n bytes. net/http ends
// that with the request.
func (x *exchange) waitForClient(n int64) {
	_ = x.control().SetWriteDeadline(time.Now().Add(x.p.patience(n)))
}
