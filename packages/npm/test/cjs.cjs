// The package in CommonJS, and its errors where it has no program.
const assert = require("node:assert/strict");
const { start } = require("sse-clock");

const set = (property, value) => Object.defineProperty(process, property, { value });

async function main() {
  const { use } = await import("./use.mjs");
  await use(start);
  await judgesNothing();
  const advice =
    "or build the program in a checkout with cargo build --release --features tls, " +
    "and set SSE_CLOCK_BINARY to its path";
  set("arch", "arm64");
  await assert.rejects(start(), {
    message:
      "no sse-clock for linux-arm64: the package @sse-clock/linux-arm64 is not installed or has no release yet; " +
      `install it without --omit=optional, ${advice}`,
  });
  set("platform", "sunos");
  await assert.rejects(start(), {
    message: `no sse-clock for sunos-arm64: there is no package for this platform, ${advice}`,
  });
  process.env.SSE_CLOCK_BINARY = "/nowhere/sse-clock";
  await assert.rejects(start(), { message: "SSE_CLOCK_BINARY is /nowhere/sse-clock, which is no file" });
}

/** A result that is missing is an error, not a request for the cases. */
async function judgesNothing() {
  const server = await start();
  await assert.rejects(server.judge(undefined), /^Error: .*null/);
  await server.stop();
}

main();
