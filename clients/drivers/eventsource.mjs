// npm's eventsource.
import { EventSource } from "eventsource";
import { opening, suite } from "./suite.mjs";

await suite(opening(EventSource), process.argv[2]);
