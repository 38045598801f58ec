//! A Server-Sent Events server written directly on hyper: the Rust twin of the example that every
//! Node tutorial shows, hardened around its one screen.
//!
//! # The path of one request
//!
//! `main` binds the [`socket`] and hands the handler to the [`server`]. The server takes the
//! connection if there is a place for it, bounds the head in time and size, and passes the request
//! with its [`Connection`] through the gate to the [`service`], which matches method and path. A
//! stream is the [`clock`]'s ticks, each made an event by [`events`], ended by [`end`], counted by
//! [`streams`] and shaped to a body by [`shape`]; any other answer stands in [`answers`]. hyper
//! polls the body and writes each event as one chunk; a full socket stops the polling, so nothing
//! queues. When the client leaves, hyper drops the body, and with it the timer: drop is
//! `clearInterval`. When the server stops, the wrapper in [`shutdown`] ends the body.
//!
//! # Invariants, as absences
//!
//! * `service` and `server` do not name each other: they meet in `main` and in [`testing`].
//! * `sse` uses nothing of this crate, `clock` nothing but `sse`.
//! * Only `server`, `places`, `socket`, `testing` and `main` know of sockets.
//! * Only `main`, `settings` and `log` read the environment.
//! * The screen, `service.rs`, has at most 60 lines of code.

// In reading order; the blank lines keep rustfmt from sorting. First the answers:

pub mod service;

pub mod query;

pub mod options;

pub mod clock;

pub mod events;

mod step;

pub mod wall;

pub mod sse;

pub mod faults;

pub mod end;

pub mod shape;

pub mod streams;

pub mod stats;

mod keys;

pub mod answers;

// Then what carries them:

pub mod server;

mod places;

mod gate;

mod wire;

mod connection;

pub mod shutdown;

pub mod socket;

pub mod host;

pub mod testing;

pub use connection::Connection;
