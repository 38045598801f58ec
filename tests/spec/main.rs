//! The specification: `cargo test -- --list` lists the promises of the server.

#![allow(unreachable_pub, reason = "a test crate has no outside")]

mod any_wire;
mod anything;
mod browser;
mod cases;
mod clients;
mod clock;
mod command;
mod cors;
mod crowd;
mod echo;
mod events;
mod faults;
mod known;
mod laboratory;
mod lifetime;
mod limits;
mod minimal;
mod nginx;
mod options;
mod page;
mod parity;
mod post;
mod proxy;
mod resume;
mod routes;
mod scaling;
mod scenario;
mod size;
mod standard;
mod stats;
mod strangers;
mod suite;
mod support;
mod tidy;
#[cfg(feature = "tls")]
mod tls;
mod wire;
