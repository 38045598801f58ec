// Firefox's own EventSource, in a page of the server.
import { firefox, inPage } from "./page.mjs";

await inPage(firefox, process.argv[2], "eventsource");
