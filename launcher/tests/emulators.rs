//! Hosts under emulators that give a child no share in its parent's memory, or make no child without a termination signal,
//! and under a debugger.
//!
//! This program runs itself under them, and needs `valgrind`, `qemu-x86_64-static` and `gdb` (Debian: valgrind,
//! qemu-user-static, gdb). Only `cargo test -p exec-relay-launcher --test emulators` runs it.

#![cfg(target_arch = "x86_64")]

// The harness's own, and the other tests' support, which use all that is in them.
#[allow(dead_code)]
#[path = "../../tests/harness/slate.rs"]
mod slate;
#[allow(dead_code)]
#[path = "launcher/support.rs"]
mod support;

use std::env;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::process::Command;

use exec_relay_launcher::{Error, Launch, Stdio, Vehicle, reserve_descriptors};

/// What this program does where another name is asked for: it says how two launches went.
const INNER: &str = "EMULATED";

fn inside() {
    let in_place = Launch::new("/bin/true").launch().map(|child| child.id());
    assert!(matches!(in_place, Err(Error::NotShared { .. })), "{in_place:?}");
    let error = in_place.expect_err("it is");
    assert!(error.to_string().contains("use Vehicle::Relay"), "{error}");

    let mut launch = Launch::new("/bin/sh");
    launch.args(["-c", "echo $A; exit 3"]).env("A", "hello").stdout(Stdio::Piped).vehicle(Vehicle::Relay);
    let mut child = launch.launch().expect("sh");
    let mut said = String::new();
    child.stdout.take().expect("piped").read_to_string(&mut said).expect("the output");
    assert_eq!((said.as_str(), child.wait().expect("a status").code()), ("hello\n", Some(3)));

    // One that ends at once has begun all the same, however it ends.
    let mut launch = Launch::new("/bin/sh");
    let mut child = launch.args(["-c", "kill -9 $$"]).vehicle(Vehicle::Relay).launch().expect("sh");
    assert_eq!(child.wait().expect("a status").signal(), Some(libc::SIGKILL));

    let error = Launch::new("/no/such").vehicle(Vehicle::Relay).launch().map(|child| child.id());
    assert_eq!(error.expect_err("it is missing").errno(), Some(libc::ENOENT));

    let error = Launch::new("/bin/true").exec();
    assert!(matches!(error, Error::Host { what: "a thread with a descriptor table of its own", .. }), "{error:?}");
}

/// Everything works, by each vehicle, with descriptors that the child is lent, fetches and receives.
fn inside_a_debugger() {
    let mut many: Vec<File> = (0..200).map(|_| File::open("/dev/null").expect("/dev/null")).collect();
    for (round, vehicle) in support::vehicles().into_iter().cycle().take(6).enumerate() {
        if round == 3 {
            // A low number.
            many.remove(0);
            reserve_descriptors(1).expect("it is free");
        }
        let mut launch = Launch::new("/bin/sh");
        launch.args(["-c", "read line; echo $line >&7; exit 3"]).stdin(Stdio::Piped).pulse().vehicle(vehicle.clone());
        let (mut said, teller) = io::pipe().expect("a pipe");
        let mut child = launch.fd(7, teller).launch().expect("sh");
        drop(launch);
        child.stdin.take().expect("piped").write_all(b"hello\n").expect("a reader");
        let mut line = String::new();
        said.read_to_string(&mut line).expect("the output");
        assert_eq!((line.as_str(), child.wait().expect("a status").code()), ("hello\n", Some(3)), "{vehicle:?}");

        let mut launch = Launch::new("/bin/sh");
        let mut child = launch.args(["-c", "kill -9 $$"]).vehicle(vehicle.clone()).launch().expect("sh");
        assert_eq!(child.wait().expect("a status").signal(), Some(libc::SIGKILL));

        let error = Launch::new("/no/such").vehicle(vehicle).launch().map(|child| child.id());
        assert_eq!(error.expect_err("it is missing").errno(), Some(libc::ENOENT));
    }
}

fn under(name: &str, emulator: &[&str], inside: fn()) {
    if env::var_os(INNER).is_some() {
        return inside();
    }
    let this = env::current_exe().expect("this program");
    let mut command = Command::new(emulator[0]);
    command.args(&emulator[1..]).arg(this).args([name, "--exact", "--nocapture", "--test-threads=1"]).env(INNER, "1");
    // Under an emulator nothing is built.
    command.env(support::FOLDER, support::programs());
    let output = command.output().unwrap_or_else(|error| panic!("{error}: this test needs {}", emulator[0]));
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && out.contains("1 passed"), "{}\n{out}\n{err}", output.status);
}

#[test]
fn valgrind() {
    under("valgrind", &["valgrind", "--quiet", "--child-silent-after-fork=yes"], inside);
}

#[test]
fn qemu() {
    under("qemu", &["qemu-x86_64-static"], inside);
}

#[test]
fn gdb() {
    let line = ["gdb", "--batch", "--return-child-result", "--init-eval-command=set debuginfod enabled off"];
    under("gdb", &[&line[..], &["--eval-command=run", "--args"]].concat(), inside_a_debugger);
}
