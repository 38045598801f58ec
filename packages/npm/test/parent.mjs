// Starts a server, prints its process id and a URL, and ends at a line from stdin: parent.mjs HOW.
import { start } from "sse-clock";

const server = await start();
console.log(JSON.stringify({ pid: server.pid, url: server.url("/stream") }));
const ends = {
  exits: () => process.exit(0),
  throws: () => {
    throw new Error("on purpose");
  },
  "has nothing left to do": () => process.stdin.destroy(),
};
process.stdin.once("data", ends[process.argv[2]] ?? (() => {}));
