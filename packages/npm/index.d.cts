/// <reference lib="esnext.disposable" />

export interface Options {
  /** The TCP port. 0, the default, takes a free one. */
  port?: number;
  /** Serve HTTPS, with a certificate made for this server. */
  tls?: boolean;
  /** More arguments for the program: `npx sse-clock --help` lists them. */
  args?: readonly string[];
}

/**
 * Starts a server in a process of its own, which ends when this process ends, however it ends.
 * Rejects with the program's error, such as a port in use.
 */
export function start(options?: Options): Promise<Server>;

export interface Server extends AsyncDisposable {
  /** The id of the server's process. */
  readonly pid: number;
  /** The server's certificate in PEM, for a client to trust, if the server speaks HTTPS. */
  readonly certificate?: string;
  /** Returns the URL of `path`, which begins with a slash. */
  url(path: string): string;
  /** Returns the counts of the streams that were opened with `key`, and the requests of the key. */
  stats(key: string): Promise<KeyStats>;
  /** Returns the counts of all streams, unless there is a `key`. */
  stats(key?: string): Promise<Stats>;
  /** Returns the cases of the conformance suite. */
  cases(): Promise<Case[]>;
  /** Returns what is right about `result`. Rejects if the server does not understand the result. */
  judge(result: Result): Promise<Verdict>;
  /**
   * Ends every stream cleanly and waits for the end of the process, for 10 s at most: then it is
   * killed. `await using` does the same.
   */
  stop(): Promise<void>;
}

export interface Stats {
  /** Streams that are open. */
  open: number;
  /** Streams that were opened. */
  opened: number;
  /** Events that were sent. */
  events: number;
  /** Streams that have ended, by reason. */
  closed: { client: number; finished: number; shutdown: number };
}

export interface KeyStats extends Stats {
  /** What clients sent as `Last-Event-ID`, the newest 100, oldest first. */
  last_event_ids: string[];
  /** The newest 100 requests, oldest first. `after_ms` is the time since a stream of the key ended. */
  requests: { last_event_id: string | null; after_ms: number | null }[];
  /** The redirects that the requests got. */
  redirects: number;
  /** Requests whose connection was closed without a response. */
  dropped: number;
}

/** An event. `data` that is the letter x `size` times may be `null`. */
export interface Event {
  event: string;
  data: string | null;
  size?: number;
  id?: string;
}

/** A case of the suite. docs/suite.md in the repository describes the fields. */
export interface Case {
  name: string;
  section: string;
  why: string;
  url: string;
  listen: string[];
  expect: Event[];
  later_requests: { last_event_id: string; after_ms: number | null; events: number }[] | null;
  redirects: number | null;
  close_after: number | null;
  deadline_ms: number;
}

/** What a client made of a case so far. */
export interface Result {
  name: string;
  key: string;
  events: Event[];
  closed?: boolean;
  reconnects?: boolean;
}

export interface Verdict {
  name: string;
  /** Whether the case is over. */
  done: boolean;
  right: boolean | null;
  events: boolean | null;
  ids: boolean | null;
  reconnects: boolean | null;
  /** A sentence for each fault. */
  why: string[];
}
