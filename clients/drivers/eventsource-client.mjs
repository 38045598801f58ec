// npm's eventsource-client, which dispatches every type without a list of types.
import { createEventSource } from "eventsource-client";
import { suite } from "./suite.mjs";

const open = ({ url }, hear) => {
  const source = createEventSource({
    url,
    onMessage: ({ event, data, id }) => hear(event ?? "message", data, id ?? ""),
  });
  return { close: () => source.close(), isClosed: () => source.readyState === "closed" };
};
await suite(open, process.argv[2]);
