// npm's launchdarkly-eventsource.
import launchdarkly from "launchdarkly-eventsource";
import { opening, suite } from "./suite.mjs";

// The client throws at an id that no header can hold, and nothing catches the error.
process.on("uncaughtException", (error) => console.error(String(error)));
await suite(opening(launchdarkly.EventSource), process.argv[2]);
process.exit();
