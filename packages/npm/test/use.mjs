// What every user of the package does.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";

/** Starts a server, streams, reads the statistics, stops the server, and expects its process to be gone. */
export async function use(start, options) {
  const server = await start(options);
  assert(isRunning(server.pid));
  const response = await fetch(server.url("/events?ids&interval=10&count=3&key=mine"));
  assert.equal((await response.text()).match(/^data: /gm).length, 3);
  const { events, requests } = await server.stats("mine");
  assert.deepEqual([events, requests.length], [3, 1]);
  assert((await server.stats()).opened >= 1);
  await server.stop();
  assert(!isRunning(server.pid));
}

/** Whether a process runs. One that has ended has no command line, even if nothing waits for it. */
export function isRunning(pid) {
  try {
    return readFileSync(`/proc/${pid}/cmdline`).length > 0;
  } catch {
    return false;
  }
}

/** Waits until `fact` holds, for 20 seconds at most. */
export async function eventually(what, fact) {
  const end = Date.now() + 20_000;
  while (!(await fact())) {
    assert(Date.now() < end, `never came true: ${what}`);
    await new Promise((later) => setTimeout(later, 20));
  }
}
