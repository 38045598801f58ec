//! The program around the server: settings, HTTPS, log, operating system, signals.

#[cfg(feature = "tls")]
mod certificate;
pub(crate) mod log;
pub(crate) mod os;
pub(crate) mod security;
pub(crate) mod settings;
pub(crate) mod signals;
