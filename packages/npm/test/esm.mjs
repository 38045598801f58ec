// The package as an ES module.
import assert from "node:assert/strict";
import https from "node:https";
import { start } from "sse-clock";
import { isRunning, use } from "./use.mjs";

await use(start);

const server = await start({ tls: true });
const { statusCode, authorized } = await new Promise((resolve, reject) => {
  const trust = { ca: server.certificate, agent: false };
  const get = https.get(server.url("/events?count=1&interval=10&key=mine"), trust, (response) => {
    const { statusCode, socket } = response;
    response.resume().on("end", () => resolve({ statusCode, authorized: socket.authorized }));
  });
  get.on("error", reject);
});
assert.deepEqual([statusCode, authorized], [200, true]);
assert.equal((await server.stats("mine")).events, 1);

const { port } = new URL(server.url("/"));
await assert.rejects(start({ port }), {
  message: `port ${port} is in use: stop its owner, or choose another with --port`,
});
await assert.rejects(start({ args: ["--nonsense"] }), /^Error: unexpected argument '--nonsense' found/);
await assert.rejects(server.judge({ name: "one-event", key: "a", events: 1 }), /invalid type/);

await server[Symbol.asyncDispose ?? Symbol.for("Symbol.asyncDispose")]();
await server.stop();
assert(!isRunning(server.pid));
