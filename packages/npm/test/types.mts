// The types of the package, and `await using`.
import { start, type Case, type KeyStats, type Server, type Stats, type Verdict } from "sse-clock";

let pid: number;
{
  await using server: Server = await start({ port: 0, tls: false, args: ["--drain", "1"] });
  pid = server.pid;
  const url: string = server.url("/events");
  const all: Stats = await server.stats();
  const mine: KeyStats = await server.stats("mine");
  const some: Stats = await server.stats(url.length ? "mine" : undefined);
  const sent: (string | null)[] = mine.requests.map(({ last_event_id }) => last_event_id);
  const [first]: Case[] = await server.cases();
  const verdict: Verdict = await server.judge({ name: first.name, key: "mine", events: [], closed: true });
  const right: boolean | null = verdict.right;
  const certificate: string | undefined = server.certificate;
  // @ts-expect-error
  await start({ port: "none" }).catch(() => {});
  // @ts-expect-error
  all.requests;
  void [url, some, sent, right, certificate];
}
const { isRunning } = (await import("./use.mjs" as string)) as { isRunning(pid: number): boolean };
if (isRunning(pid)) throw new Error("the server still runs");
