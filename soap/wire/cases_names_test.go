package wire

// namespaces are cases of Namespaces in XML 1.0 by production or section.
var namespaces = []verdict{
	{"NS 3", "default", "<a xmlns='u'><b c=''/></a>", true, "", ""},
	{"NS 3", "prefix", "<p:a xmlns:p='u' p:b='1' b='2'/>", true, "", ""},
	{"NS 3", "declared behind its use", "<p:a q:b='1' xmlns:q='v' xmlns:p='u'/>", true, "", ""},
	{"NS 3", "undeclared", "<p:a/>", false, "", stdPrefixes},
	{"NS 3", "undeclared of an attribute", "<a p:b=''/>", false, "", stdPrefixes},
	{"NS 3", "out of scope", "<a><b xmlns:p='u'/><p:b/></a>", false, "", stdPrefixes},
	{"NS 3", "declared twice", "<a xmlns:p='u' xmlns:p='u'/>", false, "", stdDuplicates},
	{"NS 3", "default declared twice", "<a xmlns='u' xmlns='v'/>", false, "", stdDuplicates},
	{"NS 3", "xml declared as it is", "<a xmlns:xml='http://www.w3.org/XML/1998/namespace' xml:b='1'/>", true, "", ""},
	{"NS 3", "xml declared otherwise", "<a xmlns:xml='u'/>", false, "", stdDeclares},
	{"NS 3", "xml by another prefix", "<a xmlns:p='http://www.w3.org/XML/1998/namespace'/>", false, "", stdDeclares},
	{"NS 3", "xml as default", "<a xmlns='http://www.w3.org/XML/1998/namespace'/>", false, "", stdDeclares},
	{"NS 3", "xmlns declared", "<a xmlns:xmlns='http://www.w3.org/2000/xmlns/'/>", false, "", stdDeclares},
	{"NS 3", "xmlns by another prefix", "<a xmlns:p='http://www.w3.org/2000/xmlns/'/>", false, "", stdDeclares},
	{"NS 3", "xmlns as default", "<a xmlns='http://www.w3.org/2000/xmlns/'/>", false, "", stdDeclares},
	{"NS 3", "element with prefix xmlns", "<xmlns:a/>", false, "", stdPrefixes},
	{"NS 3", "element named xmlns", "<xmlns/>", true, "", ""},
	{"NS 3", "element named xmlns in a namespace", "<xmlns xmlns='u'/>", true, "", "leaves an element called xmlns without namespace"},
	{"NS 3", "other prefixes with xml", "<xmlp:a xmlns:xmlp='u' xmlnsb='1'/>", true, "", ""},
	{"NS 3", "undeclared prefix again", "<a xmlns:p='u'><b xmlns:p=''/></a>", false, "", stdDeclares},
	{"NS 3", "empty prefix", "<a xmlns:='u'/>", false, "", stdColon},
	{"NS 3", "prefix is not a name", "<a xmlns:1='u'/>", false, "", stdLocal},
	{"NS 3", "declaration with references", "<p:a xmlns:p='&#117;&amp;v'><q:b xmlns:q='u&#38;v'/></p:a>", true, "2.9.14 leaves &amp; in a namespace as &#38;", ""},
	{"NS 3", "namespaces differ by case", "<a xmlns:p='u' xmlns:q='U' p:b='' q:b=''/>", true, "", ""},
	{"NS 3", "namespaces differ by escaping", "<a xmlns:p='%41' xmlns:q='A' p:b='' q:b=''/>", true, "", ""},
	{"NS 3", "namespace is not a URI", "<a xmlns='not a {URI}'/>", true, "", ""},
	{"NS 3", "namespace of one space", "<a xmlns=' '/>", true, "", ""},
	{"NS 3", "reserved prefix in capitals", "<XML:a xmlns:XML='u'/>", true, "", ""},
	{"NS [4]", "two colons", "<a:b:c xmlns:a='u'/>", false, "", ""},
	{"NS [4]", "two colons in an attribute", "<a xmlns:b='u' b:c:d=''/>", false, "", ""},
	{"NS [4]", "colon first", "<:a/>", false, "", stdColon},
	{"NS [4]", "colon last", "<a: xmlns:a='u'/>", false, "", stdColon},
	{"NS [4]", "colon only", "<:/>", false, "", stdColon},
	{"NS [4]", "colon first in an attribute", "<a :b=''/>", false, "", stdColon},
	{"NS [4]", "digit behind the colon", "<a:1 xmlns:a='u'/>", false, "", stdLocal},
	{"NS [4]", "hyphen behind the colon", "<a xmlns:b='u' b:-=''/>", false, "", stdLocal},
	{"NS [4]", "combining behind the colon", "<a:\u0300 xmlns:a='u'/>", false, "", stdLocal},
	{"NS [4]", "space behind the colon", "<a: b xmlns:a='u'/>", false, "", ""},
	{"NS [4]", "colon in a target", "<a><?b:c?></a>", false, "", stdTarget},
	{"NS [12]", "prefixes of one namespace in tags", "<p:a xmlns:p='u' xmlns:q='u'></q:a>", false, "", ""},
	{"NS [12]", "end without its prefix", "<p:a xmlns:p='u'></a>", false, "", ""},
	{"NS 6.1", "shadowed", "<p:a xmlns:p='u'><p:b xmlns:p='v'><p:c/></p:b><p:d/></p:a>", true, "", ""},
	{"NS 6.1", "shadowed in its own tag", "<a xmlns:p='u'><p:b p:c='' xmlns:p='v'/></a>", true, "", ""},
	{"NS 6.2", "default undone", "<a xmlns='u'><b xmlns=''><c/></b><d/></a>", true, "", ""},
	{"NS 6.2", "default undone at the root", "<a xmlns=''/>", true, "", ""},
	{"NS 6.2", "no default for attributes", "<a xmlns='u' xmlns:p='u' p:b='1' b='2'/>", true, "", ""},
	{"NS 6.2", "default does not reach a prefix", "<a xmlns='u'><p:b/></a>", false, "", stdPrefixes},
	{"NS 6.3", "twice by namespace", "<a xmlns:p='u' xmlns:q='u' p:b='' q:b=''/>", false, "", stdDuplicates},
	{"NS 6.3", "twice by namespace, declared outside", "<a xmlns:p='u'><b xmlns:q='u' p:c='' q:c=''/></a>", false, "", stdDuplicates},
	{"NS 6.3", "twice by prefix", "<a xmlns:p='u' p:b='' p:b=''/>", false, "", stdDuplicates},
	{"NS 6.3", "xml twice", "<a xml:b='' xml:b=''/>", false, "", stdDuplicates},
	{"NS 6.3", "the same local in two namespaces", "<a xmlns:p='u' xmlns:q='v' p:b='' q:b='' b=''/>", true, "", ""},
	{"xml:id", "a name", "<a xml:id='b'/>", true, "", ""},
	{"xml:id", "not a name, twice", "<a xml:id='1'><b xml:id='1'/></a>", true, "", ""},
}

// An encoded document is one whose bytes the judge encoding/xml cannot read: it
// is not asked.
type encoded struct {
	verdict
	charset string // of the Content-Type
}

func wide(s string) string   { return utf16Bytes(s, true) }
func little(s string) string { return utf16Bytes(s, false) }

const (
	lyingLabel  = "soapward takes UTF-8 that is labelled UTF-16 for what it is: .NET programs that serialise to a string first send that"
	charsetWins = "takes what it is told to be in the document's encoding even where a byte order mark says otherwise"
)

// encodings are cases of XML 1.0 4.3.3, appendix F and RFC 7303 3.
var encodings = []encoded{
	{verdict{"4.3.3", "UTF-8 mark", "\xEF\xBB\xBF<a>é</a>", true, "", ""}, ""},
	{verdict{"4.3.3", "UTF-8 mark and declaration", "\xEF\xBB\xBF<?xml version='1.0' encoding='utf-8'?><a>é</a>", true, "", ""}, ""},
	{verdict{"4.3.3", "two marks", "\xEF\xBB\xBF\xEF\xBB\xBF<a/>", false, "", ""}, ""},
	{verdict{"4.3.3", "cut mark", "\xEF\xBB<a/>", false, "", ""}, ""},
	{verdict{"4.3.3", "UTF-16 big", "\xFE\xFF" + wide("<a b='é'>漢😀</a>"), true, "", ""}, ""},
	{verdict{"4.3.3", "UTF-16 little", "\xFF\xFE" + little("<a b='é'>漢😀</a>"), true, "", ""}, ""},
	{verdict{"4.3.3", "UTF-16 with its declaration", "\xFF\xFE" + little("<?xml version='1.0' encoding='UTF-16'?><a>é</a>"), true, "", ""}, ""},
	{verdict{"4.3.3", "UTF-16 without mark", little("<?xml version='1.0' encoding='UTF-16LE'?><a>é</a>"), true, "", ""}, ""},
	{verdict{"4.3.3", "UTF-16 big without mark", wide("<?xml version='1.0' encoding='UTF-16BE'?><a>é</a>"), true, "", ""}, ""},
	{verdict{"4.3.3", "UTF-16 without mark and declaration", little("<a>é</a>"), false, "", ""}, ""},
	{verdict{"4.3.3", "UTF-16 big without mark and declaration", wide("<a>é</a>"), false, "", ""}, ""},
	{verdict{"4.3.3", "UTF-16 with a DTD", "\xFE\xFF" + wide("<!DOCTYPE a><a/>"), false, "", ""}, ""},
	{verdict{"4.3.3", "UTF-16 with an entity", "\xFF\xFE" + little("<!DOCTYPE a [<!ENTITY x 'y'>]><a>&x;</a>"), false, "", ""}, ""},
	{verdict{"4.3.3", "UTF-16, lone high surrogate", "\xFE\xFF" + wide("<a>") + "\xD8\x3D" + wide("</a>"), false, "", ""}, ""},
	{verdict{"4.3.3", "UTF-16, lone low surrogate", "\xFE\xFF" + wide("<a>") + "\xDE\x00" + wide("</a>"), false, "", ""}, ""},
	{verdict{"4.3.3", "UTF-16, cut in a character", "\xFE\xFF" + wide("<a/>") + "\x00", false, "does not look at half a character behind the root", ""}, ""},
	{verdict{"4.3.3", "UTF-16, FFFE", "\xFE\xFF" + wide("<a>\uFFFE</a>"), false, "", ""}, ""},
	{verdict{"4.3.3", "Latin-1", "<?xml version='1.0' encoding='ISO-8859-1'?><a b='\xE9'>\xFF\xA0</a>", true, "", ""}, ""},
	{verdict{"4.3.3", "Latin-1 in small letters", "<?xml version='1.0' encoding='iso-8859-1'?><a>\xE9</a>", true, "", ""}, ""},
	{verdict{"4.3.3", "Latin-1, not declared", "<a>\xE9</a>", false, "", ""}, ""},
	{verdict{"4.3.3", "Latin-1, declared UTF-8", "<?xml version='1.0' encoding='utf-8'?><a>\xE9</a>", false, "", ""}, ""},
	{verdict{"4.3.3", "Windows-1252", "<?xml version='1.0' encoding='windows-1252'?><a>\x80\x93\xE9</a>", true, "", ""}, ""},
	{verdict{"4.3.3", "Windows-1252, unassigned", "<?xml version='1.0' encoding='windows-1252'?><a>\x81</a>", false, "", ""}, ""},
	{verdict{"4.3.3", "ASCII", "<?xml version='1.0' encoding='US-ASCII'?><a>e</a>", true, "", ""}, ""},
	{verdict{"4.3.3", "ASCII with a high byte", "<?xml version='1.0' encoding='US-ASCII'?><a>\xE9</a>", false, "", ""}, ""},
	{verdict{"4.3.3", "unknown", "<?xml version='1.0' encoding='x-unknown'?><a/>", false, "", ""}, ""},
	{verdict{"4.3.3", "declared UTF-16", "<?xml version='1.0' encoding='UTF-16'?><a>é</a>", true, lyingLabel, ""}, ""},
	{verdict{"4.3.3", "the mark beats the declaration", "\xEF\xBB\xBF<?xml version='1.0' encoding='ISO-8859-1'?><a>é</a>", true, "2.9.14 believes the declaration; appendix F takes the mark for certain", ""}, ""},
	{verdict{"[81]", "empty", "<?xml version='1.0' encoding=''?><a/>", false, "", ""}, ""},
	{verdict{"[81]", "space in front", "<?xml version='1.0' encoding=' utf-8'?><a/>", false, "", ""}, ""},
	{verdict{"[81]", "space behind", "<?xml version='1.0' encoding='utf-8 '?><a/>", false, "", ""}, ""},
	{verdict{"[81]", "digit first", "<?xml version='1.0' encoding='8859'?><a/>", false, "", ""}, ""},
	{verdict{"[81]", "quotes inside", `<?xml version='1.0' encoding='"utf-8"'?><a/>`, false, "", ""}, ""},
	{verdict{"RFC 7303 3", "Latin-1 by the charset", "<a>\xE9</a>", true, "", ""}, "iso-8859-1"},
	{verdict{"RFC 7303 3", "the charset beats the declaration", "<?xml version='1.0' encoding='ISO-8859-1'?><a>é</a>", true, "", ""}, "utf-8"},
	{verdict{"RFC 7303 3", "the other way round", "<?xml version='1.0' encoding='utf-8'?><a>\xE9</a>", true, "", ""}, "iso-8859-1"},
	{verdict{"RFC 7303 3", "Windows-1252 by the charset", "<a>\x80</a>", true, "", ""}, "windows-1252"},
	{verdict{"RFC 7303 3", "UTF-16 by the charset, with a mark", "\xFF\xFE" + little("<a>é</a>"), true, "", ""}, "utf-16"},
	{verdict{"RFC 7303 3", "UTF-16 by the charset, without", wide("<a>é</a>"), true, "", ""}, "utf-16be"},
	{verdict{"RFC 7303 3", "the mark beats the charset", "\xEF\xBB\xBF<a>é</a>", true, charsetWins, ""}, "iso-8859-1"},
	{verdict{"RFC 7303 3", "malformed encoding beside a charset", "<?xml version='1.0' encoding='!'?><a/>", false, "", ""}, "utf-8"},
}
