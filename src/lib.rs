//! A Server-Sent Events server written directly on hyper: the Rust twin of the example that every
//! Node tutorial shows, hardened around its one screen.
//!
//! # The path of one request
//!
//! 1. `main` binds the sockets and hands the handler to the server, [`longhaul`].
//! 2. The server accepts a connection when a connection permit is free, negotiates TLS where it is
//!    configured, bounds each request head in time and size, rejects malformed requests, and passes
//!    the request on with its [`Connection`]. Over HTTP/1.1 a connection has one request at a time,
//!    over HTTP/2 up to 128.
//! 3. The [`service`] matches the path.
//! 4. [`response::extract`] reads the request, and [`options`] what its query string asks for.
//! 5. The [`scenario`] says whether the request gets the stream: for a key it depends on the
//!    requests before. [`stats`] counts the stream.
//! 6. A [`stream`] is an interval whose callback writes the events. Options add fields,
//!    comments, an end and line ends. Every other response is in [`response`], and what is right
//!    about a client that plays the [`suite`] is judged there.
//!
//! Node pushes (`res.write`), hyper pulls: hyper polls the body for the next event and writes it as
//! one chunk. When the socket is full, hyper fills its own buffer of 8 KiB ([`Limits::max_head`])
//! and then stops polling. Events that fall due are skipped, or with ids sent late. When the client
//! leaves, hyper drops the body, and with it the interval: drop is `clearInterval`. When the server
//! shuts down, the body ends.
//!
//! [`Limits::max_head`]: longhaul::Limits::max_head
//!
//! # Invariants
//!
//! * The server, [`longhaul`], is a crate of its own and knows no route and no event. It meets the
//!   [`service`] in `main` and in [`testing`]; [`stats`] and [`response`] use only the [`Connection`]
//!   of a request.
//! * [`service`] uses [`response`], [`scenario`], [`stream`] and [`stats`]; [`response`] uses
//!   [`scenario`] and [`suite`]; [`scenario`], [`suite`] and [`stream`] use [`stats`]; and all but
//!   [`suite`] use [`options`].
//! * `interval`, `sse` and `time` of [`stream`] use nothing else of this crate.
//! * Only [`testing`] and the command touch sockets.
//! * Only the command reads the environment, except the time zone, which `jiff` reads.
//! * The screen, `service.rs`, has at most 60 lines of code and every step of the Node example
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
