package form

import (
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/soapward/soapward/authn"
)

// Deny writes a refusal, for authn.Middleware.Deny of those who do not use Wrap.
//
// A browser that opens a page gets the login page: in the body of the 401 if
// that asks for Negotiate, else by a redirect. A script in a page gets JSON, and
// any other client a line of text. Browsers are not offered anything but
// Negotiate, whatever the authenticators offer.
func (f *Form) Deny(w http.ResponseWriter, r *http.Request, status int, ref string) {
	navigates := opensPage(r)
	if ForBrowser(r) {
		f.keepNegotiate(w.Header(), r)
	}
	negotiate := len(w.Header()["Www-Authenticate"]) > 0
	switch {
	case !navigates:
		f.denyClient(w, r, status, ref)
	case !f.c.Sessions.Usable(r):
		f.insecure(w, r)
	case status == http.StatusUnauthorized && !negotiate && f.only(f.wanted(r)) != "":
		redirect(w, f.only(f.wanted(r)))
	case status == http.StatusUnauthorized && !negotiate && f.posted != nil:
		redirect(w, f.pageURL(f.wanted(r)))
	default:
		p := f.page(r, f.wanted(r))
		if status == http.StatusUnauthorized && !negotiate {
			w.Header().Set("WWW-Authenticate", f.challenge().String()) // RFC 9110 15.5.2 wants one
		}
		if only := f.only(f.wanted(r)); status == http.StatusUnauthorized && only != "" {
			w.Header().Set("Refresh", "0; url="+only) // for browsers that cannot do Negotiate
		}
		f.describe(p, w.Header(), status, ref)
		if status == http.StatusUnauthorized { // nobody has failed yet
			p.Message, p.Failed, p.Ref, p.Windows = "", false, "", ""
		}
		f.write(w, r, status, p)
	}
}

// ForBrowser reports whether Deny answers r as the request of a browser, with a
// page or with JSON for its scripts. Who has an answer of his own for programs,
// such as SOAP faults, asks it first.
func ForBrowser(r *http.Request) bool { return opensPage(r) || fromBrowser(r) }

// denyTyped answers a password that was not accepted.
func (f *Form) denyTyped(w http.ResponseWriter, r *http.Request, status int, ref string) {
	p := f.pageOfForm(r)
	f.describe(p, w.Header(), status, ref)
	f.write(w, r, status, p)
}

// denyWindows answers those who followed the link, and shows the page in the body
// of the 401 to those whose browser cannot do Negotiate.
func (f *Form) denyWindows(w http.ResponseWriter, r *http.Request, status int, ref string) {
	f.keepRequested(w.Header(), r)
	if len(w.Header()["Www-Authenticate"]) == 0 && status == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", f.challenge().String()) // RFC 9110 15.5.2 wants one
	}
	p := f.page(r, f.target(r.URL.Query().Get(fieldReturn)))
	f.describe(p, w.Header(), status, ref)
	if status == http.StatusUnauthorized {
		p.Message = p.Texts.WindowsFailed
	}
	p.Windows = ""
	f.write(w, r, status, p)
}

// Failed answers a login that was made elsewhere, where a Link led, and did not
// succeed: the page, with what can be said for the status. It is the same for each
// cause of a 401; 403 is for a login that did not begin here, or too long ago.
func (f *Form) Failed(w http.ResponseWriter, r *http.Request, status int, ref, back string) {
	p := f.page(r, f.target(back))
	f.describe(p, w.Header(), status, ref)
	switch status {
	case http.StatusUnauthorized:
		p.Message = p.Texts.NotAdmitted
		w.Header().Set("WWW-Authenticate", f.challenge().String()) // RFC 9110 15.5.2 wants one
	case http.StatusForbidden:
		p.Message = p.Texts.Expired
	}
	f.write(w, r, status, p)
}

// describe says on the page what went wrong. It is the same for each cause of a
// 401.
func (f *Form) describe(p *Page, h http.Header, status int, ref string) {
	p.Failed, p.Ref = true, ref
	switch status {
	case http.StatusUnauthorized:
		p.Message = p.Texts.Invalid
	case http.StatusTooManyRequests:
		p.Message = blocked(p.Texts, h.Get("Retry-After"))
	default:
		p.Message = p.Texts.Unavailable
	}
}

// fewMinutes is what counts as that.
const fewMinutes = 30 * time.Minute

// blocked is the text for somebody who has to wait.
func blocked(t Texts, retryAfter string) string {
	seconds, err := strconv.Atoi(retryAfter)
	wait := time.Duration(seconds) * time.Second
	if err != nil || wait <= fewMinutes {
		return t.Blocked
	}
	return fmt.Sprintf(t.BlockedMinutes, int(math.Ceil(wait.Minutes()/10))*10)
}

// denyClient answers what is not a person in front of a page.
func (f *Form) denyClient(w http.ResponseWriter, r *http.Request, status int, ref string) {
	h := w.Header()
	if status == http.StatusUnauthorized && len(h["Www-Authenticate"]) == 0 {
		h.Set("WWW-Authenticate", f.challenge().String()) // RFC 9110 15.5.2 wants one
	}
	if !fromBrowser(r) && !accepts(r, "application/json") {
		http.Error(w, http.StatusText(status)+" (reference "+ref+")", status)
		return
	}
	h.Set("Content-Type", "application/json")
	h.Set("X-Content-Type-Options", "nosniff")
	body := struct {
		Error string `json:"error"`
		Login string `json:"login,omitempty"`
		Ref   string `json:"ref"`
	}{Error: strings.ToLower(http.StatusText(status)), Ref: ref}
	if status == http.StatusUnauthorized {
		body.Login = f.c.Path
	}
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // a client that went away needs no answer
}

// challenge tells programs that people log in at the page. Browsers know no such
// scheme and show what is in the body.
func (f *Form) challenge() authn.Challenge {
	return authn.Challenge{Scheme: "Cookie", Param: `form-action="` + f.c.Path + `"`}
}

// keepNegotiate leaves of the challenges those that a browser of the domain
// answers by itself, and that others pass over.
func (f *Form) keepNegotiate(h http.Header, r *http.Request) {
	if f.c.WindowsByLink {
		h.Del("WWW-Authenticate")
		return
	}
	f.keepRequested(h, r)
}

// keepRequested is keepNegotiate where the user asked for it. A browser whose
// answer was refused would open a window for another one, so it is asked once.
func (f *Form) keepRequested(h http.Header, r *http.Request) {
	if _, _, sent := authn.Authorization(r); sent {
		h.Del("WWW-Authenticate")
		return
	}
	var kept []string
	for _, c := range h["Www-Authenticate"] {
		scheme, _, _ := strings.Cut(c, " ")
		if strings.EqualFold(scheme, "Negotiate") {
			kept = append(kept, c)
		}
	}
	if len(kept) == 0 {
		h.Del("WWW-Authenticate")
		return
	}
	h["Www-Authenticate"] = kept
}

// opensPage reports whether a person opens a page by r, so that HTML is of use.
func opensPage(r *http.Request) bool {
	mode := r.Header.Get("Sec-Fetch-Mode")
	return (mode == "" || mode == "navigate") && r.Header.Get("X-Requested-With") == "" && accepts(r, "text/html")
}

// fromBrowser reports whether a browser says that it sent r (Fetch Metadata).
func fromBrowser(r *http.Request) bool { return r.Header.Get("Sec-Fetch-Mode") != "" }

// accepts reports whether r names a media type. "*/*" is what programs send that
// do not care.
func accepts(r *http.Request, kind string) bool {
	for _, line := range r.Header["Accept"] {
		for part := range strings.SplitSeq(line, ",") {
			name, params, _ := strings.Cut(part, ";")
			if strings.EqualFold(strings.TrimSpace(name), kind) && quality(params) > 0 {
				return true
			}
		}
	}
	return false
}

// quality returns the weight among the parameters of an item (RFC 9110 12.4.2).
func quality(params string) float64 {
	for p := range strings.SplitSeq(params, ";") {
		if name, value, ok := strings.Cut(strings.TrimSpace(p), "="); ok && strings.EqualFold(name, "q") {
			q, err := strconv.ParseFloat(value, 64)
			if err != nil || q < 0 || q > 1 {
				return 0
			}
			return q
		}
	}
	return 1
}
