// The two Node examples in one program: `/events` as with node:http, `/stream` as with Express.
"use strict";
const { createServer } = require("node:http");

const period = Number(process.env.INTERVAL ?? 1000);

const cors = {
  "Access-Control-Allow-Origin": "*",
  "Access-Control-Allow-Methods": "GET",
  "Access-Control-Allow-Headers": "Content-Type",
};
const stream = { "Content-Type": "text/event-stream", "Cache-Control": "no-cache", Connection: "keep-alive", ...cors };

let greetings = 0;

const server = createServer((req, res) => {
  if (req.url === "/events") {
    res.writeHead(200, stream);
    const interval = setInterval(() => res.write(`data: ${new Date().toLocaleTimeString("en-US")}\n\n`), period);
    req.on("close", () => clearInterval(interval));
  } else if (req.url === "/stream") {
    res.writeHead(200, stream);
    const greet = () => res.write(`data: hello from server sent events ---- [${greetings++}]\n\n`);
    greet();
    const interval = setInterval(greet, period);
    req.on("close", () => clearInterval(interval));
  } else {
    res.writeHead(404);
    res.end("Not Found");
  }
});

server.listen(Number(process.env.PORT ?? 3000), "127.0.0.1", () => {
  console.log(`Server listening on http://localhost:${server.address().port}`);
});
