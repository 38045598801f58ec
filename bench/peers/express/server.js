// The Express example that every tutorial shows, with its host and interval from the environment.
// Its timer outlives the client that it was started for: that is the example's, and is measured as it is.
"use strict";

const express = require("express");

const app = express();
const port = Number(process.env.PORT || 4000);
const interval = Number(process.env.INTERVAL || 1000);
let counter = 0;

app.get("/stream", (request, response) => {
  response.setHeader("Content-Type", "text/event-stream");
  response.setHeader("Cache-Control", "no-cache");
  response.setHeader("Connection", "keep-alive");
  response.setHeader("Access-Control-Allow-Origin", "*");
  response.setHeader("Access-Control-Allow-Methods", "GET");
  response.setHeader("Access-Control-Allow-Headers", "Content-Type");

  const send = () => response.write(`data: hello from server sent events ---- [${counter++}]\n\n`);
  send();
  setInterval(send, interval);
});

app.listen(port, process.env.HOST, () => {
  console.log(`Server listening on http://localhost:${port}`);
});
