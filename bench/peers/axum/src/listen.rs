//! The listener of every program here, and the numbers in the environment.

use std::{env, io, str::FromStr};

use tokio::net::TcpListener;

pub async fn listener() -> io::Result<TcpListener> {
    let port = number("PORT", 5000);
    let listener = TcpListener::bind(("127.0.0.1", port)).await?;
    println!("Server listening on port {port}");
    Ok(listener)
}

pub fn number<T: FromStr>(name: &str, default: T) -> T {
    let value = env::var(name).ok().and_then(|value| value.parse().ok());
    value.unwrap_or(default)
}
