//go:build !unix

package pgtest

import "errors"

type account struct{ uid, gid int }

func unprivileged() (*account, error) { return nil, nil }

func interrupt(int) error { return errors.New("pgtest: cannot stop a process here") }
