package admin_test

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/soapward/soapward/admin"
)

// loginRecord is an Audit of some logins, in the order of their numbers.
type loginRecord struct {
	admin.Audit
	logins []admin.Login
	oldest int64 // the smallest number after which was looked
}

func (r *loginRecord) add(user string) {
	r.logins = append(r.logins, admin.Login{ID: int64(len(r.logins) + 1), User: user})
}

func (r *loginRecord) Logins(_ context.Context, q admin.LoginQuery) (*admin.LoginPage, error) {
	p := &admin.LoginPage{}
	if q.NewerID > 0 {
		r.oldest = min(r.oldest, q.NewerID)
	}
	for _, l := range r.logins {
		if l.ID > q.NewerID && (q.User == "" || q.User == l.User) {
			p.Logins = append(p.Logins, l)
		}
	}
	if q.NewerID == 0 {
		slices.Reverse(p.Logins)
	}
	p.Logins = p.Logins[:min(len(p.Logins), q.Limit)]
	return p, nil
}

// Who follows logins gets each once, also the very first, and of many.
func TestFollower(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name        string
		there, each int // logins, before and between two looks
		after       int64
	}{
		{"of none", 0, 1, 0}, {"of some", 3, 2, 0}, {"after one", 3, 2, 2}, {"more than a page at a time", 5, 2500, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				r := &loginRecord{}
				for range tt.there {
					r.add("bob")
				}
				f := admin.NewFollower(r, admin.LoginQuery{NewerID: tt.after})
				last := tt.after
				if last == 0 {
					last = int64(tt.there)
				}
				for range 30 {
					for more := true; more; {
						var list []admin.Login
						var err error
						if list, more, err = f.Next(t.Context()); err != nil {
							t.Fatal(err)
						}
						for _, l := range list {
							if last++; l.ID != last {
								t.Fatalf("got %d, want %d", l.ID, last)
							}
						}
					}
					if last != int64(len(r.logins)) {
						t.Fatalf("the last one is %d, want %d", last, len(r.logins))
					}
					for range tt.each {
						r.add("bob")
					}
					time.Sleep(time.Second)
				}
			})
		})
	}
}

// What was looked through for somebody who rarely comes is not looked through for
// ever, and what a store has late is there nevertheless.
func TestFollowerOfFew(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := &loginRecord{}
		r.add("bob")
		f := admin.NewFollower(r, admin.LoginQuery{User: "alice"})
		var got []int64
		for i := range 600 {
			for range 100 {
				r.add("bob")
			}
			late := len(r.logins) - 300 // is seen three seconds after its number was given
			if i == 300 {
				r.logins[late-1].User = "alice"
			}
			r.oldest = int64(len(r.logins))
			list, more, err := f.Next(t.Context())
			if err != nil || more {
				t.Fatal(more, err)
			}
			for _, l := range list {
				got = append(got, l.ID)
			}
			if far := int64(len(r.logins)) - r.oldest; far > 2500 {
				t.Fatalf("after %d s: the last %d are looked through", i, far)
			}
			time.Sleep(time.Second)
		}
		if len(got) != 1 || r.logins[got[0]-1].User != "alice" {
			t.Errorf("got %v", got)
		}
	})
}
