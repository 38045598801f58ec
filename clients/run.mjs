// Plays the suite to every client, lets the server judge them, and writes the results to results.json
// and README.md, unless a client was named or a failure is not known:
// node run.mjs [CLIENT]...
import { spawn } from "node:child_process";
import { isDeepStrictEqual } from "node:util";
import { createInterface } from "node:readline";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { bare } from "./bare.mjs";
import { built, clients, here } from "./clients.mjs";
import { play } from "./drive.mjs";
import { failing, SCORES, table } from "./table.mjs";

// So that what it has started is ended.
for (const signal of ["SIGINT", "SIGTERM"]) process.once(signal, () => process.exit(1));

const wanted = process.argv.slice(2);
const bugs = JSON.parse(readFileSync(`${here}bugs.json`, "utf8"));

/** Starts the server on a port that is free. */
async function serve() {
  const program = `${built}../debug/sse-clock`;
  const child = spawn(program, ["--port", "0"], { stdio: ["ignore", "pipe", "ignore"] });
  process.once("exit", () => child.kill());
  const line = await new Promise((told) => createInterface(child.stdout).once("line", told));
  return { child, url: `http://127.0.0.1:${/:(\d+)\D*$/.exec(line)[1]}` };
}

/** The names of the cases that failed, score by score. */
function failures(results) {
  const of = (score) => results.filter((it) => it[score] === false).map(({ name }) => name);
  return Object.fromEntries(SCORES.map((score) => [score, of(score)]));
}

/** Whether a case fails that no bug of the client explains. A bug with `more` explains every case in
 * which nothing but `reconnects` is wrong. */
const isNews = (client, { name, right, events, ids }) => {
  const own = bugs.filter((bug) => bug.clients.includes(client.id));
  const isKnown = own.some(({ cases, more }) => cases.includes(name) || (more && events !== false && ids !== false));
  return !right && !isKnown;
};

const server = await serve();
/** Lets the server judge what a client has dispatched so far. */
const judge = async (post) => {
  const response = await fetch(`${server.url}/cases`, { method: "POST", body: JSON.stringify(post) });
  if (!response.ok) throw new Error(`${post.name}: ${await response.text()}`);
  return response.json();
};
const { cases } = await (await fetch(`${server.url}/cases`)).json();
const socket = await bare();
const problems = wanted.filter((id) => !clients.some((it) => it.id === id)).map((id) => `${id} is not in clients.mjs`);
mkdirSync(`${built}heard`, { recursive: true });

/** How long a stream of a bug is played, in milliseconds. */
const WATCHED = 6_000;

/** Whether a client does anything but what the stream of a bug is about: the events, with their ids if
 * the client tells them, the Last-Event-ID of each request after the first within WATCHED, the wait
 * before each of them, and the redirects. What a bug has not is not compared. */
const isShown = (client, { expect, last_event_ids: ids, after_ms: waits = [], redirects }, { heard, requests, redirects: sent }) => {
  const later = requests.slice(1);
  const isMistimed = waits.some((ms, at) => later[at] && (later[at].after_ms > 4 * ms || later[at].after_ms < 0.9 * ms));
  const isElsewhere = redirects !== undefined && redirects !== sent;
  const isOther = ids !== null && !isDeepStrictEqual(later.map(({ last_event_id: id }) => id ?? ""), ids);
  const expected = client.ids ? expect : expect.map(({ id, ...event }) => event);
  return !isDeepStrictEqual(heard, expected) || isOther || isMistimed || isElsewhere;
};

/** Plays the suite to a client, and its bugs by the smallest stream that shows each. */
async function hold(client) {
  const start = Date.now();
  let results = await play(client, cases, server.url, judge);
  // A machine that is busy makes a client late: what nobody knows of is looked at twice.
  const again = cases.filter((_, at) => isNews(client, results[at]));
  if (again.length > 0) {
    console.log(`${client.id} is played again: ${again.map(({ name }) => name).join(" ")}`);
    const second = await play({ ...client, atOnce: 2 }, again, server.url, judge);
    results = results.map((it) => second.find(({ name }) => name === it.name) ?? it);
  }
  writeFileSync(`${built}heard/${client.id}.json`, JSON.stringify(results, null, 1));
  for (const it of results) {
    if (isNews(client, it)) problems.push(`${client.id} fails ${it.name}, and no bug says why`);
  }

  // Without the server, so that what is its doing is laid at no client's door.
  const own = bugs.filter((bug) => bug.clients.includes(client.id));
  const of = ({ stream, listen, expect, close_after }) =>
    ({ name: stream, url: `/events?${stream}`, listen, expect, close_after, later_requests: [], deadline_ms: WATCHED });
  const smallest = await play(client, own.map(of), socket.url, socket.watch(WATCHED));
  const wrong = failures(results);
  own.forEach((bug, at) => {
    if (failing({ ...wrong, bugs: own }, bug).length === 0) problems.push(`${client.id}: no case shows this: ${bug.says}`);
    if (!isShown(client, bug, smallest[at])) problems.push(`${client.id}: ${bug.stream} does not show this: ${bug.says}`);
  });

  const release = client.release();
  const counts = SCORES.map((score) => `${score} ${cases.length - wrong[score].length}`).join(", ");
  console.log(`${client.id} ${release}: ${counts} of ${cases.length}, in ${Math.round((Date.now() - start) / 1000)} s`);
  return [client.id, { release, ...wrong }];
}

/** As many clients at once as leave each enough of a machine of two cores. */
const AT_ONCE = 2;
const left = clients.filter(({ id }) => wanted.length === 0 || wanted.includes(id));
const rows = [];
const lane = async () => {
  while (left.length > 0) rows.push(await hold(left.shift()));
};
await Promise.all(Array.from({ length: AT_ONCE }, lane));
server.child.kill();

if (wanted.length === 0 && problems.length === 0) {
  rows.sort(([one], [other]) => one.localeCompare(other));
  const results = Object.fromEntries(rows);
  writeFileSync(`${here}results.json`, `${JSON.stringify(results, null, 1)}\n`);
  writeFileSync(`${here}README.md`, table(results, cases));
}
for (const problem of problems) console.error(problem);
process.exit(problems.length > 0 ? 1 : 0);
