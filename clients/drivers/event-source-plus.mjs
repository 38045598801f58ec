// npm's event-source-plus, which dispatches every type.
import { EventSourcePlus } from "event-source-plus";
import { suite } from "./suite.mjs";

// The client throws at an id that no header can hold, and nothing catches the error.
process.on("uncaughtException", (error) => console.error(String(error)));
const open = ({ url }, hear) => {
  const controller = new EventSourcePlus(url).listen({
    onMessage: ({ event, data, id }) => hear(event, data, id ?? ""),
  });
  return { close: () => controller.abort(), isClosed: () => controller.didAbort };
};
await suite(open, process.argv[2]);
process.exit();
