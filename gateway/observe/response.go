package observe

import (
	"bufio"
	"io"
	"net"
	"net/http"
)

// header tells the client, and the backend, the reference of a request.
const header = "Soapward-Ref"

// response is the ResponseWriter of a request, which notes what is answered. It
// has what net/http's own has, so that nothing behind it takes a slower way, and
// http.ResponseController finds the rest by Unwrap.
type response struct {
	http.ResponseWriter
	ref     []string // value of header
	status  int      // zero: nothing is answered yet
	written int64    // of the body, in bytes
}

// hijackable is response of a connection that can be taken over.
type hijackable struct{ response }

// writer returns what the handler gets.
func (q *request) writer() http.ResponseWriter {
	if _, ok := q.ResponseWriter.(http.Hijacker); ok {
		return (*hijackable)(&q.plain)
	}
	return &q.plain
}

// plain is response of one that cannot, such as of HTTP/2.
type plain struct{ response }

// Unwrap is for http.ResponseController.
func (w *response) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// begin notes the status, and puts the reference into the header, whatever a
// backend had there.
func (w *response) begin(status int) {
	if w.status == 0 {
		w.status = status
		w.Header()[header] = w.ref
	}
}

// WriteHeader implements http.ResponseWriter.
func (w *response) WriteHeader(status int) {
	if status >= 200 || status == http.StatusSwitchingProtocols {
		w.begin(status)
	}
	w.ResponseWriter.WriteHeader(status)
}

// Write implements http.ResponseWriter.
func (w *response) Write(b []byte) (int, error) {
	w.begin(http.StatusOK)
	n, err := w.ResponseWriter.Write(b)
	w.written += int64(n)
	return n, err
}

// WriteString implements io.StringWriter.
func (w *response) WriteString(s string) (int, error) {
	w.begin(http.StatusOK)
	n, err := io.WriteString(w.ResponseWriter, s)
	w.written += int64(n)
	return n, err
}

// ReadFrom implements io.ReaderFrom, by which net/http has the kernel copy from
// a file or a connection.
func (w *response) ReadFrom(src io.Reader) (int64, error) {
	w.begin(http.StatusOK)
	var n int64
	var err error
	if to, ok := w.ResponseWriter.(io.ReaderFrom); ok {
		n, err = to.ReadFrom(src)
	} else {
		n, err = io.Copy(w.ResponseWriter, src)
	}
	w.written += n
	return n, err
}

// Flush implements http.Flusher.
func (w *response) Flush() { _ = w.FlushError() }

// FlushError is Flush for http.ResponseController.
func (w *response) FlushError() error {
	w.begin(http.StatusOK)
	return http.NewResponseController(w.ResponseWriter).Flush()
}

// Hijack implements http.Hijacker. What goes over the connection from there on
// is not seen.
func (w *hijackable) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	c, rw, err := http.NewResponseController(w.ResponseWriter).Hijack()
	if err == nil && w.status == 0 {
		w.status = http.StatusSwitchingProtocols
	}
	return c, rw, err
}
