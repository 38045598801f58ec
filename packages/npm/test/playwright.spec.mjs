// A test with Playwright: a real browser reconnects from the newest id.
import { expect, test } from "@playwright/test";
import { start } from "sse-clock";
import { isRunning } from "./use.mjs";

test.use({ launchOptions: { executablePath: process.env.CHROMIUM } });

test("the browser reconnects from the newest id", async ({ page }) => {
  const server = await start();
  await page.goto(server.url("/"));
  const url = server.url("/events?ids&interval=100&count=3&end=abort&retry=100&key=mine");
  // The id at the cut, which need not be the third: Chromium may drop an event that it sees with a cut.
  const newest = await page.evaluate((url) => new Promise((done) => {
    let [id, newest] = [];
    const source = new EventSource(url);
    source.onerror = () => { newest ??= id; };
    source.onmessage = ({ lastEventId }) => {
      id = lastEventId;
      if (newest === undefined) return;
      source.close();
      done(newest);
    };
  }), url);
  const { requests } = await server.stats("mine");
  expect(requests[1].last_event_id).toBe(newest);
  await server.stop();
  expect(isRunning(server.pid)).toBe(false);
});
