package interop

import (
	"path/filepath"
	"testing"

	"github.com/soapward/soapward/internal/testenv"
	"github.com/soapward/soapward/soap"
)

func TestPHPClient(t *testing.T) {
	t.Parallel()
	php := testenv.NeedPHP(t, "soap")
	for _, v := range versions {
		t.Run(v.String(), func(t *testing.T) {
			t.Parallel()
			phpClient(php, v).check(t)
		})
	}
}

// What PHP cannot hold: numbers above 64 bits, and what a prefix means.
var phpFull = view{
	"counter": "1.8446744073709552E+19",
	"serial":  "-1.2345678901234568E+29",
	"kind":    "n2:Person",
}

// phpDefaults are filled in where the attributes are absent.
var phpDefaults = view{"channel": "web", "version": "1"}

// phpMixed: a repeated choice is a list for each alternative, without order, and
// mixed content is its elements.
var phpMixed = view{
	"event[0].opened": absent, "event[1].moved": absent, "event[2].opened": absent,
	"opened[0]": "first", "opened[1]": "third", "moved[0]": "2",
	"note": absent, "note.b[0]": "this", "note.i[0]": "that",
}

// phpMixedSent is what becomes of phpMixed.
var phpMixedSent = view{
	"event[1].moved": absent, "event[1].opened": "third", "event[2].opened": absent, "event[2].moved": "2",
	"note": "<{" + typesSpace + "}b>this</><{" + typesSpace + "}i>that</>",
}

// phpClient has all that PHP's SoapClient does otherwise than the schema says.
func phpClient(php string, v soap.Version) foreignClient {
	return foreignClient{
		argv: []string{php, "testdata/php/client.php"}, version: v,
		sees: map[string]view{
			"GetOrder full":    phpFull,
			"EchoOrder full":   with(phpFull, view{"factor": "1.7976931348623E+308"}),
			"GetOrder sparse":  phpDefaults,
			"GetOrder texts":   phpDefaults,
			"GetParcel mixed":  phpMixed,
			"EchoParcel mixed": phpMixed,
			"GetParcel substituted": { // taken for xs:any
				"any[cardPayment].amount": "3.00", "any[cardPayment].amount.currency": "CHF", "any[cardPayment].card": "4111",
				"cardpayment.amount": absent, "cardpayment.amount.currency": absent, "cardpayment.card": absent,
			},
		},
		sends: map[string]view{
			// PHP's setting "precision" is 14 digits unless changed, as it is for the server below.
			"EchoOrder full":   {"factor": "1.7976931348623e+308"},
			"EchoOrder sparse": phpDefaults,
			"EchoOrder texts":  phpDefaults,
			"EchoParcel mixed": phpMixedSent,
		},
		fails: map[string]string{
			"EchoParcel substituted": "Encoding: object has no 'payment' property", // substitution groups are not known
		},
	}
}

func TestPHPServer(t *testing.T) {
	t.Parallel()
	php := testenv.NeedPHP(t, "soap")
	for _, v := range versions {
		t.Run(v.String(), func(t *testing.T) {
			t.Parallel()
			addr := freeAddress(t)
			env := []string{"WSDL_DIR=" + wsdlDir(t), "STATE=" + filepath.Join(t.TempDir(), "seen"), "HARD=" + hardText}
			startServer(t, addr, env, php, "-d", "precision=-1", "-S", addr, "testdata/php/server.php")
			phpServer(addr, v).check(t)
		})
	}
}

// phpServer has all that PHP's SoapServer does otherwise than the schema says.
func phpServer(addr string, v soap.Version) foreignServer {
	// It drops text that is white space and nothing else. PHP's client does not.
	texts := with(phpDefaults, view{"tag[2]": ""})
	return foreignServer{
		catalogURL: "http://" + addr + "/catalog", inventoryURL: "http://" + addr + "/inventory", version: v,
		sees: map[string]view{
			"EchoOrder full":   phpFull,
			"EchoOrder sparse": phpDefaults,
			"EchoOrder texts":  texts,
			"EchoParcel mixed": phpMixed,
		},
		returns: map[string]view{
			"EchoOrder full":   nil, // the server here mends what it knows to be lost
			"EchoParcel mixed": phpMixedSent,
		},
		fails: map[string]string{
			"EchoParcel substituted": "Encoding: object has no 'payment' property",
			"Check broken":           `not a SOAP message (content type "text/html; charset=UTF-8")`,
		},
	}
}
