// Plays one stream to one client from a bare socket, and prints what the client made of it:
// node try.mjs CLIENT 'wire=data:a%0A%0A' [TYPE | close=N]...
import { bare } from "./bare.mjs";
import { clients } from "./clients.mjs";
import { play } from "./drive.mjs";

const [id, stream, ...rest] = process.argv.slice(2);
const types = rest.filter((it) => !it.startsWith("close="));
const [last] = rest.filter((it) => it.startsWith("close=")).map((it) => Number(it.slice(6)));
const client = clients.find((it) => it.id === id);
if (!client) throw new Error(`the clients are ${clients.map(({ id }) => id).join(", ")}`);
const socket = await bare();
/** Some clients wait 10 s before a reconnect. */
const LASTS = 35_000;
const it = { name: stream, url: `/events?${stream}`, listen: ["message", ...types], expect: [], close_after: last, later_requests: [], deadline_ms: LASTS };
const [{ heard, requests, redirects, error }] = await play(client, [it], socket.url, socket.watch(LASTS));
for (const event of heard) console.log("heard", JSON.stringify(event));
for (const request of requests) console.log("asked", JSON.stringify(request));
if (redirects) console.log("redirects", redirects);
if (error) console.log(error);
process.exit();
