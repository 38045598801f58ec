//! Parses the log of a server as the file grows. Every line must be a known message.

use std::{fs::File, io::Read, net::SocketAddr, path::Path};

/// Log counts of one process.
pub(super) struct Log {
    file: File,
    rest: Vec<u8>,
    pub(super) lines: u64,
    /// Unknown lines.
    pub(super) odd: u64,
    pub(super) opened: u64,
    pub(super) left: u64,
    pub(super) finished: u64,
    /// Streams that ended when the server stopped.
    pub(super) stopped: u64,
    /// Lines that the server left out, according to its log.
    pub(super) left_out: u64,
}

impl Log {
    pub(super) fn open(path: &Path) -> Result<Self, String> {
        let file = File::open(path).map_err(|e| format!("no log at {}: {e}", path.display()))?;
        Ok(Self {
            file,
            rest: Vec::new(),
            lines: 0,
            odd: 0,
            opened: 0,
            left: 0,
            finished: 0,
            stopped: 0,
            left_out: 0,
        })
    }

    /// Reads new lines and returns the unknown ones.
    pub(super) fn read_on(&mut self) -> Vec<String> {
        let mut odd = Vec::new();
        if let Err(error) = self.file.read_to_end(&mut self.rest) {
            odd.push(format!("the log cannot be read: {error}"));
        }
        let whole = self.rest.iter().rposition(|byte| *byte == b'\n');
        let rest = self.rest.split_off(whole.map_or(0, |end| end + 1));
        let text = std::mem::replace(&mut self.rest, rest);
        for line in String::from_utf8_lossy(&text).lines() {
            self.lines += 1;
            match understand(line) {
                Some(Line::Opened) => self.opened += 1,
                Some(Line::Left) => self.left += 1,
                Some(Line::Finished) => self.finished += 1,
                Some(Line::Stopped) => self.stopped += 1,
                Some(Line::LeftOut(lines)) => self.left_out += lines,
                Some(Line::Other) => {}
                None => {
                    self.odd += 1;
                    odd.push(line.to_owned());
                }
            }
        }
        odd
    }
}

/// A known log line.
#[derive(Debug, PartialEq, Eq)]
enum Line {
    Opened,
    Left,
    Finished,
    Stopped,
    LeftOut(u64),
    Other,
}

/// Parses a line: time, level, and a `tracing` message of the server.
fn understand(line: &str) -> Option<Line> {
    let (time, rest) = line.split_once("Z ")?;
    time.parse::<jiff::civil::DateTime>().ok()?;
    let (level, said) = rest.trim_start().split_once(' ')?;
    if level == "WARN" {
        if let Some((lines, rest)) = said.split_once(" lines were left out: ") {
            let is_why = rest == "at most 1000 are written a second";
            return lines.parse().ok().filter(|_| is_why).map(Line::LeftOut);
        }
        let permits = said.strip_prefix("all ")?;
        let (permits, rest) = permits.split_once(' ')?;
        permits.parse::<u32>().ok()?;
        let is_full = rest == "connection permits are taken: later clients wait in the backlog";
        return is_full.then_some(Line::Other);
    }
    if level != "INFO" {
        return None;
    }
    let others = [
        "a connection permit is free again: waiting clients get in",
        "SIGTERM: stopping",
    ];
    if others.contains(&said) {
        return Some(Line::Other);
    }
    if let Some(peer) = said.strip_prefix("stream opened peer=") {
        peer.parse::<SocketAddr>().ok()?;
        return Some(Line::Opened);
    }
    let rest = said.strip_prefix("stream ended peer=")?;
    let (peer, rest) = rest.split_once(" lived=")?;
    peer.parse::<SocketAddr>().ok()?;
    let (lived, rest) = rest.split_once("s events=")?;
    let lived = lived.trim_end_matches(['m', 'µ', 'n']);
    lived.parse::<f64>().ok()?;
    let (events, why) = rest.split_once(" why=")?;
    events.parse::<u64>().ok()?;
    match why {
        "\"client left\"" => Some(Line::Left),
        "\"finished\"" => Some(Line::Finished),
        "\"server stopping\"" => Some(Line::Stopped),
        _ => None,
    }
}

/// Tests the parser. Runs before any soak.
pub(super) fn check() {
    let time = "2026-11-21T22:30:00.844964Z ";
    let ended = " INFO stream ended peer=127.0.0.1:5 lived=1.01ms events=1 why=";
    let ended = |why: &str| format!("{ended}\"{why}\"");
    for (said, line) in [
        (" INFO stream opened peer=127.0.0.1:5", Some(Line::Opened)),
        (&ended("client left"), Some(Line::Left)),
        (&ended("finished"), Some(Line::Finished)),
        (
            " INFO a connection permit is free again: waiting clients get in",
            Some(Line::Other),
        ),
        (
            " WARN 7 lines were left out: at most 1000 are written a second",
            Some(Line::LeftOut(7)),
        ),
        (" INFO stream opened peer=127.0.0.1", None),
        (&ended("server stopping"), Some(Line::Stopped)),
        (" INFO SIGTERM: stopping", Some(Line::Other)),
        (&ended("bored"), None),
        ("ERROR a task panicked: panicked at src/main.rs", None),
        (" WARN received a bad frame", None),
    ] {
        assert_eq!(understand(&format!("{time}{said}")), line, "{said}");
    }
    assert_eq!(understand("thread 'main' panicked"), None);
}
