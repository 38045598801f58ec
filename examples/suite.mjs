import { EventSource } from "eventsource"; // or any other

async function suite(EventSource, server) {
  const ask = async (path) => (await fetch(server + path)).json();
  const cases = await ask("/cases"), run = Math.random().toString(36).slice(2, 12), results = [];
  const play = async ({ name, url, listen, expect, reconnect }) => {
    const key = `${run}.${name}`, source = new EventSource(`${server}${url}&key=${key}`), heard = [];
    await new Promise((end) => {
      setTimeout(end, 10_000 + (expect[0]?.size ?? 0) / 128); // which also keeps Node running
      for (const type of listen) source.addEventListener(type, ({ data, lastEventId: id }) => {
        if (data !== undefined) heard.push({ event: type, data, id }); // without data it is an error
        if (reconnect === null && heard.length === expect.length) setTimeout(end, 500); // for one too many
      });
      // The client reconnects by itself, gets a 204, and stops.
      source.onerror = () => { if (reconnect === null || source.readyState === 2) end(); };
    });
    source.close();
    const { requests } = await ask(`/stats?key=${key}`), due = reconnect?.after_ms;
    const came = requests.length > 0, each = (right) => came && heard.length === expect.length && expect.every((it, i) => right(it, heard[i]));
    const back = ([, { last_event_id, after_ms }]) => (last_event_id ?? "") === reconnect.last_event_id
      && (due === null || (after_ms >= 0.3 * due && after_ms <= 4 * due));
    results.push({ name, heard, requests,
      events: each((it, is) => is.event === it.event && is.data === (it.data ?? "x".repeat(it.size))),
      ids: each((it, is) => is.id === it.id),
      reconnects: came && (reconnect ? requests.length === 2 && back(requests) : reconnect === null || !requests[1]) });
  };
  await Promise.all([1, 2, 3].map(async () => { while (cases.length) await play(cases.shift()); }));
  return results;
}

const [server, ...known] = process.argv.slice(2), results = await suite(EventSource, server);
const score = (name) => `${results.filter((it) => it[name]).length} ${name}`;
console.log("right of", results.length, "cases:", ["events", "ids", "reconnects"].map(score).join(", "));
const wrong = results.filter((it) => !(it.events && it.ids && it.reconnects)).map((it) => it.name).sort();
console.log("wrong:", ...wrong);
process.exit(`${wrong}` === `${known.sort()}` ? 0 : 1);
