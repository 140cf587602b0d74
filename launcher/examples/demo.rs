//! `cargo demo`: a host that leaks, and what a program finds that is started from it, plainly and by each vehicle.
//!
//! The host has sockets and files open that are not close-on-exec, ignores SIGPIPE and SIGCHLD, blocks every signal it
//! can, and has a raised limit. The program is the probe that the tests use.

#![allow(unsafe_code, reason = "a host that leaks needs calls that no safe crate offers")]

use std::error::Error;
use std::fs::File;
use std::io::{self, IsTerminal, Read};
use std::net::TcpListener;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio as PlainStdio};

use exec_relay_launcher::{Launch, Stdio, Vehicle};
use serde::Deserialize;

/// What the probe prints.
#[derive(Deserialize)]
struct Slate {
    descriptors: Vec<Descriptor>,
    not_default: Vec<u32>,
    blocked: Vec<u32>,
    nofile: [u64; 2],
}

#[derive(Deserialize)]
struct Descriptor {
    number: i32,
}

impl Slate {
    fn of(mut output: impl Read) -> Result<Self, Box<dyn Error>> {
        let mut text = String::new();
        output.read_to_string(&mut text)?;
        Ok(serde_json::from_str(&text)?)
    }

    /// Each fact with what it should be.
    fn facts(&self) -> [(String, bool); 4] {
        let open: Vec<_> = self.descriptors.iter().map(|descriptor| descriptor.number).collect();
        [
            (ranges(&open), open == [0, 1, 2]),
            (ranges(&self.not_default), self.not_default.is_empty()),
            (ranges(&self.blocked), self.blocked.is_empty()),
            (self.nofile[0].to_string(), self.nofile[0] == 1024),
        ]
    }
}

const NAMES: [&str; 4] = ["open descriptors", "signals not at default", "blocked signals", "limit of descriptors"];

/// `1-3 5`, or `none`.
fn ranges<T: Copy + Into<i64>>(numbers: &[T]) -> String {
    let mut ranges: Vec<(i64, i64)> = Vec::new();
    for number in numbers.iter().map(|&number| number.into()) {
        match ranges.last_mut() {
            Some((_, last)) if *last + 1 == number => *last = number,
            _ => ranges.push((number, number)),
        }
    }
    let texts: Vec<_> = ranges
        .iter()
        .map(|(first, last)| if first == last { first.to_string() } else { format!("{first}-{last}") })
        .collect();
    if texts.is_empty() { "none".to_owned() } else { texts.join(" ") }
}

/// The probe, built from the root package.
fn probe() -> Result<PathBuf, Box<dyn Error>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let target = root.join("target/demo");
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or("cargo".into()));
    cargo.args(["build", "--quiet", "--package", "exec-relay", "--features", "probe", "--bin", "probe"]);
    let built = cargo.arg("--manifest-path").arg(root.join("Cargo.toml")).arg("--target-dir").arg(&target).status()?;
    if built.success() {
        Ok(target.join("debug/probe").canonicalize()?)
    } else {
        Err("the probe cannot be built".into())
    }
}

/// Makes this process what hosts become when nobody looks.
fn leak() -> Result<(), Box<dyn Error>> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let file = File::open("/etc/passwd")?;
    for number in [5, 6, 7, 100, 1000] {
        let source = if number % 2 == 0 { file.as_raw_fd() } else { listener.as_raw_fd() };
        // SAFETY: touches no memory. A copy is not close-on-exec.
        if unsafe { libc::dup2(source, number) } < 0 {
            return Err(io::Error::last_os_error().into());
        }
    }
    // SAFETY: sets dispositions, a mask and a limit from structures that are this function's.
    unsafe {
        libc::signal(libc::SIGPIPE, libc::SIG_IGN);
        libc::signal(libc::SIGCHLD, libc::SIG_IGN);
        libc::signal(libc::SIGUSR1, libc::SIG_IGN);
        let mut all = std::mem::zeroed();
        libc::sigfillset(&mut all);
        libc::pthread_sigmask(libc::SIG_SETMASK, &all, std::ptr::null_mut());
        let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
        libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit);
        limit.rlim_cur = limit.rlim_max;
        libc::setrlimit(libc::RLIMIT_NOFILE, &limit);
    }
    Ok(())
}

/// In the colour of something wrong, or of something right, where a terminal shows it.
fn coloured(text: &str, width: usize, is_right: bool) -> String {
    let text = format!("{text:<width$}");
    match (io::stdout().is_terminal(), is_right) {
        (false, _) => text,
        (true, true) => format!("\x1b[32m{text}\x1b[0m"),
        (true, false) => format!("\x1b[1;31m{text}\x1b[0m"),
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let probe = probe()?;
    leak()?;
    let mut plain = Command::new(&probe).stdin(PlainStdio::null()).stdout(PlainStdio::piped()).spawn()?;
    let mut slates = vec![("std::process::Command", Slate::of(plain.stdout.take().ok_or("it is piped")?)?)];
    // This host ignores SIGCHLD, so nobody can tell how it ended.
    let _ = plain.wait();
    for (name, vehicle) in [("Vehicle::InPlace", Vehicle::InPlace), ("Vehicle::Relay", Vehicle::Relay)] {
        let mut launch = Launch::new(&probe);
        let mut child = launch.stdin(Stdio::Null).stdout(Stdio::Piped).vehicle(vehicle).launch()?;
        slates.push((name, Slate::of(child.stdout.take().ok_or("it is piped")?)?));
    }

    let columns: Vec<_> = slates.iter().map(|(name, slate)| (*name, slate.facts())).collect();
    let widths: Vec<_> = columns
        .iter()
        .map(|(name, facts)| facts.iter().map(|(text, _)| text.len()).max().unwrap_or(0).max(name.len()))
        .collect();
    println!("A program started from a host that leaks finds:\n");
    print!("{:24}", "");
    for ((name, _), width) in columns.iter().zip(&widths) {
        print!("{name:<width$}   ");
    }
    println!();
    for (row, name) in NAMES.iter().enumerate() {
        print!("{name:<24}");
        for ((_, facts), &width) in columns.iter().zip(&widths) {
            let (text, is_right) = &facts[row];
            print!("{}   ", coloured(text, width, *is_right));
        }
        println!();
    }
    Ok(())
}
