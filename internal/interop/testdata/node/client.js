"use strict";
// Calls both services with node-soap, and reports what it understood.
// Arguments: the directory of the packages, URL of the catalog, URL of the
// inventory, SOAP version, a text that is hard to carry.

const { declare, lexical, mend, prefixed, soap, view, wsdlOptions } = require("./view.js");

const [catalogURL, inventoryURL, version, hard] = process.argv.slice(3);
const ORDERS = "http://example.com/catalog/orders";

function report(step, view, error) {
	console.log(JSON.stringify({ step, view, error }));
}

// run reports what call returns and returns it.
async function run(step, call) {
	let v;
	try {
		v = await call();
	} catch (e) {
		const f = e.root && e.root.Envelope && e.root.Envelope.Body.Fault;
		if (!f) return report(step, null, String(e.message));
		const got = { code: f.faultcode || f.Code.Value, reason: f.faultstring || f.Reason.Text };
		if (got.reason.$value) got.reason = got.reason.$value; // xml:lang beside it
		const detail = f.detail || f.Detail;
		const out = view(got);
		for (const name of Object.keys(detail || {})) {
			out["detail.@name"] = name;
			for (const [path, text] of Object.entries(view(detail[name]))) out["detail." + path] = text;
		}
		return report(step, out);
	}
	report(step, view(v));
	return v;
}

async function main() {
	const options = { ...wsdlOptions, forceSoap12Headers: version === "1.2" };
	const client = await soap.createClientAsync(catalogURL + "?wsdl", options);
	// The same, with values as they are written: as JavaScript's they are not exact.
	const exact = await soap.createClientAsync(catalogURL + "?wsdl", { ...options, customDeserializer: lexical });
	declare(exact.wsdl);
	const call = (op, args, by = client) =>
		new Promise((resolve, reject) =>
			by.CatalogService[version === "1.2" ? "CatalogSoap12" : "CatalogSoap"][op](args, (err, result, raw, header) => {
				if (err) reject(err);
				else resolve([result, header]);
			}));

	for (const which of ["full", "sparse", "texts"]) {
		await run("GetOrder " + which, async () => (await call("GetOrder", { which }))[0].order);
		const { order } = (await call("GetOrder", { which }, exact))[0];
		mend(order, "customer");
		await run("EchoOrder " + which, async () => (await call("EchoOrder", { order }, exact))[0].order);
	}
	for (const which of ["derived", "mixed", "plain", "substituted"]) {
		const parcel = await run("GetParcel " + which, async () => (await call("GetParcel", { which }))[0].parcel);
		if (parcel) mend(parcel, "payment");
		await run("EchoParcel " + which, async () => (await call("EchoParcel", parcel))[0]);
	}
	await run("Ping", async () => {
		client.addSoapHeader({ Session: { user: hard, calls: 41 } }, "", "o", ORDERS);
		const [answer, header] = await call("Ping", { text: "hello" });
		client.clearSoapHeaders();
		return { text: answer.text, user: header.Session.user, calls: header.Session.calls };
	});
	for (const kind of ["stock", "invalid", "denied", "broken", "ok"]) {
		await run("Check " + kind, async () => (await call("Check", { kind }))[0]);
	}
	await run("Notify", async () => {
		await call("Notify", { text: hard });
		return {};
	});
	await run("Sum", async () => (await call("Sum", { a: -5, b: 2 ** 40, c: 0.25, negative: true }))[0]);

	if (version === "1.1") {
		const inventory = await soap.createClientAsync(inventoryURL + "?wsdl", wsdlOptions);
		await run("Add", async () => (await inventory.AddAsync({ a: 40, b: 2 }))[0]);
		declare(inventory.wsdl);
		// Without a prefix the elements within a part would be in no namespace.
		await run("Store", async () => (await inventory.StoreAsync({
			item: prefixed("t", {
				sku: "A-1", quantity: null, price: { attributes: { currency: "CHF" }, $value: "19.90" }, discount: "0.5",
			}),
			category: prefixed("t", { title: "root", category: [{ title: "größer" }] }),
			status: "in transit",
		}))[0]);
	}
}

main();
