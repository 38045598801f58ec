"use strict";
const { spawn } = require("node:child_process");
const http = require("node:http");
const https = require("node:https");
const { binary } = require("./binary.cjs");

/** Older versions of Node have no such symbol. This is the one that compilers use there. */
const asyncDispose = Symbol.asyncDispose ?? Symbol.for("Symbol.asyncDispose");

/** How many milliseconds a server may take to stop: twice what `--drain` is by default. */
const STOP_TIMEOUT = 10_000;

class Server {
  #program;
  #origin;
  #ended;

  constructor(program, origin) {
    this.#program = program;
    this.#origin = origin;
    this.#ended = new Promise((resolve) => program.once("exit", () => resolve()));
    this.pid = program.pid;
  }

  url(path) {
    return this.#origin + path;
  }

  async stats(key) {
    const query = key === undefined ? "" : `?key=${encodeURIComponent(key)}`;
    return (await request(this.url(`/stats${query}`))).json;
  }

  async cases() {
    return (await request(this.url("/cases"))).json.cases;
  }

  async judge(result) {
    return (await request(this.url("/cases"), result ?? null)).json;
  }

  async stop() {
    // Without this Node might exit before the program has ended.
    this.#program.ref();
    this.#program.stdin.end();
    const late = setTimeout(() => this.#program.kill("SIGKILL"), STOP_TIMEOUT);
    await this.#ended;
    clearTimeout(late);
  }

  [asyncDispose]() {
    return this.stop();
  }
}

/** Gets `url`, or posts `content` to it. Returns the JSON, and the certificate in PEM. */
function request(url, content) {
  return new Promise((resolve, reject) => {
    const tls = url.startsWith("https:");
    const method = content === undefined ? "GET" : "POST";
    // Not verified: the server is a child process on this machine.
    const options = { method, agent: false, rejectUnauthorized: false };
    const sent = (tls ? https : http).request(url, options, (response) => {
      const certificate = tls ? response.socket.getPeerX509Certificate().toString() : undefined;
      let text = "";
      response.setEncoding("utf8");
      response.on("data", (part) => (text += part));
      response.on("error", reject);
      response.on("end", () => {
        if (response.statusCode === 200) resolve({ json: JSON.parse(text), certificate });
        else reject(new Error(text.trim() || `${method} ${url}: ${response.statusCode}`));
      });
    });
    sent.on("error", reject);
    sent.end(content === undefined ? undefined : JSON.stringify(content));
  });
}

async function start({ port = 0, tls = false, args = [] } = {}) {
  const flags = ["--until-stdin-closes", "--port", `${port}`, ...(tls ? ["--tls"] : []), ...args];
  // Warnings and errors of the server go to stderr, and more if RUST_LOG asks for it.
  const env = { RUST_LOG: "warn", ...process.env };
  // Ctrl-C in a terminal reaches this process, which may still ask for the statistics.
  const detached = process.platform !== "win32";
  const program = spawn(binary(), flags, { env, detached, windowsHide: true });
  const origin = await listening(program);
  const server = new Server(program, origin);
  // A program that forgets to stop the server can end nevertheless, and the server ends with it.
  for (const it of [program, ...program.stdio]) it.unref?.();
  if (origin.startsWith("https:")) {
    server.certificate = (await request(server.url("/stats"))).certificate;
  }
  return server;
}

/** Waits until the program listens and returns the origin, or rejects with the program's error. */
function listening(program) {
  return new Promise((resolve, reject) => {
    let isListening = false;
    let lines = "";
    let errors = "";
    program.stdout.setEncoding("utf8").on("data", (text) => {
      if (isListening) return;
      lines += text;
      const found = /^Server listening on (\S+)\n/.exec(lines);
      if (!found) return;
      isListening = true;
      resolve(found[1]);
    });
    program.stderr.setEncoding("utf8").on("data", (text) => {
      if (isListening) process.stderr.write(text);
      else errors += text;
    });
    program.on("error", reject);
    program.on("close", (status, signal) => {
      const line = errors.trim().replace(/^error: /, "");
      reject(new Error(line || `sse-clock ended with ${signal ?? `status ${status}`}`));
    });
  });
}

exports.start = start;
