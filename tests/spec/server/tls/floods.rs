//! Floods of frames end their connection or are throttled, without an effect on other clients.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::thread;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt, split};
use tokio::time::{sleep, timeout};

use crate::support::frames::{
    CONTINUATION, DATA, END_HEADERS, END_STREAM, HEADERS, PING, PREFACE, SETTINGS, WINDOW_UPDATE,
    fields, frame, get, head, reset, settings, window,
};
use crate::support::tls::{self, handshake, http2};
use crate::support::{Binary, DEADLINE, Serves};

/// How long a flood lasts if the server does not end the connection.
const TIME: Duration = Duration::from_millis(300);

/// The number of bytes after which a flood stops sending.
const MAX_SENT: usize = 64 << 20;

/// Makes the wave of frames with this number, sent after the client's first frames.
struct Flood {
    what: &'static str,
    first: Vec<u8>,
    wave: fn(u32) -> Vec<u8>,
    /// Whether the server has to end the connection, because each frame costs the server more.
    ends: bool,
}

/// The streams of a wave.
fn streams(wave: u32) -> impl Iterator<Item = u32> {
    (wave * 200..).take(200).map(|number| 2 * number + 1)
}

fn of_streams(wave: u32, frames: impl Fn(u32) -> Vec<u8>) -> Vec<u8> {
    streams(wave).flat_map(frames).collect()
}

fn repeated(frame: &[u8]) -> Vec<u8> {
    frame.repeat(500)
}

/// The request head of a POST before its content.
fn post() -> Vec<u8> {
    frame(HEADERS, END_HEADERS, 1, head("POST", "/events?echo", []))
}

fn floods() -> Vec<Flood> {
    let flood = |what, wave: fn(u32) -> Vec<u8>| Flood {
        what,
        first: Vec::new(),
        wave,
        ends: false,
    };
    let ending = |what, wave| Flood {
        ends: true,
        ..flood(what, wave)
    };
    vec![
        // CVE-2023-44487.
        ending("rapid resets", |wave| {
            of_streams(wave, |it| [get(it, "/events"), reset(it)].concat())
        }),
        // CVE-2025-8671: the client violates the protocol, and the server resets the stream.
        ending("windows opened by nothing", |wave| {
            of_streams(wave, |it| [get(it, "/events"), window(it, 0)].concat())
        }),
        ending("windows opened too far", |wave| {
            of_streams(wave, |it| {
                [get(it, "/events"), window(it, (1 << 31) - 1)].concat()
            })
        }),
        ending("content after the end", |wave| {
            of_streams(wave, |it| {
                [get(it, "/events"), frame(DATA, 0, it, "more")].concat()
            })
        }),
        // CVE-2024-27316.
        Flood {
            first: frame(HEADERS, 0, 1, head("GET", "/events", [])),
            ..ending("continuations", |_| {
                repeated(&frame(CONTINUATION, 0, 1, fields([("x", "y")])))
            })
        },
        Flood {
            first: frame(HEADERS, 0, 1, head("GET", "/events", [])),
            ..ending("empty continuations", |_| {
                repeated(&frame(CONTINUATION, 0, 1, ""))
            })
        },
        Flood {
            first: post(),
            ..ending("empty content", |_| repeated(&frame(DATA, 0, 1, "")))
        },
        Flood {
            first: post(),
            ..flood("padding as content", |_| repeated(&frame(DATA, 8, 1, [0])))
        },
        Flood {
            first: post(),
            ..flood("content byte by byte", |_| {
                repeated(&frame(DATA, 0, 1, "x"))
            })
        },
        flood("pings", |_| repeated(&frame(PING, 0, 0, [0; 8]))),
        flood("responses to no ping", |_| {
            repeated(&frame(PING, 1, 0, [0; 8]))
        }),
        flood("settings", |wave| {
            repeated(&settings(&[(1, wave % 4096), (4, wave)]))
        }),
        flood("empty settings", |_| repeated(&frame(SETTINGS, 0, 0, ""))),
        flood("priorities", |wave| {
            of_streams(wave, |it| frame(2, 0, it, [0, 0, 0, 0, 7]))
        }),
        flood("frames of no known kind", |_| {
            repeated(&frame(0xbe, 0xff, 7, "what"))
        }),
        Flood {
            first: get(1, "/events?interval=60000"),
            ..flood("windows opened by a byte", |_| {
                repeated(&frame(WINDOW_UPDATE, 0, 1, [0, 0, 0, 1]))
            })
        },
        flood("refused streams", |wave| {
            of_streams(wave, |it| get(it, "/events?interval=60000"))
        }),
        flood("heads that are too long", |wave| {
            let long = "y".repeat(9000);
            let flags = END_HEADERS | END_STREAM;
            let wave = streams(wave).take(20);
            wave.flat_map(|it| frame(HEADERS, flags, it, head("GET", "/", [("x", long.as_str())])))
                .collect()
        }),
    ]
}

/// Whether the server ended the connection of `flood`. A client that `reads` also reads the
/// responses.
async fn ends_of(flood: &Flood, server: &Binary, reads: bool) -> bool {
    let (mut from, mut to) = split(handshake(server.address(), "h2").await);
    let sending = async {
        let start = [PREFACE, &settings(&[]), &flood.first].concat();
        to.write_all(&start).await?;
        let mut sent = 0;
        for wave in 0.. {
            let wave = (flood.wave)(wave);
            sent += wave.len();
            to.write_all(&wave).await?;
            if sent > MAX_SENT {
                break;
            }
        }
        std::future::pending::<std::io::Result<()>>().await
    };
    let reading = async {
        let mut scrap = [0; 4096];
        while reads && from.read(&mut scrap).await.is_ok_and(|length| length > 0) {}
        if !reads {
            std::future::pending::<()>().await;
        }
    };
    let ending = async {
        tokio::select! {
            _ = sending => {}
            () = reading => {}
        }
    };
    let time = if flood.ends && reads { DEADLINE } else { TIME };
    timeout(time, ending).await.is_ok()
}

/// Reads ticks on another connection until `over` is set; returns the longest wait for a tick.
fn canary(address: SocketAddr, over: &AtomicBool) -> Duration {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    let runtime = builder.enable_all().build().unwrap();
    runtime.block_on(async {
        let mut requests = http2(address).await;
        let request = tls::get("/events?interval=100");
        let (response, _) = requests.send_request(request, true).unwrap();
        let mut body = response.await.unwrap().into_body();
        let mut longest = Duration::ZERO;
        while !over.load(SeqCst) {
            let before = Instant::now();
            let tick = timeout(DEADLINE, body.data()).await.expect("a tick");
            let length = tick.expect("it goes on").expect("it goes on").len();
            body.flow_control().release_capacity(length).unwrap();
            longest = longest.max(before.elapsed());
        }
        longest
    })
}

#[tokio::test]
async fn floods_end_their_connection_or_are_held_back_and_no_other_client_notices() {
    let server = Binary::start(&["--tls"]);
    let over = Arc::new(AtomicBool::new(false));
    let canary = {
        let (address, over) = (server.address(), Arc::clone(&over));
        thread::spawn(move || canary(address, &over))
    };
    // The first flood grows the memory that all others reuse.
    ends_of(&floods()[0], &server, true).await;
    for (flood, reads) in floods().iter().flat_map(|it| [(it, true), (it, false)]) {
        let (memory, cpu, start) = (server.memory(), server.cpu(), Instant::now());
        let ends = ends_of(flood, &server, reads).await;
        let time = start.elapsed();
        let grown = server.memory().saturating_sub(memory);
        println!(
            "{}, {}: {} after {time:?}, {:?} of processor, {grown} KiB more",
            flood.what,
            if reads { "read" } else { "unread" },
            if ends { "ended" } else { "held back" },
            server.cpu().saturating_sub(cpu),
        );
        assert!(grown < 1024, "{}: {grown} KiB more", flood.what);
        assert!(ends || !flood.ends || !reads, "{}: it goes on", flood.what);
    }
    let cpu = server.cpu();
    sleep(Duration::from_millis(500)).await;
    let after = server.cpu().saturating_sub(cpu);
    assert!(after < Duration::from_millis(150), "{after:?} after all");
    over.store(true, SeqCst);
    let gap = canary.join().expect("the canary gets its ticks");
    println!("the canary waited for a tick for {gap:?} at most");
    assert!(gap < Duration::from_secs(2), "a tick came {gap:?} late");
    let log = server.log_so_far();
    let known = ["stream opened", "stream ended", "lines were left out"];
    let is_other = |line: &&String| !known.iter().any(|known| line.contains(known));
    assert_eq!(log.iter().find(is_other), None);
}
