// Calls a URL with httpntlm, by which NTLM is spoken from Node.js. Input and
// output are those of foreignCall in foreign_test.go.
"use strict";

const fs = require("fs");
const { createRequire } = require("module");

// The packages are where the test installed them.
const httpntlm = createRequire(process.argv[2] + "/")("httpntlm");

const [url, domain, username, password, body, count] = fs.readFileSync(0, "utf8").split("\n");

function call(left) {
	if (left === 0) return;
	const options = { url, username, password, domain, workstation: "PC1" };
	if (body) options.body = body;
	httpntlm[body ? "post" : "get"](options, (err, res) => {
		if (err) throw err;
		console.log(res.statusCode, Buffer.from(res.body).toString("base64"));
		call(left - 1);
	});
}
call(Number(count));
