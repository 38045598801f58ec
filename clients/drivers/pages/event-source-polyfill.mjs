// Runs in a page: npm's event-source-polyfill.
import "../../node_modules/event-source-polyfill/src/eventsource.js";
import { opening } from "../suite.mjs";

export const open = opening(globalThis.EventSourcePolyfill);
