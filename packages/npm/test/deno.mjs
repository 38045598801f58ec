// The package in Deno, which ends by itself.
import { start } from "sse-clock";
import { use } from "./use.mjs";

await use(start);
