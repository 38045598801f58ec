// Runs in a page: npm's sse.js, set to reconnect, which by default it does not.
import { SSE } from "../../node_modules/sse.js/lib/sse.js";

export const open = ({ url, listen }, hear) => {
  const source = new SSE(url, { autoReconnect: true });
  const heard = ({ type, data, lastEventId }) => {
    // Without an id the event is not from the stream.
    if (lastEventId !== undefined) hear(type, data, lastEventId);
  };
  // The client throws at a type that is the name of an object's method.
  const add = async (type) => source.addEventListener(type, heard);
  for (const type of listen) add(type).catch((error) => console.error(String(error)));
  return { close: () => source.close(), isClosed: () => !source.autoReconnect };
};
