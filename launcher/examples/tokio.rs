//! Waits for several programs at once in one asynchronous thread.
//!
//! cargo run --example tokio

use std::error::Error;
use std::time::{Duration, Instant};

use exec_relay_launcher::tokio::Child;
use exec_relay_launcher::{Launch, Stdio};
use tokio::time::timeout;

fn sleep(seconds: &str) -> Result<Child, Box<dyn Error>> {
    Ok(Child::from_std(Launch::new("/bin/sleep").arg(seconds).stdin(Stdio::Null).launch()?)?)
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let (mut first, mut second, mut endless) = (sleep("0.1")?, sleep("0.2")?, sleep("1000")?);
    let began = Instant::now();
    let (first, second) = tokio::join!(first.wait(), second.wait());
    println!("both have ended after {} ms: {}, {}", began.elapsed().as_millis(), first?, second?);

    // One that takes too long is killed by its pidfd, which can never hit another process.
    if timeout(Duration::from_millis(100), endless.wait()).await.is_err() {
        endless.kill().await?;
    }
    println!("the third one: {}", endless.wait().await?);

    // A future that is cancelled kills the program whose child it owns, where it was asked for.
    let mut endless = sleep("1000")?;
    endless.kill_on_drop(true);
    let output = timeout(Duration::from_millis(100), endless.wait_with_output()).await;
    println!("the fourth one {}", if output.is_err() { "was killed" } else { "has ended" });
    Ok(())
}
