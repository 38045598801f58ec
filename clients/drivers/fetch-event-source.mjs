// npm's @microsoft/fetch-event-source, in a page of Chromium: the client needs a document.
import { chromium, inPage } from "./page.mjs";

await inPage(chromium, process.argv[2], "fetch-event-source");
