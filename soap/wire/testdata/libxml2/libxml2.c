/*
 * libxml2 says what libxml2 sees in documents, for the tests that compare the
 * Reader and the Writer with it.
 *
 * Standard input is any number of pairs of a charset, which may be empty, and a
 * document, each after its length in bytes (32 bits, big-endian). For each pair
 * it writes one answer, after its length: "refused " and why, or one line per
 * start tag with its attributes sorted, end tag and run of text, as the test
 * helper dump does. Namespace declarations, comments and processing
 * instructions are left out. A document with a DTD is refused.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <libxml/parser.h>
#include <libxml/parserInternals.h>
#include <libxml/tree.h>

struct buffer {
	char *data;
	size_t len, cap;
};

static void fail(const char *what)
{
	fprintf(stderr, "libxml2: %s\n", what);
	exit(1);
}

static void append(struct buffer *b, const char *s, size_t n)
{
	if (b->len + n + 1 > b->cap) {
		b->cap = 2 * (b->len + n + 1);
		b->data = realloc(b->data, b->cap);
		if (b->data == NULL)
			fail("out of memory");
	}
	memcpy(b->data + b->len, s, n);
	b->len += n;
	b->data[b->len] = 0;
}

static void append_string(struct buffer *b, const char *s)
{
	append(b, s, strlen(s));
}

/* append_escaped makes s fit between quotes in a line. */
static void append_escaped(struct buffer *b, const xmlChar *text)
{
	const char *s = (const char *)text;

	for (; *s; s++) {
		switch (*s) {
		case '\\': append(b, "\\\\", 2); break;
		case '"':  append(b, "\\\"", 2); break;
		case '\n': append(b, "\\n", 2); break;
		case '\r': append(b, "\\r", 2); break;
		case '\t': append(b, "\\t", 2); break;
		default:   append(b, s, 1);
		}
	}
}

static void append_name(struct buffer *b, const xmlNs *ns, const xmlChar *local)
{
	if (ns != NULL && ns->href != NULL && ns->href[0] != 0) {
		append_string(b, "{");
		append_escaped(b, ns->href);
		append_string(b, "}");
	}
	append_escaped(b, local);
}

static int compare(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static void append_attributes(struct buffer *b, const xmlNode *n)
{
	const xmlAttr *a;
	char **lines;
	size_t count = 0, i = 0;

	for (a = n->properties; a != NULL; a = a->next)
		count++;
	if (count == 0)
		return;
	lines = malloc(count * sizeof *lines);
	if (lines == NULL)
		fail("out of memory");
	for (a = n->properties; a != NULL; a = a->next) {
		struct buffer line = {0};
		xmlChar *value = xmlNodeListGetString(n->doc, a->children, 1);

		append_string(&line, " ");
		append_name(&line, a->ns, a->name);
		append_string(&line, "=\"");
		if (value != NULL)
			append_escaped(&line, value);
		append_string(&line, "\"");
		xmlFree(value);
		lines[i++] = line.data;
	}
	qsort(lines, count, sizeof *lines, compare);
	for (i = 0; i < count; i++) {
		append_string(b, lines[i]);
		free(lines[i]);
	}
	free(lines);
}

/* append_tree writes what is in a document. open_text says that a run of text
 * has begun. */
static void append_tree(struct buffer *b, const xmlNode *root)
{
	const xmlNode *n = root;
	int open_text = 0;

	while (n != NULL) {
		int text = n->type == XML_TEXT_NODE || n->type == XML_CDATA_SECTION_NODE;

		if (text && n->content != NULL && n->content[0] != 0) {
			if (!open_text)
				append_string(b, "\"");
			open_text = 1;
			append_escaped(b, n->content);
		} else if (n->type == XML_ELEMENT_NODE) {
			if (open_text)
				append_string(b, "\"\n");
			open_text = 0;
			append_string(b, "<");
			append_name(b, n->ns, n->name);
			append_attributes(b, n);
			append_string(b, ">\n");
			if (n->children != NULL) {
				n = n->children;
				continue;
			}
		} else if (n->type == XML_ENTITY_REF_NODE) {
			fail("an entity reference without a DTD");
		}
		for (;;) { /* to what follows, out of what ends here */
			if (n->type == XML_ELEMENT_NODE) {
				if (open_text)
					append_string(b, "\"\n");
				open_text = 0;
				append_string(b, "</");
				append_name(b, n->ns, n->name);
				append_string(b, ">\n");
			}
			if (n == root)
				return;
			if (n->next != NULL) {
				n = n->next;
				break;
			}
			n = n->parent;
		}
	}
}

static struct buffer reason;

/* note keeps the first error that Namespaces in XML and XML 1.0 know. libxml2
 * also calls it an error that a namespace is not a URI, and that xml:id is not a
 * name or occurs twice; neither makes a document malformed. */
static void note(void *unused, xmlErrorPtr e)
{
	(void)unused;
	if (e->level < XML_ERR_ERROR || reason.len > 0 || e->code == XML_WAR_NS_URI ||
	    e->code == XML_DTD_XMLID_VALUE || e->code == XML_DTD_ID_REDEFINED)
		return;
	append_string(&reason, e->message != NULL ? e->message : "unknown");
}

static void judge(struct buffer *out, const char *charset, const struct buffer *in)
{
	xmlParserCtxtPtr ctxt = xmlNewParserCtxt();
	xmlDocPtr doc;

	if (ctxt == NULL)
		fail("out of memory");
	reason.len = 0;
	doc = xmlCtxtReadMemory(ctxt, in->data, (int)in->len, NULL, charset[0] ? charset : NULL, XML_PARSE_NONET);
	if (reason.len == 0 && (doc == NULL || !ctxt->wellFormed))
		append_string(&reason, "not well-formed");
	if (reason.len == 0 && (doc->intSubset != NULL || doc->extSubset != NULL))
		append_string(&reason, "DTD");
	if (reason.len > 0) {
		append_string(out, "refused ");
		append(out, reason.data, reason.len);
	} else {
		append_tree(out, xmlDocGetRootElement(doc));
	}
	xmlFreeDoc(doc);
	xmlFreeParserCtxt(ctxt);
}

/* read_string returns whether there is one. */
static int read_string(struct buffer *b)
{
	unsigned char n[4];
	size_t len;

	b->len = 0;
	append(b, "", 0);
	if (fread(n, 1, sizeof n, stdin) != sizeof n)
		return 0;
	for (len = (size_t)n[0] << 24 | (size_t)n[1] << 16 | (size_t)n[2] << 8 | n[3]; len > 0;) {
		char piece[4096];
		size_t want = len < sizeof piece ? len : sizeof piece;

		if (fread(piece, 1, want, stdin) != want)
			fail("input cut");
		append(b, piece, want);
		len -= want;
	}
	return 1;
}

int main(void)
{
	struct buffer charset = {0}, in = {0}, out = {0};

	xmlInitParser();
	xmlSetStructuredErrorFunc(NULL, note);
	while (read_string(&charset)) {
		unsigned char n[4];

		if (!read_string(&in))
			fail("charset without document");
		out.len = 0;
		judge(&out, charset.data, &in);
		n[0] = out.len >> 24 & 255;
		n[1] = out.len >> 16 & 255;
		n[2] = out.len >> 8 & 255;
		n[3] = out.len & 255;
		fwrite(n, 1, sizeof n, stdout);
		fwrite(out.data, 1, out.len, stdout);
		if (fflush(stdout) != 0)
			fail("output cut");
	}
	return 0;
}
