//! Between clone and exec nothing is allocated: this program's allocator ends any process but its own that calls it. It
//! also counts, so that the number of a launch's allocations does not grow unnoticed.

#![allow(unsafe_code)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::ffi::CString;
use std::ptr;
use std::sync::atomic::{AtomicI32, Ordering};

use exec_relay_launcher::{Error, Launch, Stdio, Strings, Vehicle};

struct OnlyHere;

static HERE: AtomicI32 = AtomicI32::new(0);

thread_local! {
    /// How often this thread has allocated, or made larger what it had.
    static COUNT: Cell<usize> = const { Cell::new(0) };
}

fn check() {
    // SAFETY: both calls touch no memory.
    unsafe {
        let this = libc::syscall(libc::SYS_getpid) as i32;
        let here = HERE.load(Ordering::Relaxed);
        if here != 0 && here != this {
            libc::syscall(libc::SYS_exit_group, 99);
        }
    }
}

// SAFETY: it is the system's allocator.
unsafe impl GlobalAlloc for OnlyHere {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        check();
        COUNT.set(COUNT.get() + 1);
        // SAFETY: the same call, whose conditions whoever calls this keeps.
        unsafe { System.alloc(layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        check();
        COUNT.set(COUNT.get() + 1);
        // SAFETY: the same call, whose conditions whoever calls this keeps.
        unsafe { System.realloc(pointer, layout, size) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        check();
        // SAFETY: the same call, whose conditions whoever calls this keeps.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: OnlyHere = OnlyHere;

#[test]
fn nothing_is_allocated_in_the_child() {
    HERE.store(std::process::id() as i32, Ordering::Relaxed);
    // Every step, and one for each way that it can end.
    let null = std::fs::File::open("/dev/null").expect("/dev/null");
    let sockets = [std::net::TcpListener::bind("127.0.0.1:0").expect("a socket")];
    for program in ["/bin/true", "/no/such/program", "/etc/passwd"] {
        for directory in ["/", "/no/such/directory"] {
            let mut launch = Launch::new(program);
            launch.env("A", "B").current_dir(directory).umask(0o22).session().no_new_privs().oom_score_adj(1);
            launch.stdin(Stdio::Piped).stdout(Stdio::Null).pulse().ignore([1]).block([2]).keep_all_ignored();
            launch.fd(9, null.try_clone().expect("a copy")).keep(2).die_with_parent();
            launch.listen_fds(sockets.iter().map(|socket| std::os::fd::AsFd::as_fd(socket)));
            match launch.launch() {
                Ok(mut child) => {
                    assert_eq!((program, directory), ("/bin/true", "/"));
                    assert!(child.wait().expect("a status").success());
                }
                // An allocation would be Error::Killed: an end without a failure.
                Err(error) => {
                    assert!(error.step().is_some(), "{error:?}");
                    assert!(program != "/bin/true" || directory != "/", "{error:?}");
                }
            }
        }
    }
}

/// The allocator does notice: the same check in a child that allocates.
#[test]
fn an_allocation_in_a_child_is_noticed() {
    HERE.store(std::process::id() as i32, Ordering::Relaxed);
    // SAFETY: the child calls the allocator's check and ends.
    let child = unsafe {
        let child = libc::fork();
        if child == 0 {
            check();
            libc::_exit(0);
        }
        child
    };
    let mut status = 0;
    // SAFETY: waits for that child and writes a local variable.
    assert_eq!(unsafe { libc::waitpid(child, &mut status, 0) }, child);
    assert_eq!(libc::WEXITSTATUS(status), 99);
}

/// How often `action` allocates.
fn count(action: impl FnOnce()) -> usize {
    let before = COUNT.get();
    action();
    COUNT.get() - before
}

/// How often a launch allocates that `set` changes, from the second one on: the first makes what stays.
fn count_launch<'s>(vehicle: &Vehicle, set: impl FnOnce(&mut Launch<'s>)) -> usize {
    // One that has ended is looked at more closely.
    let mut launch = Launch::new("/bin/sleep");
    set(launch.arg("1000").vehicle(vehicle.clone()));
    let mut counted = 0;
    for _ in 0..2 {
        let mut child = None;
        counted = count(|| child = Some(launch.launch().expect("sleep")));
        let mut child = child.expect("a child");
        child.kill().expect("it lives");
        child.wait().expect("a status");
    }
    counted
}

/// A launch allocates the same however many arguments and variables there are, whoever has them.
#[test]
fn allocations_of_a_launch() {
    let strings: Vec<CString> = (0..100).map(|index| CString::new(format!("A{index}=B")).expect("no NUL")).collect();
    // In place: the slate, the vectors, what the child needs of descriptors, and what it shares. By the relay also what it is
    // told and called.
    for (vehicle, expected) in [(Vehicle::InPlace, 4), (Vehicle::Relay, 13)] {
        let counts = [
            count_launch(&vehicle, |_| {}),
            count_launch(&vehicle, |launch| _ = launch.args(["0"; 100])),
            count_launch(&vehicle, |launch| _ = launch.env_exactly(&strings)),
            count_launch(&vehicle, |launch| _ = launch.env_exactly(strings.clone())),
            count_launch(&vehicle, |launch| _ = launch.env_exactly(&strings).env("A1", "C").env_remove("A2")),
            // The host's own, edited.
            count_launch(&vehicle, |launch| _ = launch.env("A", "B")),
        ];
        assert_eq!(counts, [expected; 6], "{vehicle:?}");
    }
    // Strings that are lent are not copied.
    let mut launch = Launch::new("/bin/true");
    assert_eq!(count(|| _ = launch.env_exactly(&strings)), 1);
    // A variable is copied once; the first one also makes their list.
    assert_eq!(count(|| _ = launch.env("A", "B")), 2);
    assert_eq!(count(|| _ = launch.env("B", "C")), 1);
}

/// Vectors that are lent reach the program as they are, and nothing is made of what they hold.
#[test]
fn lent_vectors() {
    let [name, argument] = [c"name", c"test $0 = name && test \"$A\" = 1 && test -z \"$GONE\""];
    let argv = [name.as_ptr(), c"-c".as_ptr(), argument.as_ptr(), name.as_ptr(), ptr::null()];
    let envp = [c"A=1".as_ptr(), ptr::null()];
    // SAFETY: vectors of strings that end with a NULL, for as long as this function runs.
    let [argv, envp] = unsafe { [Strings::new(argv.as_ptr()), Strings::new(envp.as_ptr())] };
    let mut launch = Launch::new("/bin/sh");
    launch.arg("is not looked at").env("GONE", "x");
    let mut child = None;
    let counted = [(); 2].map(|()| count(|| child = Some(launch.launch_in_place(Some(argv), Some(envp)).expect("sh"))));
    assert!(child.expect("a child").wait().expect("a status").success());
    assert_eq!(counted[1], 4);
    // The launch's own where none is lent.
    let mut child = Launch::new("/bin/true").env("A", "B").launch_in_place(None, None).expect("true");
    assert!(child.wait().expect("a status").success());
    let error = launch.vehicle(Vehicle::Relay).launch_in_place(Some(argv), None).expect_err("not by a relay");
    assert!(matches!(error, Error::Request { .. }), "{error:?}");
}
