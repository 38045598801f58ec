// Writes resume.svg, the picture of the README, from a real stream:
// node docs/resume.mjs localhost 3000 > docs/resume.svg
import { connect } from "node:net";

const [host, port] = process.argv.slice(2);
const TARGET = "/events?ids&count=3&end=abort&retry=2300&comment=0";
const RETRY = 2300, HOLD = 4000;
const begin = Date.now();
/** What is drawn: the second at which it appears, its column, its text, and its kind. */
const items = [];
const put = (column, kind, text) => items.push({ at: (Date.now() - begin) / 1000, column, kind, text });

/** Opens the stream, and returns the last id when the connection is cut. */
function open(lastEventId) {
  return new Promise((resolve) => {
    const header = lastEventId ? `Last-Event-ID: ${lastEventId}\r\n` : "";
    const socket = connect(port, host, () => socket.write(`GET ${TARGET} HTTP/1.1\r\nHost: ${host}\r\n${header}\r\n`));
    put("bytes", "request", `GET ${TARGET.replace("&comment=0", "")}`);
    if (header) put("bytes", "request", header.trim());
    let text = "", isBody = false, event = {}, begun;
    socket.on("data", (bytes) => {
      text += bytes;
      if (!isBody && text.includes("\r\n\r\n")) {
        put("bytes", "head", text.split("\r\n")[0]);
        text = text.slice(text.indexOf("\r\n\r\n") + 4);
        isBody = true;
        begun = Date.now();
      }
      // Each event is a chunk: its size, its bytes, a line end.
      for (let chunk; isBody && (chunk = /^([\da-f]+)\r\n/.exec(text)); ) {
        const start = chunk[0].length, end = start + parseInt(chunk[1], 16);
        if (text.length < end + 2) break;
        for (const line of text.slice(start, end).split("\n").slice(0, -1)) {
          put("bytes", line ? "line" : "blank", line);
          const [name, value] = line.split(": ");
          if (line) event[name] = value;
          else put("events", "event", event.data + (Date.now() - begun < 200 ? "   missed, sent at once" : ""));
          if (name === "id") lastEventId = value;
          if (!line) event = {};
        }
        text = text.slice(end + 2);
      }
    });
    socket.on("error", () => {});
    socket.on("close", () => { put("bytes", "cut", "the connection is cut"); resolve(lastEventId); });
  });
}

const id = await open();
put("events", "note", `the client waits ${RETRY / 1000} s, as retry says`);
await new Promise((later) => setTimeout(later, RETRY));
put("events", "note", "it reconnects with the last id");
await open(id);
put("events", "note", "and no second is missing");

const LINE = 17, GAP = 7, TOP = 48, LEFT = { bytes: 20, events: 500 };
const total = (Date.now() - begin + HOLD) / 1000;
const escape = (text) => text.replace(/[&<>]/g, (sign) => `&#${sign.codePointAt(0)};`);
let y = TOP;
const drawn = [], times = new Map();
for (const { at, column, kind, text } of items) {
  if (kind === "blank") { y += GAP; continue; }
  // An event is drawn beside the last line of its bytes.
  if (kind !== "event") y += LINE;
  const time = at.toFixed(2);
  if (!times.has(time)) times.set(time, `a${times.size}`);
  const words = kind === "event" ? `message  ${text}` : text;
  const row = kind === "event" ? y - GAP : y;
  drawn.push(`<text class="${kind} ${times.get(time)}" x="${LEFT[column]}" y="${row}">${escape(words)}</text>`);
}
const height = y + 24;
const frames = [...times].map(([time, name]) => {
  const percent = (100 * time / total).toFixed(2);
  return `.${name}{animation-name:${name}}@keyframes ${name}{0%,${percent}%{opacity:0}${(+percent + 0.4).toFixed(2)}%,97%{opacity:1}100%{opacity:0}}`;
});
console.log(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 860 ${height}" role="img">
<title>A stream is cut, the client reconnects with its last id, and the events it missed come at once</title>
<style>
svg{--ink:#1f2328;--soft:#656d76;--line:#d0d7de;--back:#f6f8fa;--blue:#0550ae;--green:#116329;--red:#cf222e}
@media(prefers-color-scheme:dark){svg{--ink:#e6edf3;--soft:#8d96a0;--line:#30363d;--back:#161b22;--blue:#79c0ff;--green:#7ee787;--red:#ff7b72}}
text{font:13px ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;fill:var(--ink);white-space:pre;animation:${total.toFixed(2)}s linear infinite}
.title{font:600 13px system-ui,sans-serif;fill:var(--soft);animation:none}
.request{fill:var(--blue)}.head,.note{fill:var(--soft)}.cut{fill:var(--red)}.event{fill:var(--green)}.note{font-family:system-ui,sans-serif}
${frames.join("\n")}
@media(prefers-reduced-motion){text{animation:none}}
</style>
<rect x=".5" y=".5" width="859" height="${height - 1}" rx="8" style="fill:var(--back);stroke:var(--line)"/>
<path d="M480 16V${height - 16}M20 40H840" style="stroke:var(--line)"/>
<text class="title" x="20" y="28">the raw bytes</text><text class="title" x="500" y="28">the events</text>
${drawn.join("\n")}
</svg>`);
