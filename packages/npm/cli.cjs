#!/usr/bin/env node
"use strict";
const { spawn } = require("node:child_process");
const { binary } = require("./binary.cjs");

const FLAG = "--until-stdin-closes";

/** Runs the program until it ends, with the arguments of this process. */
function run(args) {
  // A terminal sends Ctrl-C to the program as well, and npx sends it to this process once more, but
  // a second signal ends the program at once. So a signal to this process only closes the stdin of
  // the program, which is a pipe.
  const isOwn = args.includes(FLAG);
  const program = spawn(binary(), isOwn ? args : [FLAG, ...args], { stdio: ["pipe", "inherit", "inherit"] });
  if (isOwn) process.stdin.pipe(program.stdin);
  // What is written after the end is lost.
  program.stdin.on("error", () => {});
  const stop = () => program.stdin.end();
  const signals = ["SIGINT", "SIGTERM", "SIGHUP"];
  for (const signal of signals) process.on(signal, stop);
  program.on("error", fail);
  program.on("exit", (status, signal) => {
    if (signal) {
      for (const name of signals) process.off(name, stop);
      process.kill(process.pid, signal);
    } else {
      process.exit(status);
    }
  });
}

function fail(error) {
  console.error(`error: ${error.message}`);
  process.exit(1);
}

try {
  run(process.argv.slice(2));
} catch (error) {
  fail(error);
}
