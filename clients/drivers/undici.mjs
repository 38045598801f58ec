// The EventSource of npm's undici, Node's HTTP client.
import { Agent, EventSource, setGlobalDispatcher } from "undici";
import { opening, suite } from "./suite.mjs";

// At an id that no header can hold undici throws from a timer, which would end the process.
process.on("uncaughtException", (error) => console.error(String(error)));
setGlobalDispatcher(new Agent());
await suite(opening(EventSource), process.argv[2]);
process.exit();
