// A server ends when its parent process ends, however it ends, and its streams end cleanly. A server
// that cannot end is killed.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { start } from "sse-clock";
import { eventually, isRunning } from "./use.mjs";

for (const how of ["is killed", "exits", "throws", "has nothing left to do"]) {
  const parent = spawn(process.execPath, ["parent.mjs", how], { stdio: ["pipe", "pipe", "ignore"] });
  const { pid, url } = JSON.parse(await once(parent.stdout, "data"));
  assert(isRunning(pid));
  const body = (await fetch(url)).body;
  if (how === "is killed") parent.kill("SIGKILL");
  else parent.stdin.write("end\n");
  // This throws if the stream is cut.
  for await (const _ of body);
  await eventually(`the server is gone when its parent ${how}`, () => !isRunning(pid));
  console.log(`the server is gone when its parent ${how}`);
}

const server = await start();
process.kill(server.pid, "SIGSTOP");
await server.stop();
assert(!isRunning(server.pid));
