// README.md, from what a run has found.
import { execFileSync } from "node:child_process";
import { node } from "./clients.mjs";

/** What a case is judged by; waits are not in the table's order, for a busy machine changes them. */
export const SCORES = ["events", "ids", "reconnects", "waits"];

const says = (...command) => /\d+(\.\d+)+/.exec(execFileSync(command[0], [command[1]], { encoding: "utf8" }))[0];
const code = (text) => `\`${text}\``;
const anchor = ({ id }) => `#${id}`;

/** The names of the cases that a client is not right in, waits apart. */
const wrong = (row) => new Set(SCORES.slice(0, 3).flatMap((score) => row.wrong[score]));

function line(row, cases) {
  const score = (name) => cases.length - row.wrong[name].length;
  const due = cases.filter(({ reconnect }) => reconnect?.after_ms).length;
  const back = row.comesBack ? [score("reconnects"), due - row.wrong.waits.length] : ["–", "–"];
  const cells = [`[${row.name}](${anchor(row)})`, row.from, row.release, cases.length - wrong(row).size, score("events"), score("ids"), ...back];
  return `| ${cells.join(" | ")} |`;
}

function section(row) {
  const failed = new Set(SCORES.flatMap((score) => row.wrong[score]));
  const bugs = row.bugs.map(({ says, stream, cases }) => {
    const names = cases.filter((name) => failed.has(name)).map(code);
    return `| ${says} | ${code(stream)} | ${names.join(" ")} |`;
  });
  const head = [`### <a id="${row.id}"></a>${row.name} ${row.release} (${row.from})`, ""];
  const table = ["| what it does | smallest stream | cases that fail by it |", "|---|---|---|", ...bugs];
  return [...head, ...table, ""];
}

export function table(rows, cases) {
  const sorted = rows.toSorted((one, other) => wrong(one).size - wrong(other).size || one.id.localeCompare(other.id));
  const due = cases.filter(({ reconnect }) => reconnect?.after_ms).length;
  const versions = `Node ${says(node, "--version")}, Python ${says("python3", "--version")} and Rust ${says("rustc", "--version")}`;
  return `${[
    "# Other people's clients, tested with the suite",
    "",
    `Written by \`make clients\` on ${new Date().toISOString().slice(0, 10)}, with ${cases.length} cases, on ${versions}.`,
    "A fresh run finds the same, except `waits`, which change on a busy machine.",
    "",
    `- \`events\`: the cases, of ${cases.length}, in which the client makes the right events of a stream.`,
    "- `ids`: the cases in which each event has the right id.",
    "- `reconnects`: the cases in which the client reconnects with the right id, or does not reconnect where it must not.",
    "- `right`: the cases with nothing wrong in these three columns.",
    `- \`waits\`: the cases, of ${due}, in which the client waits from 0.3 to 4 times the time that \`retry\` sets.`,
    "",
    "A client that leaves reconnecting to you has a dash for the last two columns.",
    "",
    "| client | from | release | right | events | ids | reconnects | waits |",
    "|---|---|---|---:|---:|---:|---:|---:|",
    ...sorted.map((row) => line(row, cases)),
    "",
    "## What each does",
    "",
    "Each bug was seen twice: in the cases named here, played by the server, and in the smallest stream that shows it, played by [a bare socket](bare.mjs).",
    "To see it yourself, run `make clients` once.",
    "Then `node clients/try.mjs CLIENT 'STREAM' [TYPE]...` plays a stream from that socket to a client and prints the client's events and requests.",
    "`CLIENT` is the part after `#` in a link above; the client listens to `message` and to each `TYPE`.",
    "While the server runs, `curl -iN 'localhost:3000/events?STREAM'` shows the bytes.",
    "",
    ...sorted.flatMap(section),
    "## Add a client",
    "",
    "Write `drivers/NAME.mjs`, `drivers/NAME.py` or `rust/src/bin/NAME.rs`, with an existing driver as a model.",
    "A driver opens the client for a URL in the client's own manner, and passes on the type, data and id of each event.",
    "`drivers/suite.mjs`, `drivers/suite.py` and `rust/src/lib.rs` do the rest: they take the cases, end them and report the events.",
    "",
    "1. Add the client's release to `package.json`, `requirements.txt` or `rust/Cargo.toml`.",
    "2. Add a line to `clients.mjs`.",
    "3. Install the client as `make clients` does.",
    "4. Run `node clients/run.mjs NAME`: it lists every failure that no bug in `bugs.json` explains.",
    "5. Write each bug there with the smallest stream that shows it.",
    "6. When a bug explains every failure, `make clients` writes the table.",
    "",
    "A driver in another language takes one argument, a URL, from which it gets `{\"atOnce\", \"cases\": [{\"name\", \"url\", \"listen\", \"until\"}]}`.",
    "For each case it does this:",
    "",
    "1. Open `url`.",
    "2. Request `until`: the response comes when the case is over.",
    "3. Close the client.",
    "4. Print `{\"name\", \"events\": [{\"event\", \"data\", \"id\"}]}` on a line of its own, with `\"data\": null, \"size\"` in place of more than 4,096 `x`.",
  ].join("\n")}\n`;
}
