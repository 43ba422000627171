package publish_test

import (
	"fmt"
	"net/url"

	"github.com/soapward/soapward/gateway/publish"
)

// A description that was fetched from a server, for programs that call it by
// another address.
func ExampleRewrite() {
	doc := []byte(`<definitions xmlns="http://schemas.xmlsoap.org/wsdl/">
  <service name="Orders"><port name="Orders">
    <address xmlns="http://schemas.xmlsoap.org/wsdl/soap/" location="https://app.corp.test/Orders.svc"/>
  </port></service>
</definitions>`)
	local, err := publish.Rewrite(doc, func(old *url.URL) *url.URL {
		if old.Host != "app.corp.test" {
			return nil // it is somebody else's
		}
		u := *old
		u.Scheme, u.Host = "http", "127.0.0.1:9300"
		return &u
	})
	fmt.Printf("%s\n%v\n", local, err)
	// Output:
	// <definitions xmlns="http://schemas.xmlsoap.org/wsdl/">
	//   <service name="Orders"><port name="Orders">
	//     <address xmlns="http://schemas.xmlsoap.org/wsdl/soap/" location="http://127.0.0.1:9300/Orders.svc"/>
	//   </port></service>
	// </definitions>
	// <nil>
}
