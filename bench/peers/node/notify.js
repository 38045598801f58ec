// `examples/notify.rs` with Node's http: a set of responses, without the history.
"use strict";
const { createServer } = require("node:http");

const { HOST, PORT } = process.env;
const head = { "Content-Type": "text/event-stream", "Cache-Control": "no-cache", "Access-Control-Allow-Origin": "*" };
const subscribers = new Set();
let newest = Date.now();

const send = (block) => {
  for (const res of subscribers) res.write(block);
  keepAlive.refresh();
};
// A comment after 15 s of silence.
const keepAlive = setInterval(() => send(":\n"), 15_000);

const server = createServer((req, res) => {
  if (req.method === "GET" && req.url === "/events") {
    res.writeHead(200, head);
    res.flushHeaders();
    subscribers.add(res);
    req.on("close", () => subscribers.delete(res));
  } else if (req.method === "POST" && req.url === "/notify") {
    let text = "";
    req.setEncoding("utf8");
    req.on("data", (part) => (text += part));
    req.on("end", () => {
      send(`id: ${++newest}\ndata: ${text.split(/\r\n|\r|\n/).join("\ndata: ")}\n\n`);
      res.end(`Sent to ${subscribers.size}.\n`);
    });
  } else {
    res.writeHead(404);
    res.end("Not Found");
  }
});

server.listen(Number(PORT ?? 3000), HOST, () => {
  console.log(`Server listening on http://localhost:${server.address().port}`);
});
