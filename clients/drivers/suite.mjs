// What the drivers in JavaScript share, those in a browser's page too: it takes the cases from the
// runner, opens a client for each, and reports what that heard until the runner says that the case
// is over.

/** Plays every case that `url` lists; `open` opens a client and returns how to close it, and, as its
 * `ended`, when it has ended by itself, if it does. */
export async function suite(open, url, report = (line) => console.log(line)) {
  const { atOnce, cases } = await (await fetch(url)).json();
  const play = async ({ name, url, listen, until }) => {
    const events = [];
    // A mebibyte of x is told by its length.
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

/** How a client with the interface of the standard's EventSource is opened. */
export const opening = (EventSource) => ({ url, listen }, hear) => {
  const source = new EventSource(url);
  const heard = ({ type, data, lastEventId }) => {
    // Without data it is no event of the stream, but an error or the opening.
    if (data !== undefined) hear(type, data, lastEventId);
  };
  for (const type of listen) source.addEventListener(type, heard);
  return () => source.close();
};
