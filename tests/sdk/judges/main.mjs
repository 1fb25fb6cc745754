// Asks the npm packages: a JSON object a line in, a JSON object a line out. `{"judges": true}` asks which there are.

import { readFileSync } from "node:fs";
import { createInterface } from "node:readline";
import { judges } from "./npm.mjs";

// The clock that the packages see.
let now_ms = Date.now();
const Real = Date;
globalThis.Date = class extends Real {
  constructor(...given) {
    super(...(given.length ? given : [now_ms]));
  }
  static now() {
    return now_ms;
  }
};

// Some print what they think, and our answers are on the standard output.
for (const name of ["log", "info", "warn", "error"]) console[name] = () => {};

const prepared = new Map();

function prepare(name) {
  if (!prepared.has(name)) prepared.set(name, judges.get(name).prepare());
  return prepared.get(name);
}

function version(name) {
  const file = new URL(`./node_modules/${name}/package.json`, import.meta.url);
  return JSON.parse(readFileSync(file, "utf8")).version;
}

/** As a framework hands them over: with all values of a name that comes several times. */
function fields(pairs) {
  const one = (it) => (it.length === 1 ? it[0] : it);
  return Object.fromEntries([...new Set(pairs.keys())].map((name) => [name, one(pairs.getAll(name))]));
}

async function reply(question) {
  if (question.judges) {
    const all = [...judges].map(([name, it]) => [name, { ...it, version: version(it.package) }]);
    return Object.fromEntries(all);
  }
  now_ms = question.now_ms;
  const body = Buffer.from(question.body, "base64");
  const is_form = question.headers["content-type"]?.startsWith("application/x-www-form-urlencoded");
  const form = is_form ? fields(new URLSearchParams(body.toString())) : undefined;
  try {
    const verify = await prepare(question.judge);
    return { accepted: (await verify({ ...question, body, text: body.toString(), form })) === true };
  } catch (error) {
    return { accepted: false, said: `${error?.name}: ${error?.message}`.slice(0, 200) };
  }
}

for await (const line of createInterface({ input: process.stdin })) {
  process.stdout.write(`${JSON.stringify(await reply(JSON.parse(line)))}\n`);
}
