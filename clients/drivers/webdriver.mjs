// Plays the suite in a page of WebKitGTK, through WebKitWebDriver on a display of Xvfb.
import { spawn } from "node:child_process";
import { play } from "./page.mjs";

const programs = [];

/** Starts a program and returns the first line of its output on `fd`. */
function start(program, args, { fd = 1, env } = {}) {
  const stdio = ["ignore", "ignore", "ignore", "ignore"];
  stdio[fd] = "pipe";
  const child = spawn(program, args, { stdio, env: { ...process.env, ...env } });
  programs.push(child);
  return new Promise((line, failed) => {
    child.once("error", failed);
    child.stdio[fd].once("data", (data) => line(String(data).trim()));
  });
}

const port = 20_000 + (process.pid % 20_000);
const driver = `http://127.0.0.1:${port}`;

/** Sends a WebDriver command and returns the value of its response. */
async function command(method, path, body) {
  const answer = await fetch(driver + path, { method, body: body && JSON.stringify(body) });
  const { value } = await answer.json();
  if (!answer.ok) throw new Error(`${path}: ${value.error}: ${value.message}`);
  return value;
}

/** Waits until the driver listens. */
async function ready() {
  for (let tries = 0; tries < 100; tries += 1) {
    if (await command("GET", "/status").catch(() => false)) return;
    await new Promise((later) => setTimeout(later, 100));
  }
  throw new Error("WebKitWebDriver does not start");
}

/** Plays the cases that `url` lists with the client in `pages/CLIENT.mjs`. */
export async function inWebKit(url, client) {
  let session;
  try {
    const display = await start("Xvfb", ["-displayfd", "3", "-screen", "0", "1024x768x24"], { fd: 3 });
    start("WebKitWebDriver", [`--port=${port}`], { env: { DISPLAY: `:${display}` } });
    await ready();
    const browser = { binary: "/usr/lib/x86_64-linux-gnu/webkit2gtk-4.1/MiniBrowser", args: ["--automation"] };
    const capabilities = { alwaysMatch: { "webkitgtk:browserOptions": browser } };
    session = `/session/${(await command("POST", "/session", { capabilities })).sessionId}`;
    const { cases } = await (await fetch(url)).json();
    await command("POST", `${session}/timeouts`, { script: 1_200_000 });
    await command("POST", `${session}/url`, { url: new URL("/an-empty-page", cases[0].url).href });
    // A command that takes minutes would exceed the timeout of fetch. So the script starts here, and
    // the loop below polls for its end.
    const script = `(${play})(...arguments).then(() => { window.ended = "played"; }, (error) => { window.ended = String(error); });`;
    await command("POST", `${session}/execute/sync`, { script, args: [url, client] });
    let ended = null;
    while (ended === null) {
      await new Promise((later) => setTimeout(later, 500));
      ended = await command("POST", `${session}/execute/sync`, { script: "return window.ended ?? null", args: [] });
    }
    if (ended !== "played") throw new Error(ended);
  } finally {
    if (session) await command("DELETE", session).catch(() => {});
    for (const program of programs.reverse()) program.kill();
  }
}
