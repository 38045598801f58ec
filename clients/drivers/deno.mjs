// The EventSource of Deno.
import { opening, suite } from "./suite.mjs";

await suite(opening(EventSource), Deno.args[0]);
Deno.exit();
