//! The specification: `cargo test -- --list` lists the promises of the server.

#![allow(unreachable_pub, reason = "a test crate has no outside")]

mod anything;
mod both_streams;
mod cases;
mod client_suite;
mod clients;
mod command;
mod cors;
mod due_ticks;
mod echo;
mod event_format;
mod faults;
mod injection;
mod known;
mod lifetime;
mod limits;
mod minimal_example;
mod options;
mod page;
mod parity;
mod post;
mod reference_client;
mod replicas;
mod resume;
mod routes;
mod scenario;
mod size;
mod stats;
mod support;
mod tidy;
#[cfg(feature = "tls")]
mod tls;
mod wall_clock;
mod wire;
