// Plays cases to one client, by its driver. What is right about the client is judged elsewhere.
import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { here } from "./clients.mjs";
import { hand } from "./hand.mjs";

/** The longest that a driver may take, in milliseconds. */
const ENDS = 20 * 60_000;

/** How long a case waits for a client to reconnect, in milliseconds: one client waits 10 s, when the
 * server closes the connection that the client would use again, and then 20 s more. */
const RECONNECTS = 40_000;

/** How long a case waits for one event too many, if nothing else can follow. */
const EXTRA = 500;

let runs = 0;

/** Plays `cases` from the server at `origin`. `judge` gets each post of what the client has dispatched
 * so far, and returns a verdict on it, which says whether the case is done. Returns the last verdicts. */
export async function play(client, cases, origin, judge) {
  runs += 1;
  const run = runs;
  const plays = cases.map((it, at) => ({ it, key: `${process.pid}.${run}.${at}`, events: [] }));
  const report = async (at, { events, closed, error }) => {
    const one = plays[at];
    const now = Date.now();
    one.start ??= now;
    Object.assign(one, { events, error });
    const isOver = closed || now - one.start > lasts(client, one.it) || now - allCame(one, now) >= EXTRA;
    const { name } = one.it;
    const verdict = await judge({ name, key: one.key, events, closed: isOver, reconnects: client.reconnects });
    if (verdict.done) one.verdict = verdict;
    return verdict;
  };
  const told = (url) => {
    const handed = plays.map(({ it, key }, at) => ({
      url: `${origin}${it.url}&key=${key}`,
      listen: it.listen,
      close_after: it.close_after ?? null,
      report: `${url}/report/${at}`,
    }));
    return { atOnce: client.atOnce, cases: handed };
  };
  const runner = await hand(report, told);
  const last = await drive(client, `${runner.url}/cases`);
  runner.close();
  for (const [at, { events, verdict }] of plays.entries()) {
    if (!verdict) await report(at, { events, closed: true, error: `the driver has ended: ${last}` });
  }
  return plays.map(({ events, error, verdict }) => ({ ...verdict, heard: events, error }));
}

/** How long a case may take, in milliseconds. A client's `waits` replaces RECONNECTS. */
function lasts(client, { later_requests, deadline_ms }) {
  const isAwaited = client.reconnects && later_requests?.length > 0;
  return isAwaited ? Math.max(deadline_ms, client.waits ?? RECONNECTS) : deadline_ms;
}

/** When all events had come, if no later request is judged. */
function allCame(one, now) {
  const { expect, later_requests } = one.it;
  if (later_requests === null && expect.length > 0 && one.events.length >= expect.length) one.allCame ??= now;
  return one.allCame;
}

/** Runs a driver to its end, and returns the last error that it printed. */
async function drive({ command: [program, ...args] }, url) {
  const child = spawn(program, [...args, url], { cwd: here, stdio: ["ignore", "ignore", "pipe"], detached: true });
  // What it started is in a group of its number.
  const end = () => {
    try {
      process.kill(-child.pid, "SIGKILL");
    } catch {
      // It is gone.
    }
  };
  let last = "";
  createInterface(child.stderr).on("line", (line) => {
    // A stack trace follows its error.
    if (/error/i.test(line) || !/error/i.test(last)) last = line;
  });
  const timer = setTimeout(end, ENDS);
  process.once("exit", end);
  await new Promise((ended) => {
    child.once("error", (error) => ended((last = String(error))));
    child.once("close", ended);
  });
  process.off("exit", end);
  clearTimeout(timer);
  end();
  return last;
}
