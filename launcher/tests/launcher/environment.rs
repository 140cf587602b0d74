//! The environment is the host's, to the byte, but for what is edited.

#![allow(unsafe_code)]

use std::ffi::{CStr, CString, c_char};
use std::net::TcpListener;
use std::ptr;

use exec_relay_launcher::Launch;

use crate::support::{alone, each, probe};

/// Makes these strings this process's environment.
fn set_environment(strings: &[&CStr]) {
    unsafe extern "C" {
        static mut environ: *const *const c_char;
    }
    let strings = strings.iter().map(|string| CString::from(*string).into_raw().cast_const());
    let vector: Vec<*const c_char> = strings.chain([ptr::null()]).collect();
    // SAFETY: no other thread of this test's process uses the environment. The vector and its strings stay for ever.
    unsafe { environ = vector.leak().as_ptr() };
}

const MALFORMED: [&CStr; 8] = [c"A=1", c"no equals sign", c"=begins", c"", c"A=2", c"Z=\xff", c"=", c"A"];

/// As the probe prints it.
fn seen(strings: &[&CStr]) -> Vec<String> {
    strings.iter().map(|string| string.to_bytes().iter().copied().map(char::from).collect()).collect()
}

#[test]
fn malformed_variables_reach_the_program() {
    alone("environment::malformed_variables_reach_the_program", || {
        probe();
        set_environment(&MALFORMED);
        each(|_| {}, |slate| assert_eq!(slate.environment, seen(&MALFORMED)));
        // What is edited comes first, all of its name goes, and the rest stays as it is.
        each(
            |launch| _ = launch.env("NEW", "x").env("A", "3"),
            |slate| {
                let expected = [c"NEW=x", c"A=3", c"no equals sign", c"=begins", c"", c"Z=\xff", c"=", c"A"];
                assert_eq!(slate.environment, seen(&expected));
            },
        );
        each(
            |launch| _ = launch.env_remove("A"),
            |slate| {
                let expected = [c"no equals sign", c"=begins", c"", c"Z=\xff", c"=", c"A"];
                assert_eq!(slate.environment, seen(&expected));
            },
        );
        each(
            |launch| _ = launch.env("GONE", "x").env_exactly([c"B=1", c"", c"B=1", c"C"]).env("C", "2"),
            |slate| assert_eq!(slate.environment, ["C=2", "B=1", "", "B=1", "C"]),
        );
        set_environment(&[]);
        each(|_| {}, |slate| assert_eq!(slate.environment, [""; 0]));
    });
}

/// What is inherited of an earlier socket activation goes; what the caller says stays.
#[test]
fn variables_of_socket_activation() {
    alone("environment::variables_of_socket_activation", || {
        probe();
        let inherited = [c"LISTEN_FDS=9", c"LISTEN_PID=1", c"LISTEN_FDNAMES=a:b", c"LISTEN_PIDFDID=7", c"A=1"];
        set_environment(&inherited);
        let socket = TcpListener::bind("127.0.0.1:0").expect("a socket");
        let give = |launch: &mut Launch| _ = launch.listen_fds([socket.try_clone().expect("a copy")]);
        each(give, |slate| {
            let process = format!("LISTEN_PID={}", slate.pid);
            assert_eq!(slate.environment, ["LISTEN_FDS=1", &process, "A=1"]);
        });
        each(
            |launch| {
                give(launch);
                launch.env("LISTEN_FDNAMES", "web").env("LISTEN_PID", "1").env("B", "2");
            },
            |slate| {
                let process = format!("LISTEN_PID={}", slate.pid);
                assert_eq!(slate.environment, ["LISTEN_FDNAMES=web", "LISTEN_FDS=1", &process, "B=2", "A=1"]);
            },
        );
        // Who gives no sockets changes nothing.
        each(|_| {}, |slate| assert_eq!(slate.environment, seen(&inherited)));
    });
}
