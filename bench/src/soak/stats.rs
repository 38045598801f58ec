//! The `/stats` of a server.

use http::Request;
use serde_json::Value;
use tokio::time::timeout;

use super::{
    channel::{Address, Connection, Lost},
    request::KEYS,
    shared::PATIENCE,
};

#[derive(Clone, Copy, Default)]
pub(super) struct Stats {
    pub(super) open: u64,
    pub(super) opened: u64,
    pub(super) left: u64,
    pub(super) finished: u64,
}

impl Stats {
    /// Returns the statistics of all streams.
    pub(super) async fn fetch(address: &Address) -> Result<Self, String> {
        let stats =
            async { Self::read(&Connection::without_faults(address).await?, "/stats").await };
        in_time(stats).await
    }

    /// Returns the number of open streams with one of the clients' keys.
    pub(super) async fn open_by_key(address: &Address) -> Result<u64, String> {
        let sum = async {
            let connection = Connection::without_faults(address).await?;
            let mut open = 0;
            for number in 0..KEYS {
                open += Self::of_key(&connection, &format!("k{number}")).await?.open;
            }
            Ok(open)
        };
        in_time(sum).await
    }

    pub(super) async fn of_key(connection: &Connection, key: &str) -> Result<Self, Lost> {
        Self::read(connection, &format!("/stats?key={key}")).await
    }

    async fn read(connection: &Connection, target: &str) -> Result<Self, Lost> {
        let response = connection.channel.send(Request::get(target), &[]).await?;
        let said: Value = serde_json::from_str(&response.text().await?)?;
        let number = |value: &Value| value.as_u64().ok_or(format!("no number in {said}"));
        Ok(Self {
            open: number(&said["open"])?,
            opened: number(&said["opened"])?,
            left: number(&said["closed"]["client"])?,
            finished: number(&said["closed"]["finished"])?,
        })
    }

    pub(super) fn ended(&self) -> u64 {
        self.left + self.finished
    }
}

async fn in_time<T>(response: impl Future<Output = Result<T, Lost>>) -> Result<T, String> {
    match timeout(PATIENCE, response).await {
        Ok(stats) => stats.map_err(|e| format!("/stats is not received: {e}")),
        Err(_) => Err("/stats is not received in time".into()),
    }
}
