//! The minimal server, as a lower bound: one thread, a ring of sockets, one prepared event.
//!
//! A `POST` sends its text to all sockets at once.

use std::{
    collections::{HashMap, VecDeque},
    env,
    io::{self, ErrorKind, Read, Write},
    mem,
    net::{Ipv4Addr, SocketAddr},
    ops::RangeFrom,
    time::{Duration, Instant},
};

use mio::{
    Events, Interest, Poll, Token,
    net::{TcpListener, TcpStream},
};
use rustix::net::{
    AddressFamily, SocketFlags, SocketType, bind, listen, socket_with,
    sockopt::set_socket_reuseaddr,
};

const HEAD: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\
    Cache-Control: no-cache\r\nTransfer-Encoding: chunked\r\n\r\n";
const EVENT: &[u8] = b"12\r\ndata: 9:05:07 AM\n\n\r\n";
const POSTED: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
/// Bytes of every posted text.
pub(crate) const TEXT: usize = 60;
/// An id with as many digits as those of `examples/notify.rs`.
const FIRST_ID: usize = 1_000_000_000_000;
const LISTENER: Token = Token(usize::MAX);
/// Events sent between two checks for new connections.
const SWEEP: usize = 512;

struct Due {
    socket: TcpStream,
    at: Instant,
}

impl Due {
    /// Sends an event, unless the socket is full. Returns whether the socket is still connected.
    fn send(&mut self, event: &[u8]) -> bool {
        let sent = self.socket.write(event);
        sent.is_ok() || sent.is_err_and(|error| error.kind() == ErrorKind::WouldBlock)
    }
}

/// Serves until the process is killed.
pub(crate) fn serve() -> Result<(), String> {
    let number = |name| {
        env::var(name)
            .ok()
            .and_then(|text| text.parse::<u64>().ok())
    };
    let port = number("PORT").ok_or("PORT is no number")?;
    let interval = number("INTERVAL").ok_or("INTERVAL is no number")?;
    let served = ring(port as u16, Duration::from_millis(interval));
    served.map_err(|error| error.to_string())
}

fn ring(port: u16, interval: Duration) -> io::Result<()> {
    let mut poll = Poll::new()?;
    let mut ready = Events::with_capacity(1024);
    let mut listener = listener(port)?;
    poll.registry()
        .register(&mut listener, LISTENER, Interest::READABLE)?;

    let mut callers: HashMap<usize, (TcpStream, Vec<u8>)> = HashMap::new();
    let mut calls = 0;
    let mut ids = FIRST_ID..;
    // All sockets have the same interval, so the ring is ordered by due time.
    let mut ring: VecDeque<Due> = VecDeque::new();
    loop {
        // Whole milliseconds, like the timers of tokio and Node.
        let wait = ring
            .front()
            .map(|due| due.at.saturating_duration_since(Instant::now()));
        match poll.poll(&mut ready, wait) {
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            other => other?,
        }
        for event in &ready {
            if event.token() == LISTENER {
                while let Ok((mut socket, _)) = listener.accept() {
                    socket.set_nodelay(true)?;
                    poll.registry()
                        .register(&mut socket, Token(calls), Interest::READABLE)?;
                    callers.insert(calls, (socket, Vec::new()));
                    calls += 1;
                }
            } else if let Some((mut socket, head)) = callers.remove(&event.token().0) {
                let mut head = read_head(&mut socket, head);
                while let Some(event) = head.as_mut().and_then(|head| take_post(head, &mut ids)) {
                    ring.retain_mut(|due| due.send(&event));
                    let _ = socket.write(POSTED);
                }
                match head {
                    Some(head) if head.ends_with(b"\r\n\r\n") => {
                        poll.registry().deregister(&mut socket)?;
                        if socket.write_all(HEAD).is_ok() {
                            let at = Instant::now() + interval;
                            ring.push_back(Due { socket, at });
                        }
                    }
                    Some(head) => {
                        callers.insert(event.token().0, (socket, head));
                    }
                    None => {}
                }
            }
        }
        let now = Instant::now();
        for _ in 0..SWEEP {
            if ring.front().is_none_or(|due| due.at > now) {
                break;
            }
            let mut due = ring.pop_front().expect("the front was there");
            if due.send(EVENT) {
                due.at += interval;
                ring.push_back(due);
            }
        }
    }
}

fn listener(port: u16) -> io::Result<TcpListener> {
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let socket = socket_with(AddressFamily::INET, SocketType::STREAM, flags, None)?;
    set_socket_reuseaddr(&socket, true)?;
    bind(&socket, &SocketAddr::from((Ipv4Addr::LOCALHOST, port)))?;
    listen(&socket, 4096)?;
    Ok(TcpListener::from_std(socket.into()))
}

/// Reads more of a request head. Returns nothing if the client closed.
fn read_head(socket: &mut TcpStream, mut head: Vec<u8>) -> Option<Vec<u8>> {
    let mut buffer = [0; 4096];
    loop {
        match socket.read(&mut buffer) {
            Ok(0) => return None,
            Ok(length) => head.extend_from_slice(&buffer[..length]),
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Some(head),
            Err(_) => return None,
        }
    }
}

/// Removes the first complete `POST` from `bytes`. Returns its text as an event in a chunk.
fn take_post(bytes: &mut Vec<u8>, ids: &mut RangeFrom<usize>) -> Option<Vec<u8>> {
    let head = bytes.windows(4).position(|four| four == b"\r\n\r\n")?;
    let rest = bytes.get(head + 4 + TEXT..)?.to_vec();
    let request = String::from_utf8(mem::replace(bytes, rest)).ok()?;
    let (text, id) = (&request[head + 4..][..TEXT], ids.next()?);
    let event = format!("id: {id}\ndata: {text}\n\n");
    Some(format!("{:x}\r\n{event}\r\n", event.len()).into())
}

#[test]
fn takes_pipelined_posts_one_by_one() {
    let text = "x".repeat(TEXT);
    let post = format!("POST /notify HTTP/1.1\r\nHost: x\r\n\r\n{text}");
    let (mut bytes, mut ids) = ([&post[..], &post, &post[..90]].concat().into_bytes(), 7..);
    for id in [7, 8] {
        let event = take_post(&mut bytes, &mut ids).unwrap();
        let expected = format!("4a\r\nid: {id}\ndata: {text}\n\n\r\n");
        assert_eq!(String::from_utf8(event).unwrap(), expected);
    }
    assert_eq!(take_post(&mut bytes, &mut ids), None);
    assert_eq!(bytes, post.as_bytes()[..90]);
}
