// Plays cases to one client, by its driver, and judges what it made of them.
import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { here } from "./clients.mjs";
import { hand } from "./hand.mjs";
import { judge, over } from "./judge.mjs";

/** The longest that a driver may take, in milliseconds. */
const ENDS = 20 * 60_000;

let runs = 0;

/** Plays `cases` from the server at `origin`; `seen` tells what that saw of a key. */
export async function play(client, cases, origin, seen) {
  runs += 1;
  const run = runs;
  const stats = new Map();
  const key = (at) => `${process.pid}.${run}.${at}`;
  const look = async (at) => {
    const now = await seen(key(at));
    // A key is forgotten some time after its last request.
    if (now.requests.length > 0 || !stats.has(at)) stats.set(at, now);
    return stats.get(at);
  };
  const reported = new Set();
  const until = (at) => over(cases[at], () => look(at), () => reported.has(at));
  const told = (url) => {
    const handed = cases.map(({ url: path, listen }, at) => ({
      name: String(at),
      url: `${origin}${path}&key=${key(at)}`,
      listen,
      until: `${url}/until/${at}`,
    }));
    return { atOnce: client.atOnce, cases: handed };
  };
  const runner = await hand(until, told);
  const lookAgain = (at) => {
    reported.add(at);
    return look(at);
  };
  const { reports, last } = await drive(client, `${runner.url}/cases`, lookAgain);
  runner.close();
  return cases.map((it, at) => {
    const { events: heard = [], error = null } = reports.get(String(at)) ?? { error: `no report: ${last}` };
    const requests = stats.get(at)?.requests ?? [];
    return { name: it.name, heard, requests, error, ...judge(it, heard, requests, client.comesBack) };
  });
}

/** Runs a driver and collects its reports; `look` looks at each case once more, for a client that
 * ended by itself may have done something since the last look. */
async function drive({ command: [program, ...args] }, url, look) {
  const child = spawn(program, [...args, url], { cwd: here, stdio: ["ignore", "pipe", "pipe"], detached: true });
  // What it started is in a group of its number.
  const end = () => {
    try {
      process.kill(-child.pid, "SIGKILL");
    } catch {
      // It is gone.
    }
  };
  const reports = new Map();
  const looks = [];
  let last = "";
  createInterface(child.stdout).on("line", (line) => {
    if (!line.startsWith("{")) return;
    const report = JSON.parse(line);
    reports.set(report.name, report);
    looks.push(look(Number(report.name)));
  });
  createInterface(child.stderr).on("line", (line) => (last = line));
  const timer = setTimeout(end, ENDS);
  process.once("exit", end);
  await new Promise((ended) => {
    child.once("error", (error) => ended((last = String(error))));
    child.once("close", ended);
  });
  process.off("exit", end);
  clearTimeout(timer);
  end();
  await Promise.all(looks);
  return { reports, last };
}
