// npm's launchdarkly-eventsource.
import launchdarkly from "launchdarkly-eventsource";
import { opening, suite } from "./suite.mjs";

// An id that no header can hold is thrown where nobody catches it.
process.on("uncaughtException", (error) => console.error(String(error)));
await suite(opening(launchdarkly.EventSource), process.argv[2]);
process.exit();
