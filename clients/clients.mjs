// The clients: where each comes from, how its driver is started, and which release is installed.
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";

export const here = new URL("./", import.meta.url).pathname;
export const built = new URL("../target/clients/", import.meta.url).pathname;
const read = (path) => readFileSync(here + path, "utf8");
const says = (...command) => execFileSync(command[0], command.slice(1), { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] });
const number = (text) => /\d+(\.\d+)+/.exec(text)[0];

/** Node as npm has it, for the newest of some clients ask for more than Debian's. */
export const node = `${here}node_modules/.bin/node`;

/** The ways to a driver and to a release, by where a client comes from. */
const ways = {
  browser: { run: (name) => [node, `drivers/${name}.mjs`], atOnce: 5 },
  page: { run: (name) => [node, `drivers/${name}.mjs`], release: (it) => ways.npm.release(it), atOnce: 5 },
  npm: {
    run: (name) => [node, `drivers/${name}.mjs`],
    release: (it) => JSON.parse(read(`node_modules/${it}/package.json`)).version,
  },
  PyPI: {
    run: (name) => [`${built}python/bin/python`, `drivers/${name}.py`],
    release: (it) => new RegExp(`^${it}==(.+)$`, "m").exec(read("requirements.txt"))[1],
  },
  "crates.io": {
    // Two of these clients reconnect after 204, so that most of their cases last until the deadline.
    atOnce: 40,
    run: (name) => [`${built}rust/release/${name}`],
    release: (it) => new RegExp(`name = "${it}"\nversion = "(.+)"`).exec(read("rust/Cargo.lock"))[1],
  },
};

const client = (id, name, way, more = {}) => {
  const { run, release, atOnce = 12 } = ways[way];
  const from = { browser: "Debian", page: "npm" }[way] ?? way;
  const means = { atOnce, command: run(id), release: () => release(name) };
  return { id, name, from, reconnects: true, ids: true, ...means, ...more };
};

export const clients = [
  client("chromium", "Chromium", "browser", { release: () => number(says("chromium", "--version")) }),
  client("firefox", "Firefox", "browser", { release: () => number(says("firefox-esr", "--version")) }),
  client("webkit", "WebKitGTK", "browser", {
    release: () => says("dpkg-query", "-W", "-f", "${Version}", "webkit2gtk-driver").split("-")[0],
  }),
  client("deno", "Deno", "npm", {
    command: ["node_modules/.bin/deno", "run", "--no-config", "--allow-net", "drivers/deno.mjs"],
    release: () => ways.npm.release("deno"),
  }),
  client("undici", "undici", "npm"),
  client("node", "Node's own undici", "npm", {
    from: "Node",
    command: [node, "--experimental-eventsource", "drivers/node.mjs"],
    release: () => says(node, "--print", "process.versions.undici").trim(),
  }),
  client("eventsource", "eventsource", "npm", { name: "eventsource 5" }),
  client("eventsource-4", "eventsource-4", "npm", { name: "eventsource 4" }),
  client("eventsource-client", "eventsource-client", "npm"),
  client("launchdarkly-eventsource", "launchdarkly-eventsource", "npm"),
  // This client and sse.js reconnect after 204, so that most of their cases last until the deadline, and
  // event-source-plus does so 250 times a second.
  client("event-source-plus", "event-source-plus", "npm", { atOnce: 10 }),
  client("fetch-event-source", "@microsoft/fetch-event-source", "page", { reconnects: false }),
  client("event-source-polyfill", "event-source-polyfill", "page"),
  client("sse.js", "sse.js", "page", { atOnce: 15 }),
  client("openai", "openai", "npm", { reconnects: false, ids: false }),
  client("anthropic", "@anthropic-ai/sdk", "npm", { reconnects: false, ids: false }),
  client("httpx-sse", "httpx-sse", "PyPI", { reconnects: false }),
  client("sseclient-py", "sseclient-py", "PyPI", { reconnects: false }),
  client("requests-sse", "requests-sse", "PyPI"),
  client("aiohttp-sse-client2", "aiohttp-sse-client2", "PyPI"),
  client("launchdarkly-eventsource-py", "launchdarkly-eventsource", "PyPI", {
    command: ways.PyPI.run("launchdarkly-eventsource"),
  }),
  client("openai-py", "openai", "PyPI", { reconnects: false }),
  client("anthropic-py", "anthropic", "PyPI", { reconnects: false }),
  client("reqwest-eventsource", "reqwest-eventsource", "crates.io"),
  client("sseer", "sseer", "crates.io"),
  client("eventsource-client-rs", "eventsource-client", "crates.io", {
    command: ways["crates.io"].run("eventsource-client"),
  }),
];
