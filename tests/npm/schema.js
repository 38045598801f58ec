// Validates a suite against a schema that allows no field to be missing and no other field.
// node schema.js SCHEMA SUITE
import assert from "node:assert";
import { readFileSync } from "node:fs";
import Ajv from "ajv/dist/2020.js";

const [schema, suite] = process.argv.slice(2).map((file) => JSON.parse(readFileSync(file, "utf8")));
const validate = new Ajv({ allErrors: true }).compile(schema);
assert(validate(suite), JSON.stringify(validate.errors, null, 1));

/** Asserts that each change of `object`, a part of the suite, makes the suite invalid. */
function refuses(object) {
  for (const [field, value] of Object.entries(object)) {
    delete object[field];
    assert(!validate(suite), `${field} is missing`);
    object[field] = {};
    assert(!validate(suite), `${field} is an object`);
    object[field] = value;
  }
  object.other = null;
  assert(!validate(suite), "other is no field");
  delete object.other;
}

const one = suite.cases.find(({ expect, later_requests: later }) => expect.length > 0 && later?.length > 0);
const large = suite.cases.find(({ expect }) => expect[0]?.size);
for (const part of [suite, one, one.expect[0], one.later_requests[0], large.expect[0]]) refuses(part);
assert(validate(suite));
