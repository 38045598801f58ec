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
  const ids = [];
  source.onmessage = ({ lastEventId }) => ids.push(lastEventId);
  await vi.waitFor(() => expect(ids.length).toBeGreaterThan(3), 20_000);
  source.close();
  const { requests } = await server.stats("mine");
  expect(requests[1].last_event_id).toBe(ids[2]);
}, 30_000);
