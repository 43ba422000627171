package gateway

import (
	"context"
	"net/http"
	"time"
)

// unanswered is how long a message goes on whose sender left without its answer.
const unanswered = 10 * time.Second

// patient returns r for a request that changes something, so that it does not end
// at once when its client closes the connection. A client that sends a one-way
// message and looks for no answer, as PHP's SoapClient does, means it to arrive.
// net/http sees the end of a connection only behind the whole body, so that what
// goes on is complete.
//
// Reading requests, and streams of HTTP/2, which are cancelled in so many words, end
// at once.
func patient(r *http.Request, unanswered time.Duration) (_ *http.Request, done func()) {
	if r.ContentLength == 0 || r.ProtoMajor > 1 || r.Method == http.MethodGet || r.Method == http.MethodHead {
		return r, func() {}
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(r.Context()))
	stop := context.AfterFunc(r.Context(), func() {
		timer := time.AfterFunc(unanswered, cancel)
		context.AfterFunc(ctx, func() { timer.Stop() })
	})
	return r.WithContext(ctx), func() { stop(); cancel() }
}
