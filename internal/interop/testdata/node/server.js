"use strict";
// Serves both descriptions with node-soap. Arguments: the directory of the
// packages, that of the descriptions, the port, the SOAP version, a text that is
// hard to carry.

const fs = require("fs");
const http = require("http");
const { declare, lexical, mend, prefixed, soap, view, wsdlOptions } = require("./view.js");

const [dir, port, version, hard] = process.argv.slice(3);
const ORDERS = "http://example.com/catalog/orders";
let seen = {};

function fault(code, text, detail) {
	if (version === "1.2") {
		return { Fault: { Code: { Value: "soap:" + { Server: "Receiver", Client: "Sender" }[code] }, Reason: { Text: text }, Detail: detail } };
	}
	return { Fault: { faultcode: "soap:" + code, faultstring: text, detail } };
}

const details = {
	stock: ["OutOfStock", { sku: "A-1", available: 3 }],
	invalid: ["InvalidOrder", { reason: ["no <id>", "größer"] }],
};

const catalog = {
	EchoOrder({ order }) {
		seen = view(order);
		mend(order, "customer");
		// Elements of another namespace.
		if (order.items?.item) order.items.item = prefixed("t", order.items.item);
		if (order.category) order.category = prefixed("t", order.category);
		return { order };
	},
	EchoParcel(parcel) {
		seen = view(parcel);
		mend(parcel, "payment");
		const { payment, ...rest } = parcel; // an element of another namespace
		return payment ? { ...prefixed("t", { payment }), ...rest } : parcel;
	},
	Seen: () => ({ json: JSON.stringify(seen) }),
	Ping: ({ text }) => ({ text }),
	Check({ kind }) {
		if (details[kind]) {
			const [name, detail] = details[kind];
			throw fault("Server", name, prefixed("", { [name]: { attributes: { xmlns: ORDERS }, ...detail } }));
		}
		if (kind === "denied") throw fault("Client", hard);
		if (kind === "broken") throw new Error("the password is hunter2");
		return { ok: true };
	},
	Notify(n) {
		seen = view(n);
	},
	Sum({ a, b, c, negative }) {
		const sum = Number(a) + Number(b) + Number(c);
		return { sum: String(negative) === "true" ? -sum : sum };
	},
};

const inventory = {
	Add: ({ a, b }) => ({ sum: Number(a) + Number(b) }),
	Store({ item, category, status }) {
		const path = [];
		for (let c = category; c; c = c.category && [].concat(c.category)[0]) path.push(c.title);
		return { item: prefixed("t", item), shelf: path.join("/") + "/" + status };
	},
};

function listen(server, name, services, options) {
	const uri = `${dir}/${name}.wsdl`;
	return new Promise((resolve, reject) => {
		soap.listen(server, {
			path: "/" + name, services, xml: fs.readFileSync(uri, "utf8"), uri,
			forceSoap12Headers: version === "1.2", ...options,
			callback: (err, s) => {
				if (err) return reject(err);
				declare(s.wsdl, ' xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"');
				resolve(s);
			},
		});
	});
}

async function main() {
	const server = http.createServer();
	const c = await listen(server, "catalog", { CatalogService: { CatalogSoap: catalog, CatalogSoap12: catalog } },
		{ ...wsdlOptions, customDeserializer: lexical });
	c.addSoapHeader((method, args, headers) => {
		if (method !== "Ping") return "";
		const { user, calls } = headers.Session;
		return { Session: { user, calls: Number(calls) + 1 } };
	}, "", "o", ORDERS);
	await listen(server, "inventory", { InventoryService: { InventorySoap: inventory } }, wsdlOptions);
	server.listen(port, "127.0.0.1");
}

main();
