package gen

import (
	"slices"

	"github.com/soapward/soapward/wsdl"
)

// structNames are the methods of generated structs, of faults those from Error on.
var structNames = []string{"MarshalWire", "UnmarshalWire", "Validate", "Check", "Error", "DetailName", "EncodedDetail"}

// nameStruct names a struct by what it is in the description.
func (g *generator) nameStruct(s *structT, key string, candidates ...string) {
	s.key = s.pkg.scope.unique(key)
	s.name = s.pkg.scope.pick(s.key, candidates...)
	s.names = g.memberScope(s.key, structNames...)
}

// typeKey says what a type is in the description.
func (g *generator) typeKey(t *wsdl.Type) string {
	switch {
	case !t.Name.IsZero():
		return "type " + clark(t.Name)
	case g.structs[t] != nil && g.structs[t].key != "":
		return g.structs[t].key
	case t.OwnerType() != nil:
		return g.typeKey(t.OwnerType()) + "/" + t.Owner
	}
	if q := g.rootElement(t); !q.IsZero() {
		return "element " + clark(q)
	}
	return "anonymous " + t.Owner
}

// rootElement returns the name of the global element that an anonymous type is
// written in.
func (g *generator) rootElement(t *wsdl.Type) wsdl.QName {
	if g.roots == nil {
		g.roots = map[*wsdl.Type]wsdl.QName{}
		for _, e := range g.d.Elements {
			if _, ok := g.roots[e.Type]; !ok && e.Type.Name.IsZero() && e.Type.OwnerType() == nil && e.Type.Owner == e.Name.Local {
				g.roots[e.Type] = e.Name
			}
		}
	}
	return g.roots[t]
}

// clark writes a name as {namespace}local.
func clark(q wsdl.QName) string {
	if q.Space == "" {
		return q.Local
	}
	return "{" + q.Space + "}" + q.Local
}

// nameNil names the fields of structs that may be nil and have attributes even
// so (XML Schema 1 2.6.2).
func (g *generator) nameNil() {
	for _, s := range g.order {
		if s.nilled && (len(s.attrs) > 0 || s.anyAttr) {
			s.nilField = s.takeField("xsi:nil", "Nil")
		}
	}
}

// nilAttrs reports whether what a field holds may be nil and have attributes.
func (f *field) nilAttrs() bool {
	switch f.val.kind {
	case structValue:
		return f.val.st.nilField != ""
	case ifaceValue:
		return slices.ContainsFunc(f.val.iface.impls, func(s *structT) bool { return s.nilField != "" })
	}
	return f.val.kind == anyValue
}
