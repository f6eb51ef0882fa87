// Reads a description of an API from standard input, and says what is wrong with it by somebody else's reading of OpenAPI 3.1.
// Ends with 1 where something is.
"use strict";
const fs = require("node:fs");
const {pathToFileURL} = require("node:url");

async function main() {
    const {Validator} = await import(pathToFileURL(require.resolve("@seriousme/openapi-schema-validator")).href);
    const document = JSON.parse(fs.readFileSync(0, "utf8"));
    const validator = new Validator();
    const result = await validator.validate(document);
    if (!result.valid) {
        console.error(JSON.stringify(result.errors, null, 2));
        process.exit(1);
    }
    validator.resolveRefs();
    console.log(validator.version, Object.keys(document.paths).length);
}

main().catch((error) => {
    console.error(error);
    process.exit(1);
});
