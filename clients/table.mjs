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
    "# Other people's clients, held against the suite",
    "",
    `Written by \`make clients\` on ${new Date().toISOString().slice(0, 10)}, with ${cases.length} cases, on ${versions}.`,
    "A fresh run finds the same, `waits` apart, which a busy machine changes.",
    "",
    `\`events\` counts the cases, of ${cases.length}, in which a client makes the right events of a stream; \`ids\` those in which each event has the right id; \`reconnects\` those in which the client comes back with the right id, or stays away where it must.`,
    "`right` counts the cases with nothing wrong in these three.",
    `\`waits\` counts in how many of ${due} cases a client waits as long as \`retry\` says, from 0.3 to 4 times of it.`,
    "A client that leaves it to you to come back has a dash for the last two.",
    "",
    "| client | from | release | right | events | ids | reconnects | waits |",
    "|---|---|---|---:|---:|---:|---:|---:|",
    ...sorted.map((row) => line(row, cases)),
    "",
    "## What each does",
    "",
    "Each bug was seen twice: in the cases named here, played by the server, and in the smallest stream that shows it, played by [a bare socket](bare.mjs).",
    "To see it yourself, run `make clients` once; then `node clients/try.mjs CLIENT 'STREAM' [TYPE]...` plays a stream from that socket to a client, which listens to `message` and the types, and prints what it makes of it; `CLIENT` is what stands behind `#` in a link above.",
    "While the server runs, `curl -iN 'localhost:3000/events?STREAM'` shows the bytes.",
    "",
    ...sorted.flatMap(section),
    "## Add a client",
    "",
    "Write `drivers/NAME.mjs`, `drivers/NAME.py` or `rust/src/bin/NAME.rs` after one that is there: it opens the client for a URL in the client's own manner, and tells of each event its type, data and id; taking the cases, ending them and reporting are in `drivers/suite.mjs`, `drivers/suite.py` and `rust/src/lib.rs`.",
    "Add its release to `package.json`, `requirements.txt` or `rust/Cargo.toml`, a line to `clients.mjs`, install it as `make clients` does, and run `node clients/run.mjs NAME`: it names every failure that no bug in `bugs.json` explains.",
    "Write each bug there with the smallest stream that shows it; when none is left, `make clients` writes the table.",
    "A driver in another language takes one argument, a URL, from which it gets `{\"atOnce\", \"cases\": [{\"name\", \"url\", \"listen\", \"until\"}]}`; for each case it opens `url`, asks for `until`, which is answered when the case is over, closes the client, and prints `{\"name\", \"events\": [{\"event\", \"data\", \"id\"}]}` on a line of its own, with `\"data\": null, \"size\"` in place of more than 4,096 `x`.",
  ].join("\n")}\n`;
}
