// Shared by the drivers in JavaScript, also by those in a browser's page. The suite takes the cases
// from the runner, opens a client for each, and reports the client's events. A case lasts until the
// runner ends it.

/** Plays every case that `url` lists. `open` opens a client and returns a function that closes it.
 * If the client can end by itself, the function's `ended` is a promise that resolves then. */
export async function suite(open, url, report = (line) => console.log(line)) {
  const { atOnce, cases } = await (await fetch(url)).json();
  const play = async ({ name, url, listen, until }) => {
    const events = [];
    // A mebibyte of x is reported by its length.
    const short = (data) => (data?.length > 4096 && /^x*$/.test(data) ? { data: null, size: data.length } : { data });
    const hear = (event, data, id) => events.push({ event, ...short(data), id });
    const close = open({ url, listen }, hear);
    const waiting = new AbortController();
    await Promise.race([fetch(until, { signal: waiting.signal }), close.ended ?? new Promise(() => {})]);
    waiting.abort();
    close();
    report(JSON.stringify({ name, events }));
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
  return () => source.close();
};
