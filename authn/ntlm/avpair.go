package ntlm

import (
	"strconv"
	"time"
)

// AVID says what an AVPair holds (MS-NLMP 2.2.2.1).
type AVID uint16

// The AV pairs. Names are UTF-16LE whatever the message's character set.
const (
	AVEnd             AVID = 0  // ends the list; not part of AVPairs
	AVComputer        AVID = 1  // NetBIOS name of the server
	AVDomain          AVID = 2  // NetBIOS name of the domain
	AVDNSComputer     AVID = 3  // DNS name of the server
	AVDNSDomain       AVID = 4  // DNS name of the domain
	AVDNSForest       AVID = 5  // DNS name of the forest
	AVFlags           AVID = 6  // AVFlagMIC and the like, 4 bytes
	AVTimestamp       AVID = 7  // FILETIME of the server, 8 bytes
	AVSingleHost      AVID = 8  // of use on one machine only
	AVTargetName      AVID = 9  // SPN the client wants to reach
	AVChannelBindings AVID = 10 // MD5 of the channel binding, 16 bytes
)

var avNames = [...]string{
	AVEnd: "end", AVComputer: "computer", AVDomain: "domain",
	AVDNSComputer: "dns-computer", AVDNSDomain: "dns-domain", AVDNSForest: "dns-forest",
	AVFlags: "flags", AVTimestamp: "timestamp", AVSingleHost: "single-host",
	AVTargetName: "target-name", AVChannelBindings: "channel-bindings",
}

// String returns the kind in words, or its number.
func (id AVID) String() string {
	if int(id) < len(avNames) {
		return avNames[id]
	}
	return strconv.Itoa(int(id))
}

// Bits in the value of AVFlags.
const (
	AVFlagConstrained   = 1 << 0 // the account's authentication is constrained
	AVFlagMIC           = 1 << 1 // AUTHENTICATE carries a MIC
	AVFlagUntrustedName = 1 << 2 // the SPN came from a source not to be trusted
)

// maxAVPairs bounds a list; there are ten kinds of pair.
const maxAVPairs = 32

// AVPair is one attribute.
type AVPair struct {
	ID    AVID
	Value []byte
}

// AVPairs is a list of attributes in the order they are sent in, without its
// end mark. No ID occurs twice in a list that was parsed.
type AVPairs []AVPair

// ParseAVPairs parses a list. What follows its end mark is ignored. The values
// are parts of b.
func ParseAVPairs(b []byte) (AVPairs, error) {
	ps, _, err := parseAVPairs(nil, b)
	if err != nil {
		return nil, err
	}
	return ps, nil
}

// parseAVPairs appends the list to ps and returns what follows it. With an error
// it returns the pairs before.
func parseAVPairs(ps AVPairs, b []byte) (_ AVPairs, rest []byte, err error) {
	size := len(b)
	for {
		if len(b) < 4 {
			return ps, nil, syntaxError("AV pairs without an end, at %d of their %d bytes", size-len(b), size)
		}
		id, n := AVID(le.Uint16(b)), int(le.Uint16(b[2:]))
		b = b[4:]
		if id == AVEnd {
			if n != 0 {
				return ps, nil, syntaxError("end of AV pairs with %d bytes", n)
			}
			return ps, b, nil
		}
		if n > len(b) {
			return ps, nil, syntaxError("AV pair %v of %d bytes at %d of %d", id, n, size-len(b), size)
		}
		if _, dup := ps.Get(id); dup {
			return ps, nil, syntaxError("AV pair %v twice", id)
		}
		if len(ps) == maxAVPairs {
			return ps, nil, syntaxError("more than %d AV pairs", maxAVPairs)
		}
		ps = append(ps, AVPair{id, b[:n:n]})
		b = b[n:]
	}
}

// Append appends the list and its end mark to b.
func (ps AVPairs) Append(b []byte) []byte {
	for _, p := range ps {
		b = le.AppendUint16(b, uint16(p.ID))
		b = le.AppendUint16(b, uint16(len(p.Value)))
		b = append(b, p.Value...)
	}
	return append(b, 0, 0, 0, 0)
}

// Get returns the value of the pair id.
func (ps AVPairs) Get(id AVID) (value []byte, ok bool) {
	for i := range ps {
		if ps[i].ID == id {
			return ps[i].Value, true
		}
	}
	return nil, false
}

// Text returns the value of a pair that holds a name, or "" if it is absent or
// not a name.
func (ps AVPairs) Text(id AVID) string {
	v, _ := ps.Get(id)
	s, err := decodeUTF16(v)
	if err != nil {
		return ""
	}
	return s
}

// set returns the list with the pair id set to value, at its old place or at
// the end.
func (ps AVPairs) set(id AVID, value []byte) AVPairs {
	for i := range ps {
		if ps[i].ID == id {
			ps[i].Value = value
			return ps
		}
	}
	return append(ps, AVPair{id, value})
}

// avFlags returns the value of AVFlags, 0 if there is none.
func (ps AVPairs) avFlags() (uint32, error) {
	v, ok := ps.Get(AVFlags)
	switch {
	case !ok:
		return 0, nil
	case len(v) != 4:
		return 0, syntaxError("AV flags of %d bytes", len(v))
	}
	return le.Uint32(v), nil
}

// filetimeEpoch is 1970 in FILETIME: 100 ns since 1601 (MS-DTYP 2.3.3).
const filetimeEpoch = 116444736000000000

func filetime(t time.Time) uint64 {
	return uint64(t.Unix()*1e7+int64(t.Nanosecond())/100) + filetimeEpoch
}

func fromFiletime(ft uint64) time.Time {
	d := int64(ft - filetimeEpoch) // wraps back for times before 1970
	return time.Unix(d/1e7, d%1e7*100).UTC()
}

// Response is an NTLMv2 response (MS-NLMP 2.2.2.8): a proof and the blob it
// was made of.
type Response struct {
	Proof           [16]byte // NTProofStr
	Time            time.Time
	ClientChallenge [8]byte
	Pairs           AVPairs
}

// Lengths of the parts of a response.
const (
	proofSize    = 16
	blobHeader   = 28 // the blob before its AV pairs
	responseV1   = 24 // an NTLMv1 response
	responseMin  = proofSize + blobHeader + 4
	responseType = 1 // RespType and HiRespType
)

// ParseResponse parses an NTLMv2 response, the NTResponse of an Authenticate.
// The values of the AV pairs are parts of b.
func ParseResponse(b []byte) (*Response, error) {
	r := new(Response)
	if err := r.parse(b); err != nil {
		return nil, err
	}
	return r, nil
}

// parse fills r and appends to the pairs it has.
func (r *Response) parse(b []byte) (err error) {
	if len(b) < responseMin {
		return syntaxError("NTLMv2 response of %d bytes", len(b))
	}
	blob := b[proofSize:]
	if blob[0] != responseType || blob[1] != responseType {
		return syntaxError("NTLMv2 response of type %d.%d", blob[0], blob[1])
	}
	r.Proof = [proofSize]byte(b)
	r.Time = fromFiletime(le.Uint64(blob[8:]))
	r.ClientChallenge = [8]byte(blob[16:])
	// Four zero bytes follow in most clients; the proof covers them.
	r.Pairs, _, err = parseAVPairs(r.Pairs, blob[blobHeader:])
	return err
}

// appendBlob appends what a client computes its proof of (MS-NLMP 3.3.2,
// "temp").
func appendBlob(b []byte, ft uint64, clientChallenge [8]byte, ps AVPairs) []byte {
	b = append(b, responseType, responseType, 0, 0, 0, 0, 0, 0)
	b = le.AppendUint64(b, ft)
	b = append(b, clientChallenge[:]...)
	b = append(b, 0, 0, 0, 0)
	b = ps.Append(b)
	return append(b, 0, 0, 0, 0)
}
