package store

import (
	"context"
)

// whoHasPassword are users whom ClearPasswords takes it from. Those who are
// there again after an interruption are found without it.
const whoHasPassword = "(password <> '' OR nt_hash <> '') AND NOT local_admin"

// CountPasswords returns how many users who are not local administrators have a
// password here.
func (s *Store) CountPasswords(ctx context.Context) (n int64, err error) {
	err = s.reading(ctx, "count passwords", func(ctx context.Context) error {
		return s.reader(ctx).QueryRowContext(ctx, "SELECT COUNT(*) FROM users WHERE "+whoHasPassword).Scan(&n)
	})
	return n, err
}

// ClearPasswords takes the passwords of up to limit users who are not local
// administrators, those of the smallest IDs after one, and calls each with their
// names in the same transaction. It returns how many there were, and the last ID.
func (s *Store) ClearPasswords(ctx context.Context, after int64, limit int, each func(ctx context.Context, user string) error) (n int, last int64, err error) {
	err = s.together(ctx, func(ctx context.Context, j *joined) error {
		n, last = 0, after
		defer s.changed(ctx, Users)
		var names []string
		err := eachRow(ctx, j.tx, func(scan func(...any) error) error {
			var id int64
			var name string
			if err := scan(&id, &name); err != nil {
				return err
			}
			last, names = max(last, id), append(names, name)
			return nil
		}, `UPDATE users SET password = '', nt_hash = '', version = version + 1 WHERE id IN
			(SELECT id FROM users WHERE id > $1 AND `+whoHasPassword+` ORDER BY id LIMIT $2) AND `+whoHasPassword+`
			RETURNING id, name`, after, pageSize(limit))
		if err != nil {
			return err
		}
		for _, name := range names {
			if err := each(ctx, name); err != nil {
				return err
			}
		}
		n = len(names)
		return s.tell(ctx, j.tx, Users)
	})
	if err != nil {
		return 0, after, s.fail("clear passwords", err)
	}
	return n, last, nil
}
