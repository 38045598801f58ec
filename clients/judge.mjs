// What is right: how long a case waits for a client, and what is held against what it expects.

/** How long a client has to come back, in milliseconds: one waits 10 s, which is when the server closes
 * the connection that it would use again, and then 20 s more. */
const COMES_BACK = 35_000;

/** The longest that a case may take. */
const LASTS = 60_000;

/** How long a client that should not come back is watched, and one whose stream is held. */
const STAYS_AWAY = 6_000;
const HELD = 2_000;

/** How long one of which nothing more is expected may still be reading. */
const READS = 700;

const sleep = (ms) => new Promise((later) => setTimeout(later, ms));

/** Waits until nothing more is expected of a client; `seen` tells what its server saw, and `reported`
 * whether it has ended by itself. */
export async function over({ url, reconnect }, seen, reported) {
  const start = Date.now();
  let asked, ended;
  for (;;) {
    const { requests, closed } = await seen();
    const now = Date.now();
    if (requests.length > 0) asked ??= now;
    if (closed.client + closed.finished > 0) ended ??= now;
    const since = (moment) => now - (moment ?? now);
    const done =
      reported() ||
      requests.length > 1 ||
      (url.includes("end=stall") && since(asked) > HELD) ||
      (reconnect === false && since(asked) > STAYS_AWAY) ||
      (reconnect === null && since(ended) > READS) ||
      since(ended) > COMES_BACK ||
      now - start > LASTS;
    if (done) break;
    await sleep(30);
  }
  // What it was sent in the same moment.
  await sleep(100);
}

/** What is wrong with what a client heard, and with what its server saw of it. */
export function judge({ expect, reconnect }, heard, requests, comesBack) {
  const each = (right) => heard.length === expect.length && expect.every((it, at) => right(it, heard[at]));
  const events = each((it, is) => it.event === is.event && it.data === is.data && it.size === is.size);
  const ids = each((it, is) => it.id === is.id);
  if (!comesBack || reconnect === null) return { events, ids };
  if (reconnect === false) return { events, ids, reconnects: requests.length === 1 };
  const { last_event_id: id, after_ms: after } = requests[1] ?? {};
  const due = reconnect.after_ms;
  const reconnects = requests.length > 1 && (id ?? "") === reconnect.last_event_id;
  if (!due) return { events, ids, reconnects };
  return { events, ids, reconnects, waits: after >= 0.3 * due && after <= 4 * due };
}
