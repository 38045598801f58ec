// Plays the whole suite to npm's eventsource, and expects the failures that are known:
// suite.mjs clients/results.json
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { EventSource } from "eventsource";
import { start } from "sse-clock";
import { isRunning } from "./use.mjs";

const AT_ONCE = 16;
const { events, ids, reconnects } = JSON.parse(readFileSync(process.argv[2], "utf8")).eventsource;
const known = [...new Set([...events, ...ids, ...reconnects])].sort();

const server = await start();
const cases = await server.cases();

/** Plays a case, and returns whether the client fails it. */
async function fails({ name, url, listen, expect, later_requests, close_after, deadline_ms }, key) {
  const source = new EventSource(`${server.url(url)}&key=${key}`);
  const events = [];
  const end = Date.now() + deadline_ms;
  let isOver = false;
  const hear = ({ type, data, lastEventId: id }) => {
    if (data === undefined) return; // A failure, which is an event of the type error.
    const isLarge = /^x{5000,}$/.test(data);
    events.push(isLarge ? { event: type, data: null, size: data.length, id } : { event: type, data: data.slice(0, 5000), id });
    if (events.length === close_after) source.close();
    // Time for one event too many.
    if (!later_requests && events.length === expect.length) setTimeout(() => (isOver = true), 500);
  };
  for (const type of listen) source.addEventListener(type, hear);
  for (;;) {
    await sleep(500);
    const closed = isOver || source.readyState === EventSource.CLOSED || Date.now() > end;
    const { done, right } = await server.judge({ name, key, events, closed });
    if (!done) continue;
    source.close();
    return !right;
  }
}

/** Plays cases, and returns the names of those that the client fails. */
async function failures(cases, run) {
  const failed = [];
  const left = [...cases];
  const lane = async () => {
    for (let one; (one = left.shift()); ) if (await fails(one, `${run}.${one.name}`)) failed.push(one.name);
  };
  await Promise.all(Array.from({ length: AT_ONCE }, lane));
  return failed;
}

const first = await failures(cases, "first");
// A busy machine makes a client late.
const late = cases.filter(({ name }) => first.includes(name) && !known.includes(name));
const second = await failures(late, "second");
const failed = first.filter((name) => known.includes(name) || second.includes(name));
assert.deepEqual(failed.sort(), known);
console.log(`eventsource passes ${cases.length - failed.length} of ${cases.length} cases, as is known`);
await server.stop();
assert(!isRunning(server.pid));
