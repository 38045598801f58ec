// The command: `npx sse-clock`, its exit status, and its signals.
import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { eventually, isRunning } from "./use.mjs";

const NPX = ["--no-install", "sse-clock"];

const help = spawnSync("npx", [...NPX, "--help"], { encoding: "utf8" });
assert.equal(help.status, 0, help.stderr);
assert.match(help.stdout, /Usage: sse-clock/);
const wrong = spawnSync("npx", [...NPX, "--nonsense"], { encoding: "utf8" });
assert.equal(wrong.status, 2, wrong.stderr);
assert.match(wrong.stderr, /^error: unexpected argument '--nonsense'/);

/** The processes that `pid` has started, and so on. */
function descendants(pid) {
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").trim();
  return children.split(" ").filter(Boolean).flatMap((child) => [+child, ...descendants(child)]);
}

// npx passes no signal on to the command, but a terminal sends Ctrl-C to all of the processes.
for (const [command, signal, isForAll] of [
  ["node_modules/.bin/sse-clock", "SIGINT", false],
  ["node_modules/.bin/sse-clock", "SIGTERM", false],
  ["node_modules/.bin/sse-clock", "SIGKILL", false],
  ["npx", "SIGINT", true],
  ["npx", "SIGKILL", true],
]) {
  // A stdin that is closed is no reason to stop.
  const stdio = ["ignore", "pipe", "ignore"];
  const args = [...(command === "npx" ? NPX : []), "--port", "0"];
  const first = spawn(command, args, { stdio, detached: true });
  const [, url] = /listening on (\S+)/.exec(await once(first.stdout, "data"));
  const all = descendants(first.pid);
  const { body } = await fetch(`${url}/stream`);
  process.kill(isForAll ? -first.pid : first.pid, signal);
  const isWhole = await read(body).then(() => true, () => false);
  assert.equal(isWhole, !(isForAll && signal === "SIGKILL"));
  if (first.exitCode === null && first.signalCode === null) await once(first, "exit");
  // The shell that npx starts ends by the signal.
  if (command !== "npx" && signal !== "SIGKILL") assert.equal(first.exitCode, 0);
  await eventually("all processes are gone", () => !all.some(isRunning));
  console.log(`${command} ends at ${signal}`);
}

async function read(body) {
  for await (const _ of body);
}
