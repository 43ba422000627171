package jwt

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// Claims are the payload of a token. Their names are compared to the letter.
type Claims map[string]any

// Lookup finds a claim by its name, or by the way into objects, such as
// realm_access.roles.
func (c Claims) Lookup(name string) any {
	if v, ok := c[name]; ok {
		return v
	}
	var v any = map[string]any(c)
	for part := range strings.SplitSeq(name, ".") {
		m, ok := v.(map[string]any)
		if !ok {
			return nil
		}
		v = m[part]
	}
	return v
}

// Text returns a claim that must be one text.
func (c Claims) Text(name string) (string, error) {
	switch v := c.Lookup(name).(type) {
	case nil:
		return "", fmt.Errorf("the token has no claim %q", name)
	case string:
		return v, nil
	}
	return "", fmt.Errorf("the claim %q is not text", name)
}

// Texts returns the values of a claim: a text, a number, true or false, or a list
// of these.
func (c Claims) Texts(name string) (texts []string) {
	list, ok := c.Lookup(name).([]any)
	if !ok {
		list = []any{c.Lookup(name)}
	}
	for _, v := range list {
		switch v := v.(type) {
		case string:
			texts = append(texts, v)
		case bool:
			texts = append(texts, strconv.FormatBool(v))
		case float64:
			texts = append(texts, strconv.FormatFloat(v, 'f', -1, 64))
		}
	}
	return texts
}

// Time returns a NumericDate (RFC 7519 2).
func (c Claims) Time(name string) (t time.Time, has bool, err error) {
	switch v := c[name].(type) {
	case nil:
		return t, false, nil
	case float64:
		if v >= 0 && v < 1<<40 {
			whole, part := math.Modf(v)
			return time.Unix(int64(whole), int64(part*1e9)), true, nil
		}
	}
	return t, false, fmt.Errorf("the claim %s is no time", name)
}
