package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/soapward/soapward/wsdl"
)

const testWSDL = `<definitions xmlns="http://schemas.xmlsoap.org/wsdl/" xmlns:soap="http://schemas.xmlsoap.org/wsdl/soap/" xmlns:xs="http://www.w3.org/2001/XMLSchema" xmlns:e="urn:e" targetNamespace="urn:e">
<types><xs:schema targetNamespace="urn:e" elementFormDefault="qualified">
<xs:element name="m"><xs:complexType><xs:sequence>
 <xs:element name="s" type="xs:string" minOccurs="0"/><xs:element name="t" type="xs:token" minOccurs="0"/>
 <xs:element name="d" type="xs:decimal" minOccurs="0" maxOccurs="9" nillable="true"/><xs:element name="f" type="xs:float" minOccurs="0"/>
 <xs:element name="q" type="xs:QName" minOccurs="0"/><xs:element name="w" type="xs:dateTime" minOccurs="0"/>
 <xs:element name="l" minOccurs="0"><xs:simpleType><xs:list itemType="xs:boolean"/></xs:simpleType></xs:element>
 <xs:element name="u" minOccurs="0"><xs:simpleType><xs:union memberTypes="xs:int xs:token"/></xs:simpleType></xs:element>
 <xs:element name="b" type="e:base" minOccurs="0"/><xs:element name="x" minOccurs="0"><xs:complexType mixed="true"><xs:sequence><xs:any minOccurs="0" maxOccurs="9"/></xs:sequence></xs:complexType></xs:element>
</xs:sequence><xs:attribute name="n" type="xs:int"/><xs:attribute name="k" type="xs:string"/></xs:complexType></xs:element>
<xs:complexType name="base"><xs:sequence/></xs:complexType>
<xs:complexType name="more"><xs:complexContent><xs:extension base="e:base"><xs:sequence><xs:element name="h" type="xs:hexBinary"/></xs:sequence></xs:extension></xs:complexContent></xs:complexType>
</xs:schema></types>
<message name="in"><part name="p" element="e:m"/></message>
<portType name="P"><operation name="in"><input message="e:in"/></operation></portType>
<binding name="B" type="e:P"><soap:binding transport="http://schemas.xmlsoap.org/soap/http"/>
<operation name="in"><soap:operation soapAction="a"/><input><soap:body use="literal"/></input></operation></binding>
<service name="S"><port name="p" binding="e:B"><soap:address location="http://127.0.0.1/"/></port></service>
</definitions>`

func write(t *testing.T, name, text string) string {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

// TestCompare changes a message and expects the class of the loss, or none.
func TestCompare(t *testing.T) {
	t.Parallel()
	d, err := new(wsdl.Resolver).Open(t.Context(), write(t, filepath.Join(t.TempDir(), "a.wsdl"), testWSDL))
	if err != nil {
		t.Fatal(err)
	}
	const xsi = ` xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"`
	for _, tt := range []struct{ name, before, after, want string }{
		{"same", `<s>a</s><d>1</d>`, `<s>a</s><d>1</d>`, ""},
		{"white space between", `<s>a</s><d>1</d>`, "\n <s>a</s>\n <d>1</d>\n", ""},
		{"string with a blank", `<s>a</s>`, `<s>a </s>`, "changed value"},
		{"token with a blank", `<t>a  b</t>`, `<t> a b </t>`, ""},
		{"decimal", `<d>+001.50</d>`, `<d>1.5</d>`, ""},
		{"decimal beyond float", `<d>1.00000000000000000001</d>`, `<d>1.00000000000000000002</d>`, "changed value"},
		{"negative zero", `<d>-0.0</d>`, `<d>0</d>`, ""},
		{"float", `<f>1e2</f>`, `<f>100</f>`, ""},
		{"float of 32 bits", `<f>0.1</f>`, `<f>0.1000000015</f>`, ""},
		{"other float", `<f>0.1</f>`, `<f>0.1001</f>`, "changed value"},
		{"QName with another prefix", `<q xmlns:a="urn:q">a:b</q>`, `<q xmlns:c="urn:q">c:b</q>`, ""},
		{"QName of another namespace", `<q xmlns:a="urn:q">a:b</q>`, `<q xmlns:a="urn:r">a:b</q>`, "changed value"},
		{"zone", `<w>2020-01-01T00:30:00+01:00</w>`, `<w>2019-12-31T23:30:00Z</w>`, ""},
		{"zone lost", `<w>2020-01-01T00:30:00Z</w>`, `<w>2020-01-01T00:30:00</w>`, "changed value"},
		{"midnight", `<w>2020-02-28T24:00:00</w>`, `<w>2020-02-29T00:00:00.000</w>`, ""},
		{"list", `<l>1 0  true</l>`, `<l>true false true</l>`, ""},
		{"shorter list", `<l>1 0</l>`, `<l>true</l>`, "changed value"},
		{"union, number", `<u>007</u>`, `<u>7</u>`, ""},
		{"union, text", `<u>x7</u>`, `<u>x07</u>`, "changed value"},
		{"lost element", `<s>a</s><d>1</d>`, `<s>a</s>`, "lost element"},
		{"one of several lost", `<d>1</d><d>2</d>`, `<d>1</d>`, "lost element"},
		{"added element", `<s>a</s>`, `<s>a</s><d>1</d>`, "added element"},
		{"order", `<s>a</s><d>1</d>`, `<d>1</d><s>a</s>`, "changed order"},
		{"order of values", `<d>1</d><d>2</d>`, `<d>2</d><d>1</d>`, "changed value"},
		{"namespace", `<s>a</s>`, `<s xmlns="">a</s>`, "wrong namespace"},
		{"nil", `<d` + xsi + ` xsi:nil="1"/>`, `<d` + xsi + ` xsi:nil="true"/>`, ""},
		{"nil lost", `<d` + xsi + ` xsi:nil="true"/>`, `<d/>`, "lost xsi:nil"},
		{"no nil", `<d` + xsi + ` xsi:nil="false">1</d>`, `<d>1</d>`, ""},
		{"white space alone", "\n ", "", ""},
		{"type", `<b` + xsi + ` xmlns:p="urn:e" xsi:type="p:more"><h>AB</h></b>`, `<b` + xsi + ` xsi:type="more"><h>ab</h></b>`, ""},
		{"type lost", `<b` + xsi + ` xsi:type="more"><h>AB</h></b>`, `<b><h>AB</h></b>`, "lost xsi:type"},
		{"type changed", `<b` + xsi + ` xsi:type="more"><h>AB</h></b>`, `<b` + xsi + ` xsi:type="base"><h>AB</h></b>`, "changed xsi:type"},
		{"value of a derived type", `<b` + xsi + ` xsi:type="more"><h>AB</h></b>`, `<b` + xsi + ` xsi:type="more"><h>AC</h></b>`, "changed value"},
		{"mixed text", `<x>a<b/>c</x>`, `<x>a<b/></x>`, "changed mixed text"},
		{"blank in mixed text", `<x>a <b/>c</x>`, `<x>a<b/>c</x>`, "changed mixed text"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a, errA := parse([]byte(`<m xmlns="urn:e">` + tt.before + `</m>`))
			b, errB := parse([]byte(`<p:m xmlns:p="urn:e" xmlns="urn:e">` + tt.after + `</p:m>`))
			if errA != nil || errB != nil {
				t.Fatal(errA, errB)
			}
			checkLosses(t, newComparer(d).compare(a, b), tt.want)
		})
	}
	for _, tt := range []struct{ name, before, after, want string }{
		{"number", `n="+1"`, `n="01"`, ""},
		{"other number", `n="1"`, `n="2"`, "changed attribute"},
		{"string", `k="a"`, `k="a "`, "changed attribute"},
		{"line break", "k='a\nb'", "k='a b'", ""},
		{"lost", `n="1" k="a"`, `k="a"`, "lost attribute"},
		{"added", `k="a"`, `n="0" k="a"`, "added attribute"},
		{"namespace", `k="a"`, `p:k="a"`, "lost attribute"},
	} {
		t.Run("attribute/"+tt.name, func(t *testing.T) {
			a, errA := parse([]byte(`<m xmlns="urn:e" xmlns:p="urn:e" ` + tt.before + `/>`))
			b, errB := parse([]byte(`<m xmlns="urn:e" xmlns:p="urn:e" ` + tt.after + `/>`))
			if errA != nil || errB != nil {
				t.Fatal(errA, errB)
			}
			checkLosses(t, newComparer(d).compare(a, b), tt.want)
		})
	}
}

func checkLosses(t *testing.T, got []loss, want string) {
	t.Helper()
	switch {
	case want == "" && len(got) > 0:
		t.Errorf("got %v, want none", got)
	case want != "" && (len(got) == 0 || got[0].Class != want):
		t.Errorf("got %v, want %s", got, want)
	}
}

// TestValues has texts of one value, and of others.
func TestValues(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		same []string // of one value
		not  []string // of another, or of none
	}{
		{"decimal", []string{"10", "+10", "010.0", "10."}, []string{"1", "-10", "10.01", "1e1", "", "."}},
		{"int", []string{"7", "+7", "007"}, []string{"7.0", "x"}},
		{"double", []string{"1", "1.0", "1e0", "10E-1"}, []string{"1.0000000000000002", "INF", "0x1", "1_0"}},
		{"float", []string{"16777216", "16777217"}, []string{"16777218"}},
		{"boolean", []string{"true", "1"}, []string{"false", "0", "TRUE"}},
		{"hexBinary", []string{"ab01", "AB01"}, []string{"ab0", "ab02"}},
		{"base64Binary", []string{"YWI=", "YW I="}, []string{"YWM=", "YWI"}},
		{"duration", []string{"P1Y", "P12M", "P1Y0D", "P1YT0.0S"}, []string{"P365D", "-P1Y", "P", "P1YT"}},
		{"duration", []string{"P1DT1H", "PT25H", "PT90000S"}, []string{"PT24H"}},
		{"dateTime", []string{"2000-03-01T00:00:00Z", "2000-02-29T24:00:00Z", "2000-02-29T19:00:00.00-05:00"}, []string{"2000-03-01T00:00:00", "2000-03-01T00:00:00.1Z"}},
		{"dateTime", []string{"-0044-03-15T00:00:00", "-0044-03-15T00:00:00.0"}, []string{"0044-03-15T00:00:00"}},
		{"dateTime", []string{"99999-12-31T00:00:00"}, []string{"9999-12-31T00:00:00"}},
		{"date", []string{"2000-01-01+00:00", "2000-01-01Z"}, []string{"2000-01-01", "2000-01-01+01:00"}},
		{"time", []string{"00:30:00+01:00", "23:30:00Z"}, []string{"00:30:00"}},
		{"gMonthDay", []string{"--02-29"}, []string{"--02-28", "--02-29Z"}},
		{"gYear", []string{"2000"}, []string{"2001", "2000Z"}},
	} {
		want, ok := primitive(tt.name, tt.same[0], nil)
		if !ok {
			t.Errorf("%s: %q is refused", tt.name, tt.same[0])
		}
		for _, s := range tt.same {
			if got, ok := primitive(tt.name, s, nil); !ok || got != want {
				t.Errorf("%s: %q gives %q %v, want %q", tt.name, s, got, ok, want)
			}
		}
		for _, s := range tt.not {
			if got, ok := primitive(tt.name, s, nil); ok && got == want {
				t.Errorf("%s: %q is the same as %q", tt.name, s, tt.same[0])
			}
		}
	}
}

func TestParse(t *testing.T) {
	t.Parallel()
	n, err := parse([]byte(`<a xmlns:p="urn:p" xmlns="urn:d"><p:b x="&lt;&quot;" p:y="1">t&amp;<c xmlns="">u</c></p:b></a>`))
	if err != nil {
		t.Fatal(err)
	}
	got := n.elements()[0].document()
	const want = `<p:b xmlns:p="urn:p" xmlns="urn:d" x="&lt;&#34;" p:y="1">t&amp;<c xmlns="">u</c></p:b>`
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	for _, s := range []string{"", "<a>", "<a></b>", "<a/><b/>", "<p:a/>", `<a p:x=""/>`} {
		if _, err := parse([]byte(s)); err == nil {
			t.Errorf("%q is taken", s)
		}
	}
	if n, err := parse(append([]byte{0xFF, 0xFE}, "<\x00a\x00/\x00>\x00"...)); err != nil || n.name.Local != "a" {
		t.Errorf("UTF-16: %v %v", n, err)
	}
}
