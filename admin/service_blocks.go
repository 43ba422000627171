package admin

import (
	"context"
	"net/netip"
	"slices"
	"strings"

	"github.com/soapward/soapward/authn/throttle"
	"github.com/soapward/soapward/directory"
)

// maxWho bounds what Unblock is asked for, in bytes.
const maxWho = 1024

// ListBlocks implements Blocks. There are up to 10,000, those first that last
// longest.
func (s *Service) ListBlocks(ctx context.Context) ([]Block, error) {
	if _, err := need(ctx, Viewer); err != nil {
		return nil, err
	}
	st, err := s.store()
	if err != nil {
		return nil, err
	}
	rows, err := st.Blocks(ctx, s.now())
	if err != nil {
		return nil, failed("such block", err)
	}
	blocks := make([]Block, len(rows))
	for i := range rows {
		blocks[i] = Block(rows[i])
	}
	return blocks, nil
}

// IsSignInKey reports whether a block, or a count of failures, is of sign-ins of
// local administrators, as package admin/access has them. Whoever may lift those as
// often as he likes guesses passwords and second factors of administrators.
func IsSignInKey(key string) bool {
	for _, begin := range []string{`user console\`, `user console code\`, "console address ", "second factor of "} {
		if strings.HasPrefix(key, begin) {
			return true
		}
	}
	return false
}

// Unblock implements Blocks. A user is meant at all addresses, and a name without a
// domain in each domain; an address may be any of the network that an IPv6 client
// is counted by.
func (s *Service) Unblock(ctx context.Context, who string) ([]string, error) {
	c, err := need(ctx, Operator)
	if err != nil {
		return nil, err
	}
	st, err := s.store()
	if err != nil {
		return nil, err
	}
	if len(who) > maxWho {
		return nil, invalid("who", "this is too long for a user, an address or a block", "")
	}
	none := &Error{Kind: NotFound, Text: "not blocked: " + shown(who)}
	rows, err := st.Blocks(ctx, s.now())
	if err != nil {
		return nil, failed("such block", err)
	}
	keys := []string{who} // failures may be counted where no block is
	if addr, err := netip.ParseAddr(who); err == nil {
		keys = append(keys, throttle.AddressKey(addr), "console "+throttle.AddressKey(addr))
	}
	for _, b := range rows {
		if throttle.KeyIsOf(b.Key, who) {
			keys = append(keys, b.Key)
		}
	}
	if c.Role < Administrator {
		blocked := func(key string) bool {
			return IsSignInKey(key) && slices.ContainsFunc(rows, func(b directory.Block) bool { return b.Key == key })
		}
		if slices.ContainsFunc(keys, blocked) {
			none = &Error{Kind: Forbidden, Text: "sign-ins of local administrators are unblocked by administrators", Remedy: "have an administrator do it; or soapward unblock at the machine"}
		}
		keys = slices.DeleteFunc(keys, IsSignInKey)
	}
	var lifted []string
	err = s.audited(ctx, st, c, actionUnblock, who, func(ctx context.Context, change *directory.Change) error {
		lifted = nil
		var blocks []Block
		for i, key := range keys {
			if slices.Contains(keys[:i], key) {
				continue
			}
			was, err := st.Unblock(ctx, key)
			if err != nil {
				return err
			}
			if !was {
				continue
			}
			lifted = append(lifted, key)
			block := Block{Key: key}
			if i := slices.IndexFunc(rows, func(b directory.Block) bool { return b.Key == key }); i >= 0 {
				block = Block(rows[i])
			}
			blocks = append(blocks, block)
		}
		if len(lifted) == 0 {
			return none // and nothing is written
		}
		change.Before = asJSON(blocks)
		return nil
	})
	if err != nil {
		return nil, failed("such block", err)
	}
	return lifted, nil
}
