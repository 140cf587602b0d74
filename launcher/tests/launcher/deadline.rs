//! How long a launch may take, and a program on a disk that hangs.

use std::time::{Duration, Instant};

use exec_relay_launcher::{Error, Launch, Vehicle};

use crate::fuse::{Fuse, Node};
use crate::support::{alone, children, open_descriptors, relay, slate_by};

/// The relay is inside execve(2), which waits for a disk that never answers, and does not even die of SIGKILL. The launch
/// ends all the same, says that the process is left, and a later launch reaps it once it can die.
#[test]
fn a_program_on_a_disk_that_hangs() {
    alone("deadline::a_program_on_a_disk_that_hangs", || {
        let relay = relay();
        // Where none is chosen it is the one that can keep to the time.
        for vehicle in [None, Some(Vehicle::Relay), Some(Vehicle::RelayAt(relay))] {
            let launch = |program: &std::path::Path| {
                let mut launch = Launch::new(program);
                vehicle.iter().for_each(|vehicle| _ = launch.vehicle(vehicle.clone()));
                launch.timeout(Duration::from_millis(200)).launch()
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

/// Only a relay can keep to a time. One that is asked for takes the relay where no vehicle is chosen, and a relay's file stays
/// open; the time that relays have by default takes none, and neither does it to ask for no time.
#[test]
fn a_time_takes_a_relay() {
    alone("deadline::a_time_takes_a_relay", || {
        let open = || open_descriptors().len();
        let before = open();
        slate_by(None, |_| {});
        slate_by(None, |launch| _ = launch.timeout(Duration::from_secs(60)).timeout(None));
        assert_eq!(open(), before, "in place");
        let slate = slate_by(None, |launch| _ = launch.timeout(Duration::from_secs(60)));
        assert_eq!(open(), before + 1, "by the relay");
        slate.assert_clean([0, 1, 2]);
        slate_by(Vehicle::RelayAt(relay()), |launch| _ = launch.timeout(Duration::from_secs(60)));
    });
}

/// `cargo test --no-default-features --test launcher a_time_without_a_relay`
#[cfg(not(feature = "embedded"))]
#[test]
fn a_time_without_a_relay_is_a_mistake() {
    let mut launch = Launch::new("/bin/true");
    let error = launch.timeout(Duration::from_secs(60)).launch().map(|child| child.id()).expect_err("no relay");
    assert_eq!(
        error.to_string(),
        "cannot launch: a timeout takes a relay, since a launch in place cannot be ended, and this library was built without \
         the feature `embedded`: use Vehicle::RelayAt with the path of a relay, or ask for no timeout"
    );
    let mut child = launch.vehicle(Vehicle::RelayAt(relay())).launch().expect("true");
    assert!(child.wait().expect("a status").success());
}

/// Whatever comes first.
#[test]
fn a_time_in_place_is_a_mistake() {
    let time = Duration::from_millis(1500);
    type Set = fn(&mut Launch<'_>, Duration);
    let sets: [Set; 2] = [
        |launch, time| _ = launch.timeout(time).vehicle(Vehicle::InPlace),
        |launch, time| _ = launch.vehicle(Vehicle::InPlace).timeout(time),
    ];
    for set in sets {
        let mut launch = Launch::new("/bin/true");
        set(&mut launch, time);
        let error = launch.launch().map(|child| child.id()).expect_err("a mistake");
        assert!(matches!(error, Error::Request { .. }), "{error:?}");
        assert_eq!(
            error.to_string(),
            "cannot launch: a launch by Vehicle::InPlace cannot be ended after 1500 ms: choose Vehicle::Relay, \
             Vehicle::RelayAt or no vehicle, or ask for no timeout"
        );
        launch.timeout(None);
        assert!(launch.launch().expect("true").wait().expect("a status").success());
    }
}
