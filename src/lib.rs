//! lib
pub mod answers;
pub mod clock;
mod connection;
mod places;
pub mod server;
pub mod service;
pub mod shutdown;
pub mod socket;
pub mod sse;
pub mod streams;
pub mod wall;
