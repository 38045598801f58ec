// The EventSource of Node's HTTP client.
import { Agent, EventSource, setGlobalDispatcher } from "undici";
import { opening, suite } from "./suite.mjs";

// An id that no header can hold is thrown from a timer, and would end the process.
process.on("uncaughtException", (error) => console.error(String(error)));
setGlobalDispatcher(new Agent());
await suite(opening(EventSource), process.argv[2]);
process.exit();
