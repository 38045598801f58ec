//! Clients that break HTTP: they send random bytes and ignore the response.

use std::{fmt::Write, time::Duration};

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    time::{sleep, timeout},
};

use super::{
    channel::{Address, Lost, handshake},
    random::Random,
    socket::{Behaviour, FaultySocket},
};

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Makes one visit.
pub(super) async fn live(random: &mut Random, address: &Address) -> Result<(), Lost> {
    let socket = FaultySocket::connect(address.socket, Behaviour::draw(random)).await?;
    let Some(tls) = &address.tls else {
        return say(socket, &requests(random), random).await;
    };
    let (config, words) = match random.below(4) {
        // Random bytes, or half a TLS handshake.
        0 => {
            let length = random.below(600);
            let hello = [&[22, 3, 1][..], &random.bytes(length)].concat();
            let words = if random.one_in(2) {
                hello
            } else {
                requests(random)
            };
            return say(socket, &words, random).await;
        }
        1 => (&tls.http1, requests(random)),
        _ => (&tls.http2, frames(random)),
    };
    say(handshake(config, socket).await?, &words, random).await
}

/// Sends `words` at once or in small pieces, maybe not all, then reads for a while.
async fn say<I>(mut io: I, words: &[u8], random: &mut Random) -> Result<(), Lost>
where
    I: AsyncRead + AsyncWrite + Unpin,
{
    let end = if random.one_in(2) {
        words.len()
    } else {
        random.below(words.len() + 1)
    };
    let step = random.pick(&[usize::MAX, usize::MAX, 100, 1]);
    for piece in words[..end].chunks(step) {
        io.write_all(piece).await?;
        io.flush().await?;
        if step < usize::MAX {
            sleep(Duration::from_millis(random.between(1..=20))).await;
        }
    }
    let stays = Duration::from_millis(random.about(1, 15_000));
    let mut scrap = vec![0; 4096];
    let reads = async { while io.read(&mut scrap).await.is_ok_and(|length| length > 0) {} };
    let _ = timeout(stays, reads).await;
    Ok(())
}

/// Returns invalid HTTP/1.1 requests, pipelined.
fn requests(random: &mut Random) -> Vec<u8> {
    let mut words = Vec::new();
    for _ in 0..=random.below(3) {
        let target = random.pick(&[
            "/events",
            "/stream?ids",
            "/events?count=1&interval=10",
            "/",
            "*",
        ]);
        let version = random.pick(&["1.1", "1.1", "1.1", "1.0", "9.9"]);
        let method = random.pick(&["GET", "GET", "GET", "POST", "CONNECT", "PUT", "F\0O"]);
        let mut head = format!("{method} {target} HTTP/{version}\r\nHost: clock\r\n");
        let field = match random.below(10) {
            0 => "Host: two\r\n".to_owned(),
            1 => format!("X: {}\r\n", "x".repeat(random.below(20_000))),
            2 => "X: x\r\n".repeat(random.below(300)),
            3 => "Expect: 100-continue\r\nContent-Length: 100000\r\n".to_owned(),
            4 => format!("Content-Length: {}\r\n", random.below(5000)),
            5 => "Transfer-Encoding: chunked\r\n".to_owned(),
            6 => "Transfer-Encoding: gzip, chunked\r\nContent-Length: 5\r\n".to_owned(),
            7 => "Connection: close\r\n".to_owned(),
            _ => String::new(),
        };
        let _ = write!(head, "{field}\r\n");
        words.extend_from_slice(head.as_bytes());
        let length = random.pick(&[0, 0, 10, 5000]);
        words.extend(random.bytes(length));
    }
    words
}

/// Returns HTTP/2 frames in random order (RFC 9113 section 6), some of which are valid.
fn frames(random: &mut Random) -> Vec<u8> {
    let mut words = PREFACE.to_vec();
    let shut = [0, 4, 0, 0, 0, 0];
    words.extend(frame(4, 0, 0, random.pick(&[&[][..], &shut])));
    for number in 0..random.below(60) {
        let stream = 2 * number as u32 + 1;
        // `GET https://clock/events` in HPACK.
        let get = b"\x82\x87\x41\x05clock\x44\x07/events";
        let length = random.below(40);
        let junk = random.bytes(length);
        let other = random.below(64) as u32;
        let kind = random.below(12) as u8;
        words.extend(match random.below(10) {
            0..=3 => frame(1, 5, stream, get),
            4 => frame(3, 0, stream.saturating_sub(2), &8_u32.to_be_bytes()),
            5 => frame(6, 0, 0, b"eight of"),
            6 => frame(8, 0, 0, &(1_u32 << 20).to_be_bytes()),
            7 if random.one_in(4) => frame(7, 0, 0, &[0; 8]),
            8 if random.one_in(8) => frame(kind, junk[..].len() as u8, other, &junk),
            9 if random.one_in(8) => junk,
            _ => frame(4, 0, 0, &[]),
        });
    }
    words
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let head = [0, 0, payload.len() as u8, kind, flags];
    [&head[..], &stream.to_be_bytes(), payload].concat()
}
