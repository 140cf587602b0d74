//! Children: their descriptors, waiting, signals.

use std::fs::File;
use std::io::Read;
use std::os::unix::process::ExitStatusExt;
use std::time::Duration;

use exec_relay_launcher::{Child, Launch, Stdio, Vehicle};
use rustix::event::{PollFd, PollFlags, poll};

use crate::support::vehicles;

fn cat(vehicle: Vehicle) -> Child {
    Launch::new("/bin/cat").stdin(Stdio::Piped).pulse().vehicle(vehicle).launch().expect("cat")
}

#[test]
fn the_pulse_hangs_up_when_the_program_is_gone() {
    for vehicle in vehicles() {
        let mut child = cat(vehicle);
        let pulse = child.pulse().expect("it was asked for");
        assert_eq!(poll(&mut [PollFd::new(&pulse, PollFlags::IN)], Some(&Default::default())), Ok(0), "it lives");
        child.kill().expect("a process");
        let mut pulse = File::from(child.take_pulse().expect("it was asked for"));
        assert_eq!(pulse.read(&mut [0]).expect("a pipe"), 0, "end of file, before anybody has waited");
        assert_eq!(child.wait().expect("a status").signal(), Some(libc::SIGKILL));
    }
}

#[test]
fn waiting() {
    for vehicle in vehicles() {
        let mut child = cat(vehicle);
        assert_eq!(child.try_wait().expect("its state"), None);
        assert_eq!(child.wait_timeout(Duration::from_millis(1)).expect("its state"), None);
        child.signal(libc::SIGTERM).expect("a process");
        let status = child.wait_timeout(Duration::from_secs(60)).expect("its state").expect("it has ended");
        assert_eq!(status.signal(), Some(libc::SIGTERM));
        assert_eq!(child.try_wait().expect("known"), Some(status));
        assert_eq!(child.wait().expect("known"), status);
        child.kill().expect("no error once it is known to have ended");
    }
}

#[test]
fn real_time_signals_and_exit_statuses() {
    for vehicle in vehicles() {
        let mut child = cat(vehicle.clone());
        child.signal(40).expect("a process");
        assert_eq!(child.wait().expect("a status").signal(), Some(40));
        assert_eq!(child.signal(65).ok(), Some(()), "nothing is sent to what has ended");
        let mut child = Launch::new("/bin/sh").args(["-c", "exit 7"]).vehicle(vehicle.clone()).launch().expect("sh");
        assert_eq!(child.wait().expect("a status").code(), Some(7));
        // Waiting closes the input first, so that cat ends.
        assert!(cat(vehicle).wait().expect("a status").success());
    }
}
