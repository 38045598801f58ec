// npm's sse.js, in a page of Chromium: the client needs a browser.
import { chromium, inPage } from "./page.mjs";

await inPage(chromium, process.argv[2], "sse.js");
