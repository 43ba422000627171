package gateway

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
)

const observedWSDL = `<definitions xmlns="http://schemas.xmlsoap.org/wsdl/" xmlns:soap="http://schemas.xmlsoap.org/wsdl/soap/"
  xmlns:t="urn:hr" xmlns:x="http://www.w3.org/2001/XMLSchema" targetNamespace="urn:hr">
 <types><x:schema targetNamespace="urn:hr"><x:element name="Pay" type="x:string"/></x:schema></types>
 <message name="m"><part name="p" element="t:Pay"/></message>
 <portType name="pt"><operation name="Pay"><input message="t:m"/></operation></portType>
 <binding name="b" type="t:pt"><soap:binding transport="http://schemas.xmlsoap.org/soap/http"/>
  <operation name="Pay"><soap:operation soapAction="urn:pay"/><input><soap:body use="literal"/></input></operation></binding>
 <service name="s"><port name="p" binding="t:b"><soap:address location="http://x.test/"/></port></service>
</definitions>`

// What becomes of each request is in the access log and in the metrics, and the
// reference that the client got is in both logs.
func TestObserved(t *testing.T) {
	t.Parallel()
	port, admin, up := freePort(t), freePort(t), freePort(t)
	backend := startBackend(t)
	s := startGateway(t, fmt.Sprintf(`
listen: [{addr: "127.0.0.1:%d"}]
admin: {addr: "127.0.0.1:%d"}
access_log: {file: access.log}
store: {driver: sqlite, dsn: users.db}
realms: {staff: {internal: {}}}
services:
  hr: {match: {path: /hr/}, login: [none], wsdl: hr.wsdl, upstream: {url: %q}}
  closed: {match: {path: /closed/}, login: [staff/basic], upstream: {url: %q}}
upstreams:
  sp: {listen: "127.0.0.1:%d", url: %q, act_as: [fixed], fixed: {user: 'CORP\x', password: {file: pw}}}
`, port, admin, backend, backend, up, backend), map[string]string{"hr.wsdl": observedWSDL, "pw": "marked\n"})
	call := func(path, user, body string) {
		t.Helper()
		args := []string{fmt.Sprintf("http://127.0.0.1:%d%s", port, path)}
		if body != "" {
			args = append(args, "-H", "Content-Type: text/xml", "-d", body)
		}
		curl(t, nil, user, args...)
	}
	envelope := func(body string) string {
		return `<e:Envelope xmlns:e="http://schemas.xmlsoap.org/soap/envelope/"><e:Body>` + body + `</e:Body></e:Envelope>`
	}
	call("/hr/x?key=marked", "", envelope(`<Pay xmlns="urn:hr">1</Pay>`))
	call("/hr/x", "", envelope(`<MadeUp xmlns="urn:hr">1</MadeUp>`))
	call("/hr/x", "", "<broken")
	call("/closed/x", "eve:marked", "")
	call("/nowhere", "", "")
	curl(t, nil, "", fmt.Sprintf("http://127.0.0.1:%d/sp", up))
	want := []string{
		"200 inbound hr {urn:hr}Pay  ", "200 inbound hr {urn:hr}MadeUp  ", "400 inbound hr  bad-message ",
		"401 inbound closed  unknown-user ", "404 inbound   no-service ", "200 outbound sp   fixed",
	}
	var refused []string // references
	eventually(t, func() error {
		b, err := os.ReadFile(s.dir + "/access.log")
		if err != nil {
			return err
		}
		refused = nil
		var got []string
		for l := range strings.Lines(string(b)) {
			var m struct {
				Status                                          int
				Ref, Direction, Service, Operation, Refusal, As string
			}
			if err := json.Unmarshal([]byte(l), &m); err != nil {
				return err
			}
			if m.Refusal != "" {
				refused = append(refused, m.Ref)
			}
			got = append(got, fmt.Sprintf("%d %s %s %s %s %s", m.Status, m.Direction, m.Service, m.Operation, m.Refusal, m.As))
		}
		if strings.Join(got, "\n") != strings.Join(want, "\n") {
			return fmt.Errorf("access log\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
		if strings.Contains(string(b), "marked") {
			return errors.New("a secret is in the access log")
		}
		return nil
	})
	for _, ref := range refused {
		if strings.Count(s.log.String(), "ref="+ref) != 1 {
			t.Errorf("the log has not one line about %s", ref)
		}
	}
	_, text := get(t, fmt.Sprintf("http://127.0.0.1:%d/metrics", admin))
	for _, line := range []string{
		`soapward_requests_total{code="200",direction="inbound",service="hr"} 2`,
		`soapward_requests_total{code="200",direction="outbound",service="sp"} 1`,
		`soapward_operation_seconds_count{operation="{urn:hr}Pay",service="hr"} 1`,
		`soapward_operation_seconds_count{operation="other",service="hr"} 1`,
		`soapward_denials_total{reason="bad-message",service="hr"} 1`,
		`soapward_logins_total{mechanism="Basic",reason="unknown-user",result="refused"} 1`,
		`soapward_backend_seconds_count{direction="inbound",service="hr"} 2`,
		`soapward_pool_connections{kind="backend",name="hr",state="active"} 0`,
		`soapward_pool_connections{kind="upstream",name="sp",state="idle"} 1`,
	} {
		if !strings.Contains(text, line+"\n") {
			t.Errorf("metrics have no %s", line)
		}
	}
}
