//! A Server-Sent Events server written directly on hyper: the Rust twin of the example that every
//! Node tutorial shows, hardened around its one screen.
//!
//! # The path of one request
//!
//! `main` binds the sockets and hands the handler to the [`server`]. That takes a connection when a
//! place is free, shakes hands where it speaks TLS, bounds each head in time and size, lets the gate
//! refuse what no handler should see, and passes the request on with its [`Connection`]. Over
//! HTTP/1.1 a connection answers one request at a time, over HTTP/2 a hundred. The [`service`]
//! matches the path, and [`options`] reads what is asked. A [`stream`] is an interval whose callback
//! writes the events; what was asked for dresses, ends and shapes them, and [`stats`] keeps a record.
//! Any other answer stands in [`response`].
//!
//! Node pushes (`res.write`), hyper pulls: it polls the body for the next event and writes it as
//! one chunk. When the socket is full, hyper goes on until its own 8 KiB ([`Limits::max_head`]
//! bounds those too) are full as well, and then polls no more: events that fall due are skipped, or
//! with ids made up for later. When the client leaves, hyper drops the body, and with it the
//! interval: drop is `clearInterval`. When the server shuts down, the body ends.
//!
//! [`Limits::max_head`]: server::Limits::max_head
//!
//! # Invariants, as absences
//!
//! A test reads the sources by path and holds each of them.
//!
//! * Arrows, what uses what, make no circle between the files; between the folders they are
//!   `main` -> `command`, `service`, `server`, `stream` (the time zone is found before the files
//!   run out); `command` -> `server` (the hosts to listen on); `testing` -> `service`, `server`,
//!   `stats`; `service` -> `answers`, `stream`, `stats`, `options`; `stream` -> `options`, `stats`;
//!   `answers` -> `options`; `stats` -> `options`, `connection`; `server` -> `connection`.
//! * `service` and `server` do not name each other: they meet in `main` and in [`testing`].
//! * The `sse` and `timers` of `stream` use nothing else of this crate, and `interval` only `timers`.
//! * Only `server`, [`testing`] and the command touch sockets.
//! * Only the command reads the environment, but for the time zone, which `jiff` reads.
//! * The screen, `service.rs`, has at most 60 lines of code, and every step of the Node example but
//!   `listen`.

// In reading order; the blank lines keep rustfmt from sorting.

pub mod service;

pub mod options;

pub mod stream;

pub mod stats;

pub mod response;

pub mod server;

mod connection;

pub mod testing;

pub use connection::{Connection, DropConnection};
