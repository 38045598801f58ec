import { EventSource } from "eventsource"; // or any other

async function suite(EventSource, server) {
  const json = (init) => fetch(`${server}/cases`, init).then(async (it) => it.ok ? it.json() : Promise.reject(Error(await it.text())));
  const judge = (played) => json({ method: "POST", body: JSON.stringify(played) });
  const { cases } = await json(), run = Math.random().toString(36).slice(2, 12), results = [];
  const play = async ({ name, url, listen, expect, later_requests, close_after, deadline_ms }) => {
    const key = `${run}.${name}`, source = new EventSource(`${server}${url}&key=${key}`);
    const events = [], end = Date.now() + deadline_ms;
    let late = false, result;
    for (const type of listen) source.addEventListener(type, ({ data, lastEventId: id }) => {
      if (data === undefined) return; // a failure, which is an event named error
      events.push(/^x{5000,}$/.test(data) ? { event: type, data: null, size: data.length, id } : { event: type, data: data.slice(0, 5000), id });
      if (events.length === close_after) source.close();
      if (!later_requests && events.length === expect.length) setTimeout(() => { late = true; }, 500); // for one too many
    });
    do {
      await new Promise((later) => {
        setTimeout(later, 500);
        source.onerror = () => { if (source.readyState === 2) later(); };
      });
      const closed = late || source.readyState === 2 || Date.now() > end;
      result = await judge({ name, key, events, closed });
    } while (!result.done);
    source.close();
    results.push(result);
  };
  await Promise.all([1, 2, 3].map(async () => { while (cases.length) await play(cases.shift()); }));
  return results;
}

const [server, ...known] = process.argv.slice(2), results = await suite(EventSource, server);
const wrong = results.filter(({ right }) => !right).map(({ name, why }) => [name, ...why].join(" ")).sort();
console.log(`right ${results.length - wrong.length} of ${results.length}`);
for (const line of wrong) console.log(line);
process.exit(`${wrong.map((line) => line.split(" ")[0])}` === `${known.sort()}` ? 0 : 1);
