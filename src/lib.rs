//! A Server-Sent Events server written directly on hyper: the Rust twin of the example that every
//! Node tutorial shows, hardened around its one screen.
//!
//! # The map, in reading order
//!
//! A request comes in through `main`, which binds the [`socket`] and hands the handler to the
//! [`server`]. The server accepts it if there is room, bounds its head in time and size, and
//! passes it with its [`Connection`] to the [`service`], which matches method and path. A stream
//! is the [`clock`]'s ticks, each made an event by [`wall`] and [`sse`] and written down by
//! [`streams`]; any other answer stands in [`answers`]. hyper polls the body and writes each event
//! as one chunk; a full socket stops the polling, so nothing queues. When the client leaves, hyper
//! drops the body, and with it the timer: drop is `clearInterval`. When the server stops, the
//! wrapper in [`shutdown`] ends the body.
//!
//! # Invariants, as absences
//!
//! * `service` and `server` do not name each other: they meet in `main` and in [`testing`].
//! * `sse` uses nothing of this crate, `clock` nothing but `sse`.
//! * Only `server`, `places`, `socket`, `testing` and `main` know of sockets.
//! * Only `main`, `settings` and `log` read the environment.
//! * The screen, `service.rs`, has at most 60 lines of code.

pub mod service;

pub mod query;

pub mod options;

pub mod clock;

pub mod events;

pub mod sse;

pub mod wall;

pub mod faults;

pub mod streams;

pub mod stats;

mod keys;

pub mod answers;

pub mod server;

mod places;

mod gate;

mod connection;

mod wire;

pub mod shutdown;

pub mod socket;

pub mod testing;

pub use connection::Connection;
