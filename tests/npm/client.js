// Reads as many events as asked for with an EventSource that is not ours, and prints each.
// node client.js URL TYPE COUNT
import { EventSource } from "eventsource";

const [url, type, count] = process.argv.slice(2);
const source = new EventSource(url);
let left = Number(count);
// A client that waits to come back does not keep Node running.
const stay = setInterval(() => {}, 1000);

source.addEventListener(type, ({ type, data, lastEventId }) => {
  if (left === 0) return;
  console.log(JSON.stringify({ type, data, id: lastEventId }));
  left -= 1;
  if (left > 0) return;
  source.close();
  clearInterval(stay);
});
