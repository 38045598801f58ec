// A test with vitest and npm's eventsource.
import { EventSource } from "eventsource";
import { start } from "sse-clock";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { isRunning } from "./use.mjs";

let server;

beforeAll(async () => {
  server = await start();
});

afterAll(async () => {
  await server.stop();
  expect(isRunning(server.pid)).toBe(false);
});

test("the client reconnects from the newest id", async () => {
  const source = new EventSource(server.url("/events?ids&interval=100&count=3&end=abort&retry=100&key=mine"));
  // The id at the cut, which need not be the third: a client may drop an event that it sees with a cut.
  let [id, newest] = [];
  source.onmessage = ({ lastEventId }) => { id = lastEventId; };
  source.onerror = () => { newest ??= id; };
  await vi.waitFor(async () => expect((await server.stats("mine")).requests.length).toBeGreaterThan(1), 20_000);
  source.close();
  const { requests } = await server.stats("mine");
  expect(newest).toBeDefined();
  expect(requests[1].last_event_id).toBe(newest);
}, 30_000);
