//! A TCP proxy that cuts every connection after a pseudo-random number of bytes.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::thread;

use crate::support::DEADLINE;

/// Pseudo-random numbers, the same in every run (Steele's splitmix64).
#[derive(Debug)]
pub struct Dice(pub u64);

impl Dice {
    pub fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % end
    }
}

#[derive(Debug)]
pub struct Proxy {
    pub address: SocketAddr,
    cuts: Arc<AtomicUsize>,
}

impl Proxy {
    /// A proxy for `server` that cuts each connection after fewer than `most` bytes of the
    /// response.
    pub fn start(server: SocketAddr, most: u64, seed: u64) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let cuts = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&cuts);
        thread::spawn(move || {
            let mut dice = Dice(seed);
            for client in listener.incoming().map_while(Result::ok) {
                let (offset, cuts) = (dice.below(most), Arc::clone(&counter));
                thread::spawn(move || {
                    if pass_on(&client, server, offset).is_some() {
                        cuts.fetch_add(1, SeqCst);
                    }
                    // The cut is counted before the client notices.
                    drop(client);
                });
            }
        });
        Self { address, cuts }
    }

    pub fn cuts(&self) -> usize {
        self.cuts.load(SeqCst)
    }
}

/// Forwards `left` bytes of the response; nothing, if either side closed first.
fn pass_on(mut client: &TcpStream, server: SocketAddr, mut left: u64) -> Option<()> {
    let mut server = TcpStream::connect(server).ok()?;
    server.set_read_timeout(Some(DEADLINE)).ok()?;
    client.set_read_timeout(Some(DEADLINE)).ok()?;
    let mut buffer = [0; 1024];
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        let length = client.read(&mut buffer).ok().filter(|length| *length > 0)?;
        request.extend_from_slice(&buffer[..length]);
    }
    server.write_all(&request).ok()?;
    while left > 0 {
        let most = usize::try_from(left).unwrap().min(buffer.len());
        let length = server.read(&mut buffer[..most]).ok()?;
        if length == 0 {
            return None;
        }
        client.write_all(&buffer[..length]).ok()?;
        left -= length as u64;
    }
    let _ = server.shutdown(Shutdown::Both);
    Some(())
}
