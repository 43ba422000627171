package session

import (
	"fmt"
	"net/http/httptest"
	"reflect"
	"sync"
	"testing"
	"time"

	"github.com/soapward/soapward/authn"
)

// A session that is in use is read once, and what was read is the same for all.
func TestDecodedOnce(t *testing.T) {
	t.Parallel()
	for _, kind := range kinds {
		s := newSite(&Manager{Keys: kind.keys})
		c := s.login(t, alice, false)
		first := s.who(t, c)
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				res, err := s.Authenticate(get(c))
				if err != nil || res.Identity != first {
					t.Errorf("%s: the identity was made again, or %v", kind.name, err)
				}
			})
		}
		wg.Wait()
		if other := s.who(t, s.login(t, &authn.Identity{Account: "mallory"}, false)); other == nil || other.Account != "mallory" {
			t.Errorf("%s: another session is %v", kind.name, other)
		}
	}
}

// TestAttackStaleSession: what was read of a session before does not count once the
// row is another one, or the session ended.
func TestAttackStaleSession(t *testing.T) {
	t.Parallel()
	for _, kind := range kinds {
		s := newSite(&Manager{Keys: kind.keys})
		c := s.login(t, alice, false)
		if s.who(t, c) == nil {
			t.Fatal("no session")
		}
		if kind.keys == nil {
			rows, err := s.Store.SessionsOf(t.Context(), `CORP\alice`)
			if err != nil || len(rows) != 1 {
				t.Fatalf("rows %v, %v", rows, err)
			}
			less := *alice
			less.Groups = nil
			for _, change := range []func(){
				func() { rows[0].Data, err = encodeIdentity(&less, packRowAbove) },
				func() { rows[0].Expires = rows[0].Expires.Add(-time.Minute) },
			} {
				if change(); err != nil {
					t.Fatal(err)
				}
				if err := s.Store.PutSession(t.Context(), &rows[0]); err != nil {
					t.Fatal(err)
				}
				if id := s.who(t, c); id == nil || len(id.Groups) != 0 || !id.Expires.Equal(rows[0].Expires) {
					t.Errorf("the row was changed, and the caller is %+v", id)
				}
			}
		}
		if err := s.End(httptest.NewRecorder(), get(c)); err != nil {
			t.Fatal(err)
		}
		if id := s.who(t, c); id != nil {
			t.Errorf("%s: the session ended, and the caller is %v", kind.name, id)
		}
		c = s.login(t, alice, false)
		if s.who(t, c) == nil {
			t.Fatal("no session")
		}
		s.clock.Pass(DefaultAbsolute)
		if id := s.who(t, c); id != nil {
			t.Errorf("%s: the session expired, and the caller is %v", kind.name, id)
		}
	}
}

// What is kept is bounded, by number and size, and what is in use stays.
func TestAttackManySessionsKept(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ entries, size int }{{3 * maxDecoded, 1}, {3000, 64 << 10}, {10, maxDecodedBytes}} {
		var all twoAges[int, string]
		held := func() (n, size int) {
			for _, age := range []map[int]aged[string]{all.young, all.old} {
				for _, a := range age {
					n, size = n+1, size+a.bytes
				}
			}
			return n, size
		}
		all.put(-1, "in use", 1)
		for i := range tt.entries {
			all.put(i, fmt.Sprint(i), tt.size)
			if n, size := held(); i%500 == 0 && (n > maxDecoded || size > maxDecodedBytes) {
				t.Fatalf("%v: %d entries of %d bytes are kept", tt, n, size)
			}
			if v, ok := all.get(-1); !ok || v != "in use" {
				t.Fatalf("%v: after %d others what is in use is gone", tt, i)
			}
		}
		last := tt.entries - 1
		if v, ok := all.get(last); ok != (tt.size < maxDecodedBytes/16) || ok && v != fmt.Sprint(last) {
			t.Errorf("%v: the last one is %q, %v", tt, v, ok)
		}
		all.put(last, "another", 1)
		if v, _ := all.get(last); !reflect.DeepEqual(v, "another") {
			t.Errorf("%v: put again, it is %q", tt, v)
		}
	}
}
