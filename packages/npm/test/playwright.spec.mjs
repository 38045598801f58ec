// A test with Playwright: a real browser reconnects from the newest id.
import { expect, test } from "@playwright/test";
import { start } from "sse-clock";
import { isRunning } from "./use.mjs";

test.use({ launchOptions: { executablePath: process.env.CHROMIUM } });

test("the browser reconnects from the newest id", async ({ page }) => {
  const server = await start();
  await page.goto(server.url("/"));
  const url = server.url("/events?ids&interval=100&count=3&end=abort&retry=100&key=mine");
  const ids = await page.evaluate(async (url) => {
    const ids = [];
    await new Promise((done) => {
      const source = new EventSource(url);
      source.onmessage = ({ lastEventId }) => {
        if (ids.push(lastEventId) < 4) return;
        source.close();
        done();
      };
    });
    return ids;
  }, url);
  const { requests } = await server.stats("mine");
  expect(requests[1].last_event_id).toBe(ids[2]);
  await server.stop();
  expect(isRunning(server.pid)).toBe(false);
});
