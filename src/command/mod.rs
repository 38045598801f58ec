//! The program around the server: settings, certificate, log, stdin.

#[cfg(feature = "tls")]
pub(crate) mod certificate;
pub(crate) mod log;
pub(crate) mod settings;
pub(crate) mod stdin;
