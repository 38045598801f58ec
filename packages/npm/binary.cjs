"use strict";
const { statSync } = require("node:fs");

/** Returns the path of the program: `SSE_CLOCK_BINARY`, or the file in the package of this platform. */
exports.binary = () => {
  const named = process.env.SSE_CLOCK_BINARY;
  if (named && !statSync(named, { throwIfNoEntry: false })?.isFile()) {
    throw new Error(`SSE_CLOCK_BINARY is ${named}, which is no file`);
  }
  if (named) return named;
  const platform = `${process.platform}-${process.arch}`;
  const name = `@sse-clock/${platform}`;
  try {
    return require.resolve(`${name}/bin/sse-clock${process.platform === "win32" ? ".exe" : ""}`);
  } catch {
    const why =
      name in require("./package.json").optionalDependencies
        ? `the package ${name} is not installed or has no release yet; install it without --omit=optional`
        : "there is no package for this platform";
    throw new Error(
      `no sse-clock for ${platform}: ${why}, or build the program in a checkout with ` +
        "cargo build --release --features tls, and set SSE_CLOCK_BINARY to its path",
    );
  }
};
