package inbound

import (
	"encoding/binary"
	"errors"
	"io"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/soapward/soapward/soap"
	"github.com/soapward/soapward/soap/wire"
)

// anything is a message of any content.
type anything struct{}

func (*anything) UnmarshalWire(r *wire.Reader) { r.Skip() }

// FuzzOperation compares what we say of a message with what package soap reads:
// where both take it, they name the same element.
func FuzzOperation(f *testing.F) {
	for _, s := range []string{
		envelope(getOK), envelope("<h:Pay/>"), envelope(""), envelope(getOK + "<h:Pay/>"),
		"\ufeff<?xml version='1.0' encoding='utf-8'?><!-- --><?x?>" + envelope("<![CDATA[<]]><Pay xmlns='urn:&#104;r' a='>'/>"),
		strings.ReplaceAll(envelope(getOK), env11, env12),
		strings.Replace(envelope(getOK), "<s:Body>", "<s:Header><a:b xmlns:a='x'><c/></a:b></s:Header><s:Body>", 1),
		utf16Bytes(envelope(getOK), binary.LittleEndian, true), utf16Bytes(envelope(getOK), binary.BigEndian, true),
	} {
		f.Add([]byte(s), "", 5)
		f.Add([]byte(s), "utf-16", 1)
	}
	f.Fuzz(func(t *testing.T, doc []byte, charset string, chunk int) {
		m := newMessages(configSOAP, true, false, nil, false)
		r := httptest.NewRequest("POST", "http://gw/", strings.NewReader(string(doc)))
		if len(doc) == 0 || strings.ContainsAny(charset, "\"\\;\r\n") {
			return
		}
		contentType := "text/xml"
		if charset != "" {
			contentType += `; charset="` + charset + `"`
		}
		r.Header.Set("Content-Type", contentType)
		if chunk > 0 {
			r = unknownLength(r, chunk)
		}
		var cut error
		got, err := m.look(r, func(err error) { cut = err })
		var body []byte
		if err == nil {
			body, err = io.ReadAll(r.Body)
		}
		rd := wire.NewReader(doc, wire.Options{Charset: soap.ParseContentType(contentType).Charset})
		msg, bad := soap.Read(rd)
		if bad != nil || msg.Body.Local == "" {
			return
		}
		if bad := msg.Decode(msg.Body, new(anything)); bad != nil {
			for _, s := range []string{errSecond.Error(), errAfterBody.Error(), "second root", "document type"} {
				if err == nil && cut == nil && strings.Contains(bad.Error(), s) {
					t.Fatalf("taken: %q, but %v", doc, bad)
				}
			}
			return
		}
		// What package soap takes as a whole, we do. Its names and its depth end at
		// the same limits.
		var long *messageError
		switch {
		case errors.As(err, &long) && errors.Is(long.cause, errHead):
			return
		case err != nil || cut != nil:
			t.Fatalf("refused: %v, %v: %q", err, cut, doc)
		case string(body) != string(doc):
			t.Fatalf("the body became %q", body)
		}
		if want := clark(msg.Body); got.operation != want || got.version != msg.Version {
			t.Fatalf("got %+v, want %s of %s", got, want, doc)
		}
	})
}
