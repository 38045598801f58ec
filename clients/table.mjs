// README.md, from results.json and bugs.json.
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { clients, here, node } from "./clients.mjs";

/** The scores of a case. */
export const SCORES = ["events", "ids", "reconnects"];

const says = (...command) => /\d+(\.\d+)+/.exec(execFileSync(command[0], [command[1]], { encoding: "utf8" }))[0];
const code = (text) => `\`${text}\``;
const anchor = ({ id }) => `#${id}`;
/** The name of a client with the place that it comes from, which no other client has. */
const title = ({ name, from }) => `${name} (${from})`;

/** The names of the cases in which a score of a client is wrong. */
const wrong = (row) => new Set(SCORES.flatMap((score) => row[score]));

function line(row, cases) {
  const score = (name) => cases.length - row[name].length;
  const back = row.isReconnecting ? score("reconnects") : "–";
  const ids = row.isTellingIds ? score("ids") : "–";
  const cells = [`[${title(row)}](${anchor(row)})`, row.release, cases.length - wrong(row).size, score("events"), ids, back];
  return `| ${cells.join(" | ")} |`;
}

/** The cases that fail by a bug. Where a client has a bug that fails most cases by their requests, the
 * others have only what fails by events or ids, unless they are about requests too. */
export function failing(row, bug) {
  const isAboutRequests = bug.more || bug.last_event_ids || bug.after_ms || bug.redirects;
  const isHidden = row.bugs.some(({ more }) => more) && !isAboutRequests;
  const failed = isHidden ? new Set([...row.events, ...row.ids]) : wrong(row);
  return bug.cases.filter((name) => failed.has(name));
}

/** A link to the public report of a bug, by the repository's name and the report's number. */
function report(url) {
  if (!url) return "";
  const [repository, , number] = url.split("/").slice(-3);
  return `[${repository} ${number}](${url})`;
}

function section(row) {
  const failed = wrong(row);
  const named = new Set(row.bugs.flatMap((bug) => failing(row, bug)));
  const unnamed = [...failed].filter((name) => !named.has(name)).length;
  const bugs = row.bugs.map((bug) => {
    const { says, stream, more, issues = {} } = bug;
    const names = failing(row, bug).map(code);
    if (more) names.push(`and ${unnamed} more ${more}`);
    return `| ${says} | ${code(stream)} | ${names.join(" ")} | ${report(issues[row.id])} |`;
  });
  const head = [`### <a id="${row.id}"></a>${title(row)}, release ${row.release}`, ""];
  const table = ["| what it does | smallest stream | cases that fail by it | reported |", "|---|---|---|---|", ...bugs];
  return [...head, ...table, ""];
}

/** README.md for `results`, the content of results.json. */
export function table(results, cases) {
  const bugs = JSON.parse(readFileSync(`${here}bugs.json`, "utf8"));
  const rows = clients.map((client) => {
    const { id, name, from, reconnects: isReconnecting, ids: isTellingIds } = client;
    return { id, name, from, isReconnecting, isTellingIds, ...results[id], bugs: bugs.filter((bug) => bug.clients.includes(id)) };
  });
  const sorted = rows.toSorted((one, other) => wrong(one).size - wrong(other).size || one.id.localeCompare(other.id));
  const versions = `Node ${says(node, "--version")}, Python ${says("python3", "--version")} and Rust ${says("rustc", "--version")}`;
  return `${[
    "# Other people's clients, tested with the suite",
    "",
    `Written by \`make clients\` on ${new Date().toISOString().slice(0, 10)}, with ${cases.length} cases, on ${versions}.`,
    "The server judges each case, by `POST /cases`.",
    "A fresh run finds the same, except that a client may wait longer than `retry` says on a busy machine.",
    "",
    `- \`events\`: the cases, of ${cases.length}, in which the client makes the right events of a stream.`,
    "- `ids`: the cases in which each event has the right id.",
    "- `reconnects`: the cases in which the client makes the right requests after the first: as many as expected, each with the right id and, where `retry` is judged, after 0.9 to 4 times that time.",
    "- `right`: the cases with nothing wrong in these three columns.",
    "",
    "A client that does not reconnect, or too late, misses the events of later connections too.",
    "The standard lets a client wait longer than `retry` says; more than 4 times that is wrong here.",
    "",
    "The name of a client is followed by the registry or the system that it comes from.",
    "A client that leaves reconnecting to you has a dash for `reconnects`, and one that does not tell ids has a dash for `ids`.",
    "The SDKs of OpenAI and Anthropic dispatch only the JSON of their API, so the suite reads the events of the parsers inside them.",
    "The client of the MCP SDK is not in the table: it dispatches only events of type `message` with a JSON-RPC message as data, and no case has such data.",
    "A client that reconnects after 204 fails nearly every case by `reconnects`, since most cases end with that status.",
    "",
    "| client | release | right | events | ids | reconnects |",
    "|---|---|---:|---:|---:|---:|",
    ...sorted.map((row) => line(row, cases)),
    "",
    "## What each does",
    "",
    "The last column links the public report of a bug, where one is known, in the client's own repository or in that of the parser inside.",
    "That a reconnect goes to the URL that a redirect led to follows from the Fetch standard: see [html 503](https://github.com/whatwg/html/issues/503).",
    "Each bug was seen twice: in the cases named here, played by the server, and in the smallest stream that shows it, played by [a bare socket](bare.mjs).",
    "To see it yourself, run `make clients` once.",
    "Then `node clients/try.mjs CLIENT 'STREAM' [TYPE]...` plays a stream from that socket to a client and prints the client's events, its requests, and the number of redirects.",
    "`CLIENT` is the part after `#` in a link above; the client listens to `message` and to each `TYPE`.",
    "`close=1` in place of a type closes the client in the listener of its first event, as the bug with `close()` needs it.",
    "While the server runs, `curl -iN 'localhost:3000/events?STREAM&key=x'` shows the bytes of the first connection.",
    "",
    ...sorted.flatMap(section),
    "## Add a client",
    "",
    "Write `drivers/NAME.mjs`, `drivers/NAME.py` or `rust/src/bin/NAME.rs`, with an existing driver as a model.",
    "A driver opens the client for a URL in the client's own manner, and passes on the type, data and id of each event.",
    "`drivers/suite.mjs`, `drivers/suite.py` and `rust/src/lib.rs` do the rest: they take the cases, post the events and close the client.",
    "",
    "1. Add the client's release to `package.json`, `requirements.txt` or `rust/Cargo.toml`.",
    "2. Add a line to `clients.mjs`.",
    "3. Install the client as `make clients` does.",
    "4. Run `node clients/run.mjs NAME`: it lists every failure that no bug in `bugs.json` explains.",
    "5. Write each bug there with the smallest stream that shows it.",
    "6. When a bug explains every failure, `make clients` writes the table.",
    "",
    "A driver in another language takes one argument, a URL, from which it gets `{\"atOnce\", \"cases\": [{\"url\", \"listen\", \"close_after\", \"report\"}]}`.",
    "It plays `atOnce` cases at a time. For each case it does this:",
    "",
    "1. Open `url`, and close the client in the listener of event number `close_after`, unless that is `null`.",
    "2. Every 500 ms, post `{\"events\": [{\"event\", \"data\", \"id\"}], \"closed\"}` to `report`: all events so far, and whether the client is closed, gave up, or has ended.",
    "   In place of more than 4,096 `x`, an event has `\"data\": null, \"size\"`.",
    "3. When the response is `{\"done\": true}`, close the client.",
  ].join("\n")}\n`;
}
