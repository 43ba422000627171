package store_test

import (
	"errors"
	"fmt"
	"iter"
	"reflect"
	"testing"

	"github.com/soapward/soapward/authn"
	"github.com/soapward/soapward/directory"
	"github.com/soapward/soapward/directory/store"
)

// manyUsers makes users 0 to n-1, with five groups each. fail, if not nil, comes
// after them.
func manyUsers(n int, fail error) iter.Seq2[*directory.User, error] {
	return func(yield func(*directory.User, error) bool) {
		for i := range n {
			u := &directory.User{
				Realm: "corp", Name: fmt.Sprintf(`CORP\user%07d`, i), SID: sidOf(i), UPN: fmt.Sprintf("user%07d@corp.test", i),
				DisplayName: fmt.Sprintf("User Number %d", i), Email: fmt.Sprintf("user%07d@corp.test", i),
			}
			for g := range 5 {
				n := (i*31 + g*977) % 2000
				u.Groups = append(u.Groups, groupOf(n))
			}
			if !yield(u, nil) {
				return
			}
		}
		if fail != nil {
			yield(nil, fail)
		}
	}
}

func groupOf(n int) authn.Group {
	return authn.Group{SID: authn.SID(fmt.Sprintf("S-1-5-21-1-2-3-%d", 2_000_000+n)), Name: fmt.Sprintf(`CORP\Group %d`, n)}
}

func sidOf(i int) authn.SID { return authn.SID(fmt.Sprintf("S-1-5-21-1-2-3-%d", 3_000_000+i)) }

func TestImport(t *testing.T) {
	t.Parallel()
	for _, d := range drivers {
		t.Run(d.name, func(t *testing.T) {
			t.Parallel()
			s := open(t, d.make(t))
			existing := &directory.User{Name: `corp\USER0000003`, DisplayName: "was here", Roles: []string{"r"}}
			if err := s.CreateUser(t.Context(), existing); err != nil {
				t.Fatal(err)
			}
			if err := s.CreateUser(t.Context(), &directory.User{Name: "other", SID: sidOf(4)}); err != nil {
				t.Fatal(err)
			}
			// It ends after 5,500, of which the first 5,000 are written.
			cause := errors.New("line 5501: no comma")
			var told []store.Imported
			done, err := s.Import(t.Context(), manyUsers(5500, cause), func(i store.Imported) { told = append(told, i) })
			want := store.Imported{Created: 4998, Existed: 2}
			if !errors.Is(err, cause) || done != want || !reflect.DeepEqual(told, []store.Imported{want}) {
				t.Fatalf("with an error: %+v, %v; told %+v; want %+v", done, err, told, want)
			}
			done, err = s.Import(t.Context(), manyUsers(5500, nil), nil)
			if want := (store.Imported{Created: 500, Existed: 5000}); err != nil || done != want {
				t.Fatalf("again: %+v, %v; want %+v", done, err, want)
			}
			if n, err := s.CountUsers(t.Context()); err != nil || n != 5500 {
				t.Errorf("%d users, %v", n, err)
			}
			for i := range manyUsers(5500, nil) {
				if i.Name != `CORP\user0005499` && i.Name != `CORP\user0000000` {
					continue
				}
				got, err := s.User(t.Context(), i.Name)
				if err != nil {
					t.Fatal(err)
				}
				if got.Version != 1 || got.Created.IsZero() || got.ID == 0 || got.UPN != i.UPN || got.SID != i.SID || len(got.Groups) != 5 {
					t.Errorf("imported %+v, want %+v", got, i)
				}
				got.DisplayName = "changed"
				if err := s.UpdateUser(t.Context(), got); err != nil {
					t.Error(err)
				}
			}
			got, err := s.User(t.Context(), existing.Name)
			if err != nil || !reflect.DeepEqual(got.Roles, existing.Roles) || got.DisplayName != "was here" || len(got.Groups) != 0 {
				t.Errorf("who was here is %+v, %v", got, err)
			}
			if u, err := s.UserBySID(t.Context(), sidOf(4)); err != nil || u.Name != "other" {
				t.Errorf("%+v, %v: the SID was taken from who had it", u, err)
			}
			if err := s.CreateUser(t.Context(), &directory.User{Name: "after"}); err != nil {
				t.Errorf("after an import: %v", err)
			}
			_, err = s.Import(t.Context(), func(yield func(*directory.User, error) bool) { yield(&directory.User{Name: "a\x00"}, nil) }, nil)
			if !errors.Is(err, directory.ErrInvalid) {
				t.Errorf("a name that cannot be kept: %v", err)
			}
		})
	}
}
