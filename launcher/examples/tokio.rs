//! Waits for several programs at once in one asynchronous thread: a pidfd is readable once its program has ended.
//!
//! cargo run --example tokio

#![allow(unsafe_code, reason = "tokio wants a promise about the descriptor")]

use std::error::Error;
use std::time::{Duration, Instant};

use exec_relay_launcher::{Child, Launch, Stdio};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// Has the event loop watch the pidfd.
fn watched(child: Child) -> Result<AsyncFd<Child>, Box<dyn Error>> {
    // SAFETY: a child's descriptor is always the same one, and stays open for as long as the child lives.
    Ok(unsafe { AsyncFd::register_with_interest(child, Interest::READABLE) }?)
}

/// Waits for the program's end without blocking the thread.
async fn ended(child: Child) -> Result<std::process::ExitStatus, Box<dyn Error>> {
    let mut child = watched(child)?;
    drop(child.readable().await?);
    Ok(child.get_mut().wait()?)
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let start = |seconds| Launch::new("/bin/sleep").arg(seconds).stdin(Stdio::Null).launch();
    let (first, second, endless) = (start("0.1")?, start("0.2")?, start("1000")?);
    let began = Instant::now();
    let (first, second) = tokio::join!(ended(first), ended(second));
    println!("both have ended after {} ms: {}, {}", began.elapsed().as_millis(), first?, second?);

    // One that takes too long is killed by its pidfd, which can never hit another process.
    let endless = watched(endless)?;
    if tokio::time::timeout(Duration::from_millis(100), endless.readable()).await.is_err() {
        endless.get_ref().kill()?;
    }
    println!("the third one: {}", ended(endless.into_inner()).await?);
    Ok(())
}
