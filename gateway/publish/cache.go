package publish

import (
	"bytes"
	"compress/gzip"
	"container/list"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// What the cache of a service holds at most: a client chooses the Host that an
// answer is for.
const (
	cacheBytes   = 16 << 20
	cacheAnswers = 64
)

// answer is a document for one endpoint.
type answer struct {
	body []byte
	etag string // without quotes

	pack sync.Once              // at the second use: the first may be the only one
	gz   atomic.Pointer[[]byte] // nil: not yet, or not worth it
}

type cacheKey struct {
	doc *document
	at  string
}

type cached struct {
	key cacheKey
	*answer
}

// cache has answers that were given, the last one first. The zero value is ready.
// It is safe for concurrent use.
type cache struct {
	mu    sync.Mutex
	by    map[cacheKey]*list.Element
	order list.List // of cached
	size  int
}

// get returns the answer for an endpoint.
func (c *cache) get(doc *document, at *endpoint) *answer {
	key := cacheKey{doc, at.key()}
	c.mu.Lock()
	if e := c.by[key]; e != nil {
		c.order.MoveToFront(e)
		a := e.Value.(cached).answer
		c.mu.Unlock()
		a.pack.Do(a.compress)
		return a
	}
	c.mu.Unlock()
	body := doc.render(at)
	sum := sha256.Sum256(body)
	a := &answer{body: body, etag: hex.EncodeToString(sum[:16])}
	c.put(cached{key, a})
	return a
}

// put keeps an answer, and drops those that were not asked for the longest.
func (c *cache) put(a cached) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.by[a.key] != nil || len(a.body) > cacheBytes {
		return
	}
	if c.by == nil {
		c.by = make(map[cacheKey]*list.Element)
	}
	c.by[a.key] = c.order.PushFront(a)
	c.size += len(a.body)
	for c.size > cacheBytes || c.order.Len() > cacheAnswers {
		last := c.order.Remove(c.order.Back()).(cached)
		delete(c.by, last.key)
		c.size -= len(last.body)
	}
}

func (a *answer) compress() {
	const least = 1024
	if len(a.body) < least {
		return
	}
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	_, _ = z.Write(a.body) // a Buffer never fails
	_ = z.Close()
	gz := b.Bytes()
	a.gz.Store(&gz)
}

// serve answers a GET or HEAD. What it says depends on the address that the
// client used, so that caches ask each time whether theirs is still right.
func (a *answer) serve(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("X-Content-Type-Options", "nosniff")
	h.Add("Vary", "Accept-Encoding")
	body, etag := a.body, a.etag
	if gz := a.gz.Load(); gz != nil && takesGzip(r.Header.Values("Accept-Encoding")) {
		body, etag = *gz, etag+"-gzip"
		h.Set("Content-Encoding", "gzip")
		if r.Header.Get("Range") == "" { // else ServeContent does not know the length
			h.Set("Content-Length", strconv.Itoa(len(body)))
		}
	}
	h.Set("ETag", `"`+etag+`"`)
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(body))
}

// takesGzip reports whether a client takes gzip. RFC 9110 12.5.3.
func takesGzip(accept []string) bool {
	for _, v := range accept {
		for item := range strings.SplitSeq(v, ",") {
			coding, params, _ := strings.Cut(item, ";")
			if c := strings.TrimSpace(coding); !strings.EqualFold(c, "gzip") {
				continue
			}
			k, q, _ := strings.Cut(strings.ReplaceAll(params, " ", ""), "=")
			if f, err := strconv.ParseFloat(q, 64); strings.EqualFold(k, "q") && err == nil && f == 0 {
				return false
			}
			return true
		}
	}
	return false
}
