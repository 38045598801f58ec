//! A Server-Sent Events server on hyper: the Node `http` example in Rust, and a test server for SSE clients.
//!
//! `README.md` is for users of the program, this page for readers of the source. Other programs use:
//!
//! * [`testing`]: the server on a free port, in the process of a Rust test.
//! * [`stream::sse`] and [`stream::keep_alive`]: the format of events, and comments in silence. A
//!   service of your own takes them, the server [`longhaul`] and a handler: `examples/notify.rs` is
//!   one in 120 lines.
//!
//! # The path of one request
//!
//! 1. `main` binds the sockets and hands the handler to the server, [`longhaul`].
//! 2. The server accepts a connection, waits for a connection permit, and negotiates TLS where it
//!    is configured. It bounds each request head in time and size, rejects malformed requests, and
//!    passes the request on with its [`Connection`]. Over HTTP/1.1 a connection has one request at
//!    a time, over HTTP/2 up to 128.
//! 3. The [`service`] matches the path.
//! 4. [`response::extract`] reads the request, and [`options`] the query string.
//! 5. The [`scenario`] decides whether the request gets the stream: for a key it depends on the
//!    requests before. [`stats`] counts the stream.
//! 6. A [`stream`] is an interval whose callback writes the events. Options change their fields,
//!    their framing and their end. Every other response is in [`response`]. The judge of a client
//!    that plays the suite is [`suite`].
//!
//! # The life of a stream
//!
//! * Node pushes (`res.write`), hyper pulls: hyper polls the body for the next event when the socket
//!   has room. Over HTTP/1.1 an event that is waited for is one chunk and one write. Events that are
//!   due together, such as those that a client missed, share a write. Over HTTP/2 the streams of a
//!   connection share writes, and small pieces of one stream share a DATA frame.
//! * A client stops reading: hyper fills its buffer of 8 KiB (hyper sizes it by
//!   [`Limits::max_head`]), the kernel one of 16 KiB, and then hyper stops polling. Ticks that fall due meanwhile are skipped, or with
//!   `ids` sent late: the newest 1,000, after an event named `gap` with the number of the others.
//!   On Linux the connection closes within 30 s if the client then reads nothing. A client that reads
//!   slowly stays.
//! * A client leaves: the server notices it within 50 ms and hyper drops the body, and with it the
//!   interval. Drop is `clearInterval`.
//! * A client reconnects with `Last-Event-ID`: with `ids` the stream goes on after that id, without
//!   `ids` it starts afresh. The id of a tick of `/events` is its time, so any replica continues the
//!   stream of any other. Replicas share nothing but the time: their clocks must agree to within an
//!   interval. `/stream` has one counter for all clients of
//!   the process, and sends nothing again.
//! * A body that ends looks complete to curl (status 0), also with half an event
//!   (`end=truncate`). A connection that is cut (`end=abort`) gives status 18, over HTTP/2 92. An
//!   `EventSource` reconnects after each of them.
//!
//! # Shutdown
//!
//! SIGINT, SIGTERM or SIGHUP begin it, and a second signal exits at once with status 130:
//!
//! 1. The listeners close, and clients that wait for a permit lose their connection.
//! 2. Idle connections and unfinished requests are dropped.
//! 3. Every stream ends with its terminating chunk, or over HTTP/2 with the end of its stream. A
//!    response of known length is sent whole.
//! 4. After `--drain` seconds (5) connections that cannot be written to are cut, and the log counts
//!    them.
//! 5. The process exits with status 0, also after step 4.
//!
//! # Where a change goes
//!
//! * An option: `options` for its name and bounds, the file of its effect in `stream`, `response`
//!   or `stats`, the form in `public/index.html`, `README.md` and `docs/options.md`, its tests in
//!   `tests/spec/lab`, and the values that the soak test draws in `bench/src/soak/request.rs`.
//! * A path with a whole response: an arm in `service`, and a file in `response`.
//! * A path with a stream of another kind, such as a chat: not here, because a source of events is
//!   an [`Interval`](stream::interval::Interval) in this crate. Begin with `examples/notify.rs`.
//!
//! `CONTRIBUTING.md` has the whole list.
//!
//! [`Limits::max_head`]: longhaul::Limits::max_head
//!
//! # Invariants
//!
//! * The server, [`longhaul`], is a crate of its own and knows no route and no event. Only
//!   `main` and [`testing`] use both the server and the [`service`].
//! * Of the server, [`stats`] and [`response`] use only the [`Connection`] of a request.
//! * [`service`] uses [`response`], [`scenario`], [`stream`] and [`stats`].
//! * [`response`] uses [`scenario`] and [`suite`].
//! * [`scenario`], [`suite`] and [`stream`] use [`stats`].
//! * All of these except [`suite`] use [`options`].
//! * `interval`, `sse` and `time` of [`stream`] use nothing else of this crate.
//! * Only [`testing`] and the command touch sockets.
//! * Only the command reads the environment, except the time zone, which `jiff` reads.
//! * `service.rs`, the screen, has at most 60 lines of code, and every step of the Node example
//!   except `listen`.

pub mod service;
pub mod options;
pub mod scenario;
pub mod stream;
pub mod stats;
pub mod suite;
pub mod response;
pub mod testing;

pub use longhaul::{Connection, DropConnection};
