"use strict";
// Calls the service HR with node-soap. Input and output are those of program in
// foreign_test.go. The argument is the directory of the packages.

const fs = require("fs");
const { createRequire } = require("module");
const soap = createRequire(process.argv[2] + "/")("soap");

async function main() {
	const c = JSON.parse(fs.readFileSync(0, "utf8"));
	const ntlm = { ntlm: true, username: c.user, password: c.password, domain: c.domain, workstation: "PC1" };
	const basic = new soap.BasicAuthSecurity(c.domain + "\\" + c.user, c.password);
	const headers = {};
	basic.addHeaders(headers);
	const options = c.login === "ntlm" ? { wsdl_options: ntlm } : { wsdl_headers: headers };
	const client = await soap.createClientAsync(c.wsdl, options);
	client.setSecurity(c.login === "ntlm" ? new soap.NTLMSecurity(ntlm) : basic);
	const [who] = await client.WhoAmIAsync({});
	const out = { location: client.wsdl.services.HR.ports.HRSoap.location, user: who.user, token: who.token, mechanism: who.mechanism };
	try {
		out.receipt = (await client.PayAsync({ amount: 7 }))[0].receipt;
	} catch (e) {
		const f = e.root && e.root.Envelope && e.root.Envelope.Body.Fault;
		if (!f) throw e;
		out.fault = f.faultstring.$value || f.faultstring; // xml:lang beside it
	}
	console.log(JSON.stringify(out));
}
main().catch((e) => {
	console.error(String(e.stack || e).slice(0, 3000));
	process.exit(1);
});
