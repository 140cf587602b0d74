//! Between clone and exec nothing is allocated: this program's allocator ends any process but its own that calls it.

#![allow(unsafe_code)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicI32, Ordering};

use exec_relay_launcher::{Launch, Stdio};

struct OnlyHere;

static HERE: AtomicI32 = AtomicI32::new(0);

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
        // SAFETY: the same call, whose conditions whoever calls this keeps.
        unsafe { System.alloc(layout) }
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
