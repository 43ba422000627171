package kerberos

import (
	"cmp"
	"slices"
)

// replayEntry has no pointers, so that the garbage collector does not look at
// millions of them.
type replayEntry struct {
	digest replayDigest
	client uint64
}

// replaySeconds are entries by the last second they are remembered in, the
// earliest first. There are no more seconds than an authenticator can be
// remembered for, which is twice the skew.
type replaySeconds []replaySecond

type replaySecond struct {
	second int64
	head   *replayChunk
}

// replayChunk is a part of the entries of a second. They are not in one slice,
// because that is copied when it grows.
type replayChunk struct {
	entries []replayEntry // capacity never exceeded
	next    *replayChunk
}

// Sizes of chunks: each is twice the one before, from one that is good for
// services with few logins. They fill what the allocator gives to the byte.
const (
	minReplayChunk = 4
	maxReplayChunk = 256
)

func (s *replaySeconds) add(second int64, e replayEntry) {
	i, found := slices.BinarySearchFunc(*s, second, func(t replaySecond, second int64) int { return cmp.Compare(t.second, second) })
	if !found {
		*s = slices.Insert(*s, i, replaySecond{second: second})
	}
	head := &(*s)[i].head
	switch c := *head; {
	case c == nil:
		*head = &replayChunk{entries: make([]replayEntry, 0, minReplayChunk)}
	case len(c.entries) == cap(c.entries):
		*head = &replayChunk{entries: make([]replayEntry, 0, min(2*cap(c.entries), maxReplayChunk)), next: c}
	}
	(*head).entries = append((*head).entries, e)
}

// anyBefore reports whether there are entries of seconds before now.
func (s *replaySeconds) anyBefore(now int64) bool { return len(*s) > 0 && (*s)[0].second < now }

// takeBefore takes away an entry of a second before now.
func (s *replaySeconds) takeBefore(now int64) (replayEntry, bool) {
	if !s.anyBefore(now) {
		return replayEntry{}, false
	}
	head := &(*s)[0].head
	c := *head
	last := len(c.entries) - 1
	e := c.entries[last]
	if c.entries = c.entries[:last]; last == 0 {
		if *head = c.next; c.next == nil {
			(*s)[0] = replaySecond{}
			*s = (*s)[1:]
		}
	}
	return e, true
}
