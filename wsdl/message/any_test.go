package message

import (
	"strings"
	"testing"
)

const anySchema = `<xs:element name="Op"><xs:complexType><xs:sequence>
	<xs:element name="query" minOccurs="0" form="qualified"><xs:complexType mixed="true"><xs:sequence><xs:any/></xs:sequence></xs:complexType></xs:element>
	<xs:element name="open" minOccurs="0" form="qualified"/>
	<xs:element name="more" minOccurs="0" form="qualified"><xs:complexType><xs:sequence><xs:any minOccurs="0" maxOccurs="2"/></xs:sequence></xs:complexType></xs:element>
	<xs:element name="text" type="xs:string" minOccurs="0" form="qualified"/>
</xs:sequence></xs:complexType></xs:element>`

// A wildcard in mixed content was shown as whatever element came first in the
// schema, and XML for it was escaped without a word.
func TestAnyXML(t *testing.T) {
	t.Parallel()
	got := describe(t, anySchema).Operations[0].Input.Template()
	for _, want := range []string{
		"<n1:query> <!-- optional; text may stand between the elements -->\n    <!-- any element goes here -->\n  </n1:query>",
		"<n1:more> <!-- optional -->\n    <!-- 0 to 2 times; any element goes here -->\n  </n1:more>",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("got\n%s\nwant\n%s", got, want)
		}
	}
	read := func(string) ([]byte, error) {
		return []byte("\ufeff<?xml version='1.0' encoding='utf-8'?>\n<Query/>\n"), nil
	}
	for _, tt := range []struct {
		name, arg string
		want, err string
	}{
		{"element", "query.#any=<Query/>", "query><Query/></", ""},
		{"element in a file", "query.#any=@q.xml", "query><Query/></", ""},
		{"element of any type", "open.#any=<Query/>", "open><Query/></", ""},
		{"content of any type in a file", "open.#xml=@q.xml", "open><Query/></", ""},
		{"several", `more:={"#any":["<a/>","<b/>"]}`, "more><a/><b/></", ""},
		{"text", "query=all", "query>all</", ""},
		{"text that looks like XML", "query.#text=<Query/>", "query>&lt;Query/&gt;</", ""},
		{"string", "text=<Query/>", "text>&lt;Query/&gt;</", ""},
		{"XML as text", "query=<Query/>", "", "message: query: XML is given as text, and would be escaped: write query.#any='<...>' or query.#any=@FILE"},
		{"XML of a file as text", "query=@q.xml", "", "query: XML is given as text"},
		{"XML as text of any type", "open=<Query/>", "", "open.#any=@FILE"},
		{"not mixed", "more=<a/>", "", "more.#any=@FILE"},
		{"no XML", "query.#any=<Query>", "", "query.#any: wire: "},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			req, err := describe(t, anySchema).Operations[0].Input.FromArgs([]string{tt.arg}, read)
			switch {
			case tt.err != "":
				if err == nil || !strings.Contains(err.Error(), tt.err) {
					t.Errorf("got %v, want %s", err, tt.err)
				}
			case err != nil:
				t.Error(err)
			case !strings.Contains(req.Body.String(), tt.want):
				t.Errorf("got %s, want %s", req.Body, tt.want)
			}
		})
	}
}
