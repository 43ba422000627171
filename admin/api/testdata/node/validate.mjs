// Says whether an OpenAPI document on standard input is one:
// node validate.mjs MODULES
import { pathToFileURL } from "node:url";
import { readFileSync } from "node:fs";

const main = process.argv[2] + "/node_modules/@seriousme/openapi-schema-validator/";
const entry = JSON.parse(readFileSync(main + "package.json")).exports?.["."];
const file = typeof entry === "string" ? entry : (entry?.default ?? entry?.import ?? "index.js");
const { Validator } = await import(pathToFileURL(main + file));
const validator = new Validator();
const result = await validator.validate(JSON.parse(readFileSync(0, "utf8")));
console.log(JSON.stringify({ valid: result.valid, version: validator.version, errors: result.errors }));
