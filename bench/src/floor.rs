//! The minimal server, as a lower bound: one thread, a ring of sockets, one prepared event.

use std::{
    collections::{HashMap, VecDeque},
    env,
    io::{self, ErrorKind, Read, Write},
    net::{Ipv4Addr, SocketAddr},
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
const LISTENER: Token = Token(usize::MAX);
/// Events sent between two checks for new connections.
const SWEEP: usize = 512;

struct Due {
    socket: TcpStream,
    at: Instant,
}

/// Serves until the process is killed.
pub(crate) fn serve() -> Result<(), String> {
    let port = env::var("PORT").ok().and_then(|port| port.parse().ok());
    let interval = env::var("INTERVAL")
        .ok()
        .and_then(|interval| interval.parse().ok());
    let interval = Duration::from_millis(interval.ok_or("INTERVAL is no number")?);
    ring(port.ok_or("PORT is no number")?, interval).map_err(|error| error.to_string())
}

fn ring(port: u16, interval: Duration) -> io::Result<()> {
    let mut poll = Poll::new()?;
    let mut ready = Events::with_capacity(1024);
    let mut listener = listener(port)?;
    poll.registry()
        .register(&mut listener, LISTENER, Interest::READABLE)?;

    let mut callers: HashMap<usize, (TcpStream, Vec<u8>)> = HashMap::new();
    let mut calls = 0;
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
                match read_head(&mut socket, head) {
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
            let sent = due.socket.write(EVENT);
            if sent.is_ok() || sent.is_err_and(|error| error.kind() == ErrorKind::WouldBlock) {
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
