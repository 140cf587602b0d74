//! Hosts that start the tools of containers, and dirty ones.

use std::env;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::host::{Host, path_only};

/// The user without rights.
pub const NOBODY: u32 = 65_534;

/// What makes a command that user's.
pub const fn as_nobody() -> [&'static str; 4] {
    ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
}

/// A clean host that starts a command, found by its name, with `PATH` and `environment` and no other variable.
#[track_caller]
pub fn command_host(command: &[&str], environment: &[(&str, &str)]) -> Host {
    let path = env::var("PATH").expect("PATH");
    let found = env::split_paths(&path).any(|directory| directory.join(command[0]).is_file());
    assert!(found, "{} is missing: .ci/run containers installs what these tests need", command[0]);
    let environment = environment.iter().map(|(name, value)| format!("{name}={value}"));
    // Host itself does not search PATH.
    Host::new(command).program("/usr/bin/env").environment(environment.chain([format!("PATH={path}")]))
}

/// What [`dirty`] leaves open: what runtimes pass on when they are told to.
pub const LEAKS: [i32; 3] = [3, 4, 5];

/// Leaves open, among others, a directory of the host's that no poll(2) sees, and that is a way out of a container
/// (CVE-2024-21626). Blocks every signal, and ignores those that no runtime waits for.
pub fn dirty(host: Host) -> Host {
    host.open(3).open(4).descriptor(5, path_only("/")).ignored([13, 32, 33, 34, 64]).all_blocked()
}

/// Lets every user into a directory of ours.
pub fn open_to_all(directory: &TempDir) {
    fs::set_permissions(directory, fs::Permissions::from_mode(0o755)).expect("a mode");
}

pub fn text(path: &Path) -> &str {
    path.to_str().expect("UTF-8")
}

/// What `look` finds, as soon as it does, within half a minute.
pub fn wait_for<T>(mut look: impl FnMut() -> Option<T>) -> Option<T> {
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        let found = look();
        if found.is_some() || Instant::now() > deadline {
            return found;
        }
        thread::sleep(Duration::from_millis(5));
    }
}
