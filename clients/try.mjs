// Plays one stream to one client from a bare socket, and prints what the client made of it:
// node try.mjs CLIENT 'wire=data:a%0A%0A' [TYPE]...
import { bare } from "./bare.mjs";
import { clients } from "./clients.mjs";
import { play } from "./drive.mjs";

const [id, stream, ...types] = process.argv.slice(2);
const client = clients.find((it) => it.id === id);
if (!client) throw new Error(`the clients are ${clients.map(({ id }) => id).join(", ")}`);
const socket = await bare();
/** Some clients wait 10 s before a reconnect. */
const LASTS = 35_000;
const it = { name: "", url: `/events?${stream}`, listen: ["message", ...types], expect: [], later_requests: [], deadline_ms: LASTS };
const [{ heard, requests, error }] = await play(client, [it], socket.url, socket.watch(LASTS));
for (const event of heard) console.log("heard", JSON.stringify(event));
for (const request of requests) console.log("asked", JSON.stringify(request));
if (error) console.log(error);
process.exit();
