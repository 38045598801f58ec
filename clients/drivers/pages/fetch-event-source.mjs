// Runs in a page: npm's @microsoft/fetch-event-source, which dispatches every type.
import { fetchEventSource } from "../../node_modules/@microsoft/fetch-event-source/lib/esm/index.js";

export const open = ({ url }, hear) => {
  const closing = new AbortController();
  let isClosed = false;
  const ended = fetchEventSource(url, {
    signal: closing.signal,
    openWhenHidden: true,
    onmessage: ({ event, data, id }) => hear(event || "message", data, id),
  });
  const end = () => (isClosed = true);
  ended.then(end, end);
  return { close: () => closing.abort(), isClosed: () => isClosed };
};
