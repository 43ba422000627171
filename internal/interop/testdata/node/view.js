"use strict";
// What the client and the server have in common.

const { createRequire } = require("module");

// The packages are where the test installed them.
exports.soap = createRequire(process.argv[2] + "/")("soap");

exports.wsdlOptions = { disableCache: true, handleNilAsNull: true, preserveWhitespace: true };

// Deserializers that keep the text.
exports.lexical = Object.fromEntries(
	["dateTime", "date", "decimal", "integer", "long", "unsignedLong", "float", "double"].map((type) => [type, (text) => text]));

// declare declares prefixes in each envelope. node-soap uses t in elements within
// a nested type of another namespace and does not declare it; its server does not
// declare xsi either.
exports.declare = (wsdl, more = "") => {
	wsdl.definitions.xmlns.t = "http://example.com/catalog/types";
	wsdl.xmlnsInEnvelope = wsdl._xmlnsMap() + more;
};

// prefixed puts a prefix before each name in v. An empty one puts the name in the
// default namespace. node-soap leaves names that have a colon as they are.
exports.prefixed = (prefix, v) => {
	if (Array.isArray(v)) return v.map((x) => exports.prefixed(prefix, x));
	if (v === null || typeof v !== "object") return v;
	return Object.fromEntries(Object.entries(v).map(([name, x]) =>
		name === "attributes" || name === "$value" ? [name, x] : [`${prefix}:${name}`, exports.prefixed(prefix, x)]));
};

// mend puts back what is lost between reading a value and writing it: what is
// empty is read as null, and what a prefix means is lost.
exports.mend = (v, derived) => {
	for (const name of ["picture", "checksum", "link", "sizes", "items"]) {
		if (v[name] === null) v[name] = "";
	}
	if (v.kind) v.kind = v.kind.replace(/^.*:/, "");
	const attributes = v[derived] && v[derived].attributes;
	if (attributes && attributes["xsi:type"]) {
		const type = attributes["xsi:type"].replace(/^.*:/, "");
		v[derived].attributes = { xsi_type: { type, xmlns: "http://example.com/catalog/types", prefix: "t" } };
	}
};

function text(path, v) {
	if (path === "picture") return Buffer.from(v, "base64").toString("hex");
	if (v instanceof Date) return isNaN(v) ? "Invalid Date" : v.toISOString();
	return String(v);
}

function flatten(view, path, v) {
	if (v === undefined) return;
	if (v === null) {
		view[path] = "(nil)";
	} else if (Array.isArray(v)) {
		v.forEach((x, i) => flatten(view, `${path}[${i}]`, x));
	} else if (typeof v === "object" && !(v instanceof Date)) {
		const before = Object.keys(view).length;
		for (const [name, x] of Object.entries(v)) {
			if (name === "attributes") {
				for (const [attr, a] of Object.entries(x)) {
					if (attr.startsWith("xmlns") || attr === "xsi:nil") continue;
					const local = attr.replace(/^.*:/, "").toLowerCase();
					if (attr === "xsi:type") view[path + ".@type"] = a.replace(/^.*:/, "");
					else flatten(view, `${path}.${local}`.replace(/^\./, ""), a);
				}
			} else {
				flatten(view, name === "$value" ? path : `${path}.${name.toLowerCase()}`.replace(/^\./, ""), x);
			}
		}
		if (Object.keys(view).length === before && path !== "") view[path] = "(empty)";
	} else {
		view[path] = text(path, v);
	}
}

exports.view = (v) => {
	const view = {};
	flatten(view, "", v);
	return view;
};
