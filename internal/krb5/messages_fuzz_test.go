package krb5

import (
	"bytes"
	"testing"
)

// fuzzMessage checks that no input makes a parser of messages panic, and that
// what it accepts can be written and read again with the same meaning. The
// bytes may differ: names of a peer's making, such as a negative kvno, are
// written as they should be.
func fuzzMessage(f *testing.F, names ...string) {
	var kinds []message
	for _, m := range testMessages() {
		for _, n := range names {
			if m.name == n {
				kinds = append(kinds, m)
			}
		}
	}
	if len(kinds) != len(names) {
		f.Fatalf("%v are not all kinds of messages", names)
	}
	for _, m := range kinds {
		for _, v := range m.values {
			b, err := m.marshal(v)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(b)
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, m := range kinds {
			v, err := m.parse(b)
			if err != nil {
				continue
			}
			out, err := m.marshal(v)
			if err != nil {
				t.Fatalf("%s: accepted, and cannot be written: %v", m.name, err)
			}
			w, err := m.parse(out)
			if err != nil {
				t.Fatalf("%s: %x is written as %x and refused: %v", m.name, b, out, err)
			}
			if again, err := m.marshal(w); err != nil || !bytes.Equal(again, out) {
				t.Fatalf("%s: written as %x, then as %x, %v", m.name, out, again, err)
			}
		}
	})
}

func FuzzAPReq(f *testing.F) {
	fuzzMessage(f, "AP-REQ", "Ticket", "EncTicketPart", "Authenticator", "AP-REP", "EncAPRepPart")
}

func FuzzKDCReq(f *testing.F) {
	fuzzMessage(f, "KDC-REQ", "PA-FOR-USER", "PA-S4U-X509-USER", "PA-ENC-TS-ENC")
}

func FuzzKDCRep(f *testing.F) { fuzzMessage(f, "KDC-REP", "EncASRepPart") }

func FuzzKRBError(f *testing.F) { fuzzMessage(f, "KRB-ERROR") }

func FuzzKRBCred(f *testing.F) { fuzzMessage(f, "KRB-CRED", "EncKrbCredPart") }

func FuzzPAData(f *testing.F) {
	for _, s := range []string{"3000", "30053003a103020113", "300da30b3009a003020112a1021b00"} {
		f.Add(mustHex(s))
	}
	f.Fuzz(func(_ *testing.T, b []byte) {
		_, _ = ParseMethodData(b)
		_, _ = ParseETypeInfo2(b)
		_, _ = ParseEncryptedData(b)
		_, _ = ParsePACOptions(b)
		_, _ = ParsePACRequest(b)
		_, _, _, _ = UnframeToken(b)
		if l, err := ParseAuthorizationData(b); err == nil {
			_, _ = FindAuthorizationData(l, ADPAC)
		}
	})
}
