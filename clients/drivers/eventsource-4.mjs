// npm's eventsource, the newest release that supports Node 20.
import { EventSource } from "eventsource-4";
import { opening, suite } from "./suite.mjs";

await suite(opening(EventSource), process.argv[2]);
