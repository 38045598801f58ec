// Shared by the drivers in JavaScript, also by those in a browser's page. The suite takes the cases
// from the runner, opens a client for each, and posts the client's events to the runner until the
// runner says that the case is done.

/** How often the events so far are posted, in milliseconds. */
const POSTS = 500;

/** Plays every case that `url` lists. `open` opens a client and returns two functions: `close` closes
 * the client, and `isClosed` returns whether it is closed, gave up, or has ended by itself. */
export async function suite(open, url) {
  const { atOnce, cases } = await (await fetch(url)).json();
  const play = async ({ url, listen, close_after, report }) => {
    const events = [];
    // Large data that is only x is reported by its length.
    const short = (data) => (data?.length > 4096 && /^x*$/.test(data) ? { data: null, size: data.length } : { data });
    const hear = (event, data, id) => {
      events.push({ event, ...short(data), id });
      if (events.length === close_after) client.close();
    };
    const client = open({ url, listen }, hear);
    let isDone = false;
    while (!isDone) {
      await new Promise((later) => setTimeout(later, POSTS));
      const body = JSON.stringify({ events, closed: client.isClosed() });
      isDone = (await (await fetch(report, { method: "POST", body })).json()).done;
    }
    client.close();
  };
  const lane = async () => {
    while (cases.length) await play(cases.shift());
  };
  await Promise.all(Array.from({ length: atOnce }, lane));
}

/** Returns the `open` of a client with the interface of the standard's EventSource. */
export const opening = (EventSource) => ({ url, listen }, hear) => {
  const source = new EventSource(url);
  const heard = ({ type, data, lastEventId }) => {
    // Without data the event is not from the stream: it is `error` or `open`.
    if (data !== undefined) hear(type, data, lastEventId);
  };
  for (const type of listen) source.addEventListener(type, heard);
  return { close: () => source.close(), isClosed: () => source.readyState === 2 };
};

/** Returns the `open` of a client that does not reconnect. `read` yields the type, data and id of each
 * event. To close is to abort its AbortController and to leave the loop, as a user of the client does. */
export const reading = (read) => ({ url }, hear) => {
  const closing = new AbortController();
  let isClosed = false;
  const end = (error) => {
    if (error) console.error(String(error));
    isClosed = true;
  };
  const hears = async () => {
    for await (const event of read(url, closing)) {
      hear(...event);
      if (closing.signal.aborted) break;
    }
  };
  hears().then(end, end);
  return { close: () => closing.abort(), isClosed: () => isClosed };
};
