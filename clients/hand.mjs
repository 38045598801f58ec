// What a driver talks to: it hands out the cases, takes the posts of what a client has dispatched, and
// serves the files that a page needs.
import { createServer } from "node:http";
import { text } from "node:stream/consumers";
import { readFile } from "node:fs/promises";
import { here } from "./clients.mjs";

/** Hands out what `told` makes of its own URL. `report(at, post)` takes a post of that case, and says
 * whether the case is done. */
export async function hand(report, told) {
  const respond = async (path, content) => {
    if (path === "/cases") return JSON.stringify(told(url));
    if (path.startsWith("/report/")) {
      const { done } = await report(Number(path.slice(8)), JSON.parse(content));
      return JSON.stringify({ done });
    }
    // A module may leave out the ending of another's name.
    const file = here + path.slice(1);
    return readFile(file).catch(() => readFile(`${file}.js`));
  };
  const server = createServer(async (request, response) => {
    const path = new URL(request.url, url).pathname;
    const type = /js$|^.node_modules/.test(path) ? "text/javascript" : "application/json";
    response.setHeader("Access-Control-Allow-Origin", "*");
    response.setHeader("Content-Type", type);
    const content = await text(request).catch(() => "");
    respond(path, content).then(
      (body) => response.end(body),
      (error) => response.writeHead(404).end(String(error)),
    );
  });
  // No connection is closed while a driver may just be using it again.
  server.requestTimeout = server.keepAliveTimeout = 0;
  await new Promise((listens) => server.listen(0, "127.0.0.1", listens));
  const url = `http://127.0.0.1:${server.address().port}`;
  const close = () => (server.close(), server.closeAllConnections());
  return { url, close };
}
