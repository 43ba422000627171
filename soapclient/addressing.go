package soapclient

import (
	"fmt"
	"slices"

	"github.com/soapward/soapward/soap"
	"github.com/soapward/soapward/soap/addressing"
)

// address adds the header blocks of WS-Addressing to a call, if it has any. A
// block that the program adds itself is left alone.
func (c *Client) address(op *soap.Operation, k *call) {
	v := c.Addressing
	if v == soap.AddressingUnset {
		v = op.Addressing
	}
	if v.Namespace() == "" {
		return
	}
	k.addressed = addressing.Request(v, op, c.URL)
	for _, h := range k.addressed.Headers(true) {
		if !slices.ContainsFunc(k.headers, func(own soap.Header) bool { return own.Name == h.Name }) {
			k.headers = append(k.headers, h)
			continue
		}
		if h.Name.Local == "MessageID" {
			k.addressed.MessageID = "" // the program knows which, we do not
		}
	}
}

// checkAddressing refuses an answer that belongs to another request.
func (c *Client) checkAddressing(headers []soap.Header, k *call) error {
	if k.addressed == nil || k.addressed.MessageID == "" {
		return nil
	}
	a, err := addressing.Read(headers)
	switch {
	case err != nil && c.Strict:
		return err
	case a == nil || a.RelatesTo == "":
		if c.Strict {
			return fmt.Errorf("the answer does not say which request it belongs to (wsa:RelatesTo)")
		}
	case a.RelatesTo != k.addressed.MessageID:
		return fmt.Errorf("the answer belongs to another request (wsa:RelatesTo is not the MessageID %s)", k.addressed.MessageID)
	}
	return nil
}
