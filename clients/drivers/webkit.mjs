// WebKitGTK's own EventSource, in a page from the server.
import { inWebKit } from "./webdriver.mjs";

await inWebKit(process.argv[2], "eventsource");
