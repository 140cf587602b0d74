//! A program on a disk that hangs.

use std::time::{Duration, Instant};

use exec_relay_launcher::{Error, Launch, Vehicle};

use crate::fuse::{Fuse, Node};
use crate::support::{alone, children, open_descriptors, relay};

/// The relay is inside execve(2), which waits for a disk that never answers, and does not even die of SIGKILL. The launch
/// ends all the same, says that the process is left, and a later launch reaps it once it can die.
#[test]
fn a_program_on_a_disk_that_hangs() {
    alone("deadline::a_program_on_a_disk_that_hangs", || {
        let relay = relay();
        for vehicle in [Vehicle::Relay, Vehicle::RelayAt(relay)] {
            let launch = |program: &std::path::Path| {
                Launch::new(program).timeout(Duration::from_millis(200)).vehicle(vehicle.clone()).launch()
            };
            // What stays open is the file in memory.
            launch("/bin/true".as_ref()).expect("true").wait().expect("a status");
            let before = open_descriptors();
            let disk = Fuse::mount(&[("program", Node::Silent)]);
            let program = disk.path().join("program");
            let begun = Instant::now();
            let error = launch(&program).map(|child| child.id()).expect_err("it hangs");
            assert!(matches!(error, Error::Timeout { is_left: true, .. }), "{error:?}");
            let sentence = format!(
                "cannot start {}: it has not begun after 200 ms, and its process was killed but is not dead yet",
                program.display()
            );
            assert_eq!(error.to_string(), sentence);
            // The bound is the timeout and a second. A machine that stalls is given ten.
            assert!(begun.elapsed() < Duration::from_secs(10));
            assert_eq!(children().len(), 1, "it is left");
            // The disk is gone, and with it what the process waits for.
            drop(disk);
            let deadline = Instant::now() + Duration::from_secs(60);
            while !children().is_empty() {
                assert!(Instant::now() < deadline, "it is never reaped");
                launch("/bin/true".as_ref()).expect("true").wait().expect("a status");
            }
            assert_eq!(open_descriptors(), before);
        }
    });
}
