//! The end of stdin, for a parent process that the server must not outlive.

use std::{io, thread};

use tokio::sync::oneshot;

/// Waits until stdin is closed. What comes before is discarded.
pub(crate) async fn closed() {
    let (sender, closed) = oneshot::channel::<()>();
    // A read of stdin blocks. The thread ends with the process at the latest.
    thread::spawn(move || {
        let _ = io::copy(&mut io::stdin().lock(), &mut io::sink());
        drop(sender);
    });
    let _ = closed.await;
}
