//! HTTPS and HTTP/2: what is the same as over plain HTTP/1.1, and what differs.

mod any_handler;
mod certificate;
mod chaos;
mod floods;
mod limits;
mod memory;
mod parity;
mod resets;
mod streams;
mod tools;
