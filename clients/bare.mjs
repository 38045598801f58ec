// A bare socket that plays the smallest streams: it knows HTTP/1.1 no further than that, so what a
// client makes of one is not the server's doing.
import { createServer } from "node:net";

const sleep = (ms) => new Promise((later) => setTimeout(later, ms));

/** The bytes of a value of a query string. */
function bytes(value) {
  const text = value.replaceAll("+", " ");
  const parts = text.match(/%[0-9a-f]{2}|[^%]/gi) ?? [];
  return Buffer.from(parts.map((part) => (part.length === 3 ? parseInt(part.slice(1), 16) : part.charCodeAt(0))));
}

function parameters(target) {
  const pairs = target.split("?")[1].split("&").map((pair) => pair.split(/=(.*)/s));
  return Object.fromEntries(pairs.map(([name, value]) => [name, bytes(value ?? "")]));
}

/** Serves `wire`, `ids`, `count`, `split`, `status`, `size`, `redirect`, `end`, `responses` of statuses, and a
 * `header` of one Content-Type as the server does, and notes what came, as its `/stats` does. Without
 * `responses` the second request gets a 204. */
export async function bare() {
  const keys = new Map();
  const key = (name) => {
    if (!keys.has(name)) keys.set(name, { requests: [], redirects: 0, made: Date.now() });
    return keys.get(name);
  };
  const answer = async (socket, head) => {
    const [, target] = head.split(" ");
    // Without content Chromium would show a page of its own, and its origin would not be this socket.
    if (!target.includes("?")) return socket.end("HTTP/1.1 404 Not Found\r\nContent-Length: 4\r\n\r\nnone");
    const asked = parameters(target);
    const { wire, ids, count, split, header, status, size, redirect, end, responses = "200,204" } = asked;
    const type = header ? String(header).replace("Content-Type:", "") : "text/event-stream";
    const seen = key(String(asked.key));
    if (redirect) {
      seen.redirects += 1;
      const onwards = target.replace(`&redirect=${redirect}`, "");
      return socket.end(`HTTP/1.1 ${redirect} Found\r\nLocation: ${onwards}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n`);
    }
    const id = /^last-event-id:[ \t]*(.*?)[ \t]*$/im.exec(head)?.[1];
    seen.requests.push({
      last_event_id: id === undefined ? null : Buffer.from(id, "latin1").toString(),
      after_ms: seen.ended ? Date.now() - seen.ended : null,
    });
    const items = String(responses).split(",");
    const code = String(status ?? items[Math.min(seen.requests.length, items.length) - 1]);
    const length = code !== "200" ? "Content-Length: 0\r\n" : "Transfer-Encoding: chunked\r\n";
    const typed = type ? `Content-Type: ${type}\r\n` : "";
    socket.write(
      `HTTP/1.1 ${code} It\r\n${typed}${length}` +
        "Access-Control-Allow-Origin: *\r\nConnection: close\r\n\r\n",
    );
    if (code !== "200") return socket.end();
    const whole = size ? Buffer.concat([Buffer.from("data:"), Buffer.alloc(Number(size), "x"), Buffer.from("\n\n")]) : wire;
    const endOf = (from) => whole.indexOf("\n\n", from) + 2;
    // After the block with this id, and up to the end of that many blocks.
    const begin = ids && id ? endOf(whole.lastIndexOf(`id:${id}\n`)) : 0;
    let until = begin;
    for (let left = Number(count ?? 0); left > 0; left--) until = endOf(until);
    const body = whole.subarray(begin, count ? until : undefined);
    const step = Number(split ?? 16_384);
    for (let at = 0; at < body.length && !socket.destroyed; at += step) {
      const frame = body.subarray(at, at + step);
      socket.write(`${frame.length.toString(16)}\r\n`);
      socket.write(frame);
      if (!socket.write("\r\n")) await Promise.race([new Promise((on) => socket.once("drain", on)), new Promise((on) => socket.once("close", on))]);
      if (split) await sleep(20);
    }
    if (String(end) === "stall") return;
    if (String(end) === "abort") socket.resetAndDestroy();
    else socket.end("0\r\n\r\n");
    seen.ended = Date.now();
  };
  const server = createServer((socket) => {
    socket.setNoDelay();
    socket.on("error", () => {});
    let head = "";
    socket.on("data", (data) => {
      head += data.toString("latin1");
      if (!head.endsWith("\r\n\r\n")) return;
      answer(socket, head);
      head = "";
    });
  });
  await new Promise((listens) => server.listen(0, "127.0.0.1", listens));
  /** Judges nothing: a stream is done once the client has ended or has reconnected as often as the
   * stream lets it, or after `ms`. */
  const watch = (ms) => ({ name: stream, key: name, closed }) => {
    const { requests, redirects, made } = key(name);
    const [, items = "200,204"] = /&responses=([^&]*)/.exec(stream) ?? [];
    const isOver = requests.length >= items.split(",").length;
    return { done: closed || isOver || Date.now() - made > ms, requests, redirects };
  };
  return {
    url: `http://127.0.0.1:${server.address().port}`,
    watch,
    close: () => server.close(),
  };
}
