//! What is done to a server before a look at its memory, so that two looks find the same.

use std::time::{Duration, Instant};

use http::Request;

use super::{
    channel::{Address, Connection, Lost, Protocol},
    line::Manners,
};

/// Connections that are open at a time: they take more memory than clients who do what they like
/// ever do.
const CONNECTIONS: usize = 700;
/// How long they come again and again: which of the server's threads gets them, and so which heap
/// grows, differs each time, and each is to have had most of them once.
const TIME: Duration = Duration::from_secs(8);
/// The most keys that a server remembers.
const KEYS: usize = 1000;

/// As many are there at once as never else, and leave, until that changes nothing any more.
pub(super) async fn rush(address: &Address) -> Result<(), Lost> {
    let begin = Instant::now();
    while begin.elapsed() < TIME {
        let mut open = Vec::new();
        for _ in 0..CONNECTIONS {
            let connection = connect(address).await?;
            let stream = connection.channel.ask(Request::get("/stream"), &[]).await?;
            open.push((stream, connection));
        }
    }
    Ok(())
}

/// Gives it as many keys as it can remember, with a stream each, for which it forgets all others.
pub(super) async fn forget(address: &Address, look: &str) -> Result<(), Lost> {
    let connection = connect(address).await?;
    for number in 0..KEYS {
        let target = format!("/stream?key={look}{number}&count=1");
        let answer = connection.channel.ask(Request::get(target), &[]).await?;
        answer.text().await?;
    }
    Ok(())
}

async fn connect(address: &Address) -> Result<Connection, Lost> {
    Connection::open(address, Protocol::Http1, Manners::default()).await
}
