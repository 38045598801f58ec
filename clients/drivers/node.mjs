// Node's built-in EventSource, behind a flag.
import { opening, suite } from "./suite.mjs";

process.on("uncaughtException", (error) => console.error(String(error)));
await suite(opening(EventSource), process.argv[2]);
process.exit();
