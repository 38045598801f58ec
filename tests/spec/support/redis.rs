//! Debian's Redis on a port of its own, with an append-only file that survives SIGKILL.

use std::env;
use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use redis::streams::StreamRangeReply;
use redis::{Client, Commands, Connection, RedisResult};

use crate::support::system::{self, Signal};
use crate::support::{eventually, port_of_our_own, skipped};

/// A Redis server; dropping the value ends the server and removes its folder.
#[derive(Debug)]
pub struct Redis {
    port: u16,
    folder: PathBuf,
    process: Option<Child>,
}

impl Redis {
    /// Starts an empty Redis; `None` where `redis-server` is missing.
    #[track_caller]
    pub fn start() -> Option<Self> {
        let version = Command::new("redis-server").arg("--version").output();
        if version.is_err() {
            skipped("redis-server is not installed: make test-redis installs it");
            return None;
        }
        let port = port_of_our_own();
        let folder = env::temp_dir().join(format!("sse-clock-redis-{port}"));
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir(&folder).unwrap();
        let process = None;
        let mut redis = Self {
            port,
            folder,
            process,
        };
        redis.restart();
        Some(redis)
    }

    /// Starts Redis with the events that its append-only file holds, and waits until it responds.
    #[track_caller]
    pub fn restart(&mut self) {
        assert!(self.process.is_none(), "it runs");
        let process = Command::new("redis-server")
            .args(["--bind", "127.0.0.1", "--port", &self.port.to_string()])
            .args(["--appendonly", "yes", "--appendfsync", "always"])
            .args(["--save", "", "--dir"])
            .arg(&self.folder)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn();
        self.process = Some(process.unwrap());
        eventually("Redis responds", || {
            let mut redis = self.connect();
            redis.as_mut().is_ok_and(|redis| {
                let pong: RedisResult<String> = redis.ping();
                pong.is_ok()
            })
        });
    }

    /// Ends Redis with SIGKILL.
    pub fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill().unwrap();
            process.wait().unwrap();
        }
    }

    /// Sends `signal`, such as SIGSTOP, to Redis.
    pub fn signal(&self, signal: Signal) {
        let process = self.process.as_ref().expect("it runs");
        system::send(signal, process).unwrap();
    }

    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}/", self.port)
    }

    fn connect(&self) -> RedisResult<Connection> {
        Client::open(self.url())?.get_connection()
    }

    /// The ids of all entries of `stream`.
    pub fn ids(&self, stream: &str) -> Vec<String> {
        let mut redis = self.connect().unwrap();
        let all: StreamRangeReply = redis.xrange_all(stream).unwrap();
        all.ids.into_iter().map(|entry| entry.id).collect()
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        self.kill();
        let _ = fs::remove_dir_all(&self.folder);
    }
}
