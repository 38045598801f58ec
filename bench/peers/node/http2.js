// The Node http example over HTTP/2, with its host, port, interval and certificate from the environment.
// Without `Connection: keep-alive`, which HTTP/2 does not have.
"use strict";
const { readFileSync } = require("node:fs");
const { createSecureServer } = require("node:http2");

const { CERT, HOST, INTERVAL, KEY, PORT } = process.env;
const period = Number(INTERVAL ?? 1000);

const stream = {
  "Content-Type": "text/event-stream",
  "Cache-Control": "no-cache",
  "Access-Control-Allow-Origin": "*",
  "Access-Control-Allow-Methods": "GET",
  "Access-Control-Allow-Headers": "Content-Type",
};

const server = createSecureServer({ cert: readFileSync(CERT), key: readFileSync(KEY) }, (req, res) => {
  if (req.url === "/events") {
    res.writeHead(200, stream);
    const interval = setInterval(() => res.write(`data: ${new Date().toLocaleTimeString("en-US")}\n\n`), period);
    req.on("close", () => clearInterval(interval));
  } else {
    res.writeHead(404);
    res.end("Not Found");
  }
});

server.listen(Number(PORT ?? 3000), HOST, () => {
  console.log(`Server listening on https://localhost:${server.address().port}`);
});
