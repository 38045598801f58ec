// Chromium's own EventSource, in a page from the server.
import { chromium, inPage } from "./page.mjs";

await inPage(chromium, process.argv[2], "eventsource");
