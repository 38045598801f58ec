//! The specification: `cargo test -- --list` lists the promises of the server.

#![allow(unreachable_pub, reason = "a test crate has no outside")]

mod command;
mod docs;
mod lab;
mod node;
mod page;
mod server;
mod suite;
mod support;
mod tidy;
