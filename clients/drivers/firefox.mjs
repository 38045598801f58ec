// Firefox's own EventSource, in a page from the server.
import { firefox, inPage } from "./page.mjs";

await inPage(firefox, process.argv[2], "eventsource");
