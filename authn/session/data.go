package session

import (
	"bytes"
	"compress/flate"
	"encoding/json"
	"fmt"
	"io"

	"github.com/soapward/soapward/authn"
)

// Bounds of directory.Session.Data, and of what it may unpack to.
const (
	maxData     = 64 << 10
	maxUnpacked = 1 << 20
)

// SIDs of one domain pack well. Unpacking takes time at each request, which is
// worth it where the place is a cookie's.
const (
	packRowAbove    = 8 << 10
	packCookieAbove = 1 << 10
)

// First byte of Data.
const (
	dataPlain  = 1 // JSON
	dataPacked = 2 // JSON, by DEFLATE
)

// encodeIdentity writes an identity without its evidence, packed above a size.
func encodeIdentity(id *authn.Identity, packAbove int) ([]byte, error) {
	c := *id
	c.Evidence = nil
	text, err := json.Marshal(&c)
	if err != nil {
		return nil, fmt.Errorf("write identity: %w", err)
	}
	data := append([]byte{dataPlain}, text...)
	if len(data) > packAbove {
		var b bytes.Buffer
		b.WriteByte(dataPacked)
		z, _ := flate.NewWriter(&b, flate.BestSpeed) // the level is right
		_, _ = z.Write(text)                         // a bytes.Buffer takes all
		_ = z.Close()
		data = b.Bytes()
	}
	if len(data) > maxData || len(text) > maxUnpacked {
		return nil, fmt.Errorf("identity with %d groups takes %d bytes, and a session keeps %d: send fewer groups", len(id.Groups), len(data), maxData)
	}
	return data, nil
}

// decodeIdentity returns an identity, and how many bytes its text has.
func decodeIdentity(data []byte) (*authn.Identity, int, error) {
	if len(data) == 0 {
		return nil, 0, ignore("the session has no identity")
	}
	text := data[1:]
	switch data[0] {
	case dataPlain:
	case dataPacked:
		var err error
		text, err = io.ReadAll(io.LimitReader(flate.NewReader(bytes.NewReader(text)), maxUnpacked+1))
		if err != nil || len(text) > maxUnpacked {
			return nil, 0, ignore("the session's identity is not readable")
		}
	default:
		return nil, 0, ignore("the session is of another version")
	}
	id := new(authn.Identity)
	if err := json.Unmarshal(text, id); err != nil {
		return nil, 0, ignore("the session's identity is not readable")
	}
	return id, len(text), nil
}
