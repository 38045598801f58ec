//! The specification: `cargo test -- --list` reads as the promises of the server.

#![allow(unreachable_pub, reason = "a test crate has no outside")]

mod command;
mod events;
mod lifetime;
mod limits;
mod parity;
mod routes;
mod support;
mod tidy;
