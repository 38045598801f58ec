//! The server: its limits, and how connections and streams begin and end.

pub mod lifetime;
pub mod limits;
pub mod notify;
pub mod notify_redis;
#[cfg(feature = "tls")]
pub mod proxies;
pub mod replicas;
#[cfg(feature = "tls")]
pub mod tls;
