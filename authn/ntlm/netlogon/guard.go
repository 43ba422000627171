package netlogon

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"sync/atomic"
)

// The parts of a connection-oriented PDU that are looked at (C706 12.6.3).
const (
	pduHeader     = 16
	pduType       = 2
	pduFragLength = 8
	pduAuthLength = 10
	pduMaxXmit    = 16
	pduMaxRecv    = 18
	pduStub       = 24 // of a response; a fault has its code there

	typeResponse = 2
	typeFault    = 3
	typeBindAck  = 12
	typeAltered  = 15 // alter context response; begins as a bind ack
	typeShutdown = 17

	// minFragment is what each implementation must be able to receive (C706
	// 12.6.3.1).
	minFragment = 1432

	// maxAnswer bounds an answer with all its fragments. Endpoint mappers send
	// some ten thousand bytes, lists of names a hundred thousand.
	maxAnswer = 2 << 20

	// signatureMin is a NL_AUTH_SHA2_SIGNATURE with its confounder, of which
	// later bytes may be missing (MS-NRPC 2.2.1.3.3).
	signatureMin = 32
)

// errUnsealed means that something was received outside of the secure channel
// that belongs inside.
var errUnsealed = errors.New("netlogon: unprotected message on a sealed channel; somebody may be tampering with the connection")

// guardConn is a connection to a controller that hands out whole PDUs. Once it
// is sealed, it lets pass only what the security provider verifies: go-msrpc
// 1.5.2 decodes PDUs of other types than a response as if they were one,
// without asking the provider.
type guardConn struct {
	net.Conn
	sealed atomic.Bool
	fault  atomic.Uint32 // status of the last fault; go-msrpc shows it as text only
	buf    []byte        // of the PDU that is being read
	rest   []byte        // what is left of it
	unread atomic.Int64  // what an answer may still have
}

// Write implements net.Conn.
func (g *guardConn) Write(p []byte) (int, error) {
	g.unread.Store(maxAnswer)
	return g.Conn.Write(p)
}

// Read implements net.Conn. One goroutine may read.
func (g *guardConn) Read(p []byte) (int, error) {
	if len(g.rest) == 0 {
		if err := g.next(); err != nil {
			return 0, err
		}
	}
	n := copy(p, g.rest)
	g.rest = g.rest[n:]
	return n, nil
}

// next reads a PDU and checks it.
func (g *guardConn) next() error {
	var header [pduHeader]byte
	if _, err := io.ReadFull(g.Conn, header[:]); err != nil {
		return err
	}
	if header[0] != 5 {
		return fmt.Errorf("netlogon: not DCE RPC: version %d", header[0])
	}
	if header[4]&0x10 == 0 { // all we talk to send little-endian integers
		return errors.New("netlogon: big-endian PDU")
	}
	length := int(binary.LittleEndian.Uint16(header[pduFragLength:]))
	if length < pduHeader {
		return fmt.Errorf("netlogon: PDU of %d bytes", length)
	}
	if g.unread.Add(-int64(length)) < 0 {
		return fmt.Errorf("netlogon: answer longer than %d bytes", maxAnswer)
	}
	if cap(g.buf) < length {
		g.buf = make([]byte, length)
	}
	pdu := g.buf[:length]
	copy(pdu, header[:])
	if _, err := io.ReadFull(g.Conn, pdu[pduHeader:]); err != nil {
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return err
	}
	if err := checkPDU(pdu, g.sealed.Load()); err != nil {
		return err
	}
	if pdu[pduType] == typeFault && len(pdu) >= pduStub+4 {
		g.fault.Store(binary.LittleEndian.Uint32(pdu[pduStub:]))
	}
	g.rest = pdu
	return nil
}

// checkPDU refuses what go-msrpc would misread.
func checkPDU(pdu []byte, sealed bool) error {
	auth := int(binary.LittleEndian.Uint16(pdu[pduAuthLength:]))
	begin := pduHeader
	if typ := pdu[pduType]; typ == typeResponse || typ == typeFault {
		begin = pduStub
	}
	if auth > 0 && begin+8+auth > len(pdu) { // with the security trailer
		return fmt.Errorf("netlogon: PDU of %d bytes with %d bytes of authentication", len(pdu), auth)
	}
	if !sealed {
		return checkBind(pdu)
	}
	switch typ := pdu[pduType]; {
	case typ == typeResponse && auth >= signatureMin:
	case typ == typeFault && len(pdu) >= pduStub+4 && binary.LittleEndian.Uint32(pdu[pduStub:]) != 0:
		// An error, and nothing else is taken from it.
	case typ == typeShutdown:
	default:
		return fmt.Errorf("%w (type %d, %d bytes of signature)", errUnsealed, typ, auth)
	}
	return nil
}

// checkBind refuses an answer to a bind with fragments that go-msrpc has no
// buffer for.
func checkBind(pdu []byte) error {
	if typ := pdu[pduType]; typ != typeBindAck && typ != typeAltered {
		return nil
	}
	if len(pdu) < pduMaxRecv+2 {
		return fmt.Errorf("netlogon: answer to a bind of %d bytes", len(pdu))
	}
	if size := min(binary.LittleEndian.Uint16(pdu[pduMaxXmit:]), binary.LittleEndian.Uint16(pdu[pduMaxRecv:])); size < minFragment {
		return fmt.Errorf("netlogon: the controller takes fragments of %d bytes, less than %d", size, minFragment)
	}
	return nil
}
