package admin_test

import (
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/soapward/soapward/admin"
)

// loginRecord is an Audit of some logins, in the order of their numbers.
type loginRecord struct {
	admin.Audit
	logins []admin.Login
	oldest int64 // the smallest number after which was looked
	err    error
}

func (r *loginRecord) add(user string) {
	r.logins = append(r.logins, admin.Login{ID: int64(len(r.logins) + 1), User: user})
}

// partOfRecord is how many logins a page looks at.
const partOfRecord = 1000

func (r *loginRecord) Logins(_ context.Context, q admin.LoginQuery) (*admin.LoginPage, error) {
	p, part := &admin.LoginPage{}, r.logins
	if r.err != nil {
		return nil, r.err
	}
	if q.NewerID > 0 {
		r.oldest = min(r.oldest, q.NewerID)
		if part = r.logins[q.NewerID:]; len(part) > partOfRecord {
			part = part[:partOfRecord]
			p.NewerID = part[len(part)-1].ID
		}
	}
	for _, l := range part {
		if q.User == "" || q.User == l.User {
			p.Logins = append(p.Logins, l)
		}
	}
	if q.NewerID == 0 {
		slices.Reverse(p.Logins)
		p.Logins = p.Logins[:min(len(p.Logins), q.Limit)]
	}
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
			}
		})
	}
}

// A page that looked at a part goes on behind that, so that who follows somebody
// who rarely comes does not have all looked through again.
func TestFollowerOfFew(t *testing.T) {
	t.Parallel()
	r := &loginRecord{}
	r.add("bob")
	f := admin.NewFollower(r, admin.LoginQuery{User: "alice"})
	got := 0
	for i := range 100 {
		for range 500 {
			r.add("bob")
		}
		if i == 50 {
			r.add("alice")
		}
		r.oldest = int64(len(r.logins))
		for more := true; more; {
			var list []admin.Login
			var err error
			if list, more, err = f.Next(t.Context()); err != nil {
				t.Fatal(err)
			}
			got += len(list)
		}
		if far := int64(len(r.logins)) - r.oldest; far > 2*partOfRecord {
			t.Fatalf("the last %d are looked through", far)
		}
	}
	if got != 1 {
		t.Errorf("got %d, want 1", got)
	}
}

// An error of the record is the follower's, which goes on later.
func TestFollowerFails(t *testing.T) {
	t.Parallel()
	r := &loginRecord{err: errors.New("away")}
	f := admin.NewFollower(r, admin.LoginQuery{})
	if _, _, err := f.Next(t.Context()); !errors.Is(err, r.err) {
		t.Errorf("got %v", err)
	}
	r.err = nil
	r.add("bob") // before it began
	for want := range 2 {
		list, _, err := f.Next(t.Context())
		if err != nil || len(list) != want {
			t.Errorf("%d logins, %v; want %d", len(list), err, want)
		}
		r.add("carol")
	}
}
