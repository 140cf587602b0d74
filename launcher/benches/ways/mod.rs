//! The ways to launch that are compared.

use std::ffi::{CStr, CString};
use std::fs;
use std::hint::black_box;
use std::os::fd::BorrowedFd;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{io, ptr};

use exec_relay_launcher::{Launch, Stdio, Vehicle};
use tempfile::TempDir;

/// A program without a C library, that does nothing but exit: what is measured is the launch.
const PROGRAM: &str = r#"
void _start(void) {
#if defined(__x86_64__)
    __asm__ volatile("syscall" : : "a"(231), "D"(0));
#elif defined(__aarch64__)
    register long status __asm__("x0") = 0, call __asm__("x8") = 94;
    __asm__ volatile("svc 0" : : "r"(status), "r"(call));
#else
#error "how does a program exit here?"
#endif
    __builtin_unreachable();
}
"#;

/// A stepping stone that does nothing but execute its first argument: the floor for a relay.
const STONE: &str = r#"
#if defined(__x86_64__)
__asm__(".globl _start\n_start: mov (%rsp),%rcx; lea 16(%rsp),%rsi; mov (%rsi),%rdi; lea 16(%rsp,%rcx,8),%rdx;"
        "mov $59,%eax; syscall; hlt");
#elif defined(__aarch64__)
__asm__(".globl _start\n_start: ldr x9,[sp]; add x1,sp,#16; ldr x0,[x1]; add x2,sp,x9,lsl #3; add x2,x2,#16;"
        "mov x8,#221; svc 0; brk 0");
#else
#error "how does a program execute another one here?"
#endif
"#;

fn program(directory: &Path, name: &str, text: &str) -> PathBuf {
    let (source, program) = (directory.join(name).with_extension("c"), directory.join(name));
    fs::write(&source, text).expect("a source file");
    let mut cc = Command::new("cc");
    let status = cc.args(["-static", "-nostdlib", "-O2", "-o"]).arg(&program).arg(&source).status();
    assert!(status.expect("a C compiler").success());
    program
}

pub fn command(program: &Path) {
    assert!(Command::new(program).status().expect("a program").success());
}

pub fn command_with_pre_exec(program: &Path) {
    let mut command = Command::new(program);
    // SAFETY: system calls alone.
    unsafe {
        command.pre_exec(|| {
            let cleaned = libc::syscall(libc::SYS_close_range, 3, u32::MAX, libc::CLOSE_RANGE_CLOEXEC);
            let mut none = std::mem::zeroed();
            libc::sigemptyset(&mut none);
            for signal in 1..=64 {
                libc::signal(signal, libc::SIG_DFL);
            }
            libc::sigprocmask(libc::SIG_SETMASK, &none, ptr::null_mut());
            if cleaned == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
        });
    }
    assert!(command.status().expect("a program").success());
}

pub fn posix_spawn(program: &CStr) {
    unsafe extern "C" {
        static environ: *const *mut libc::c_char;
    }
    let arguments = [program.as_ptr(), ptr::null()];
    let (mut child, mut status) = (0, -1);
    // SAFETY: the vectors end with a NULL; no actions and no attributes are NULL.
    unsafe {
        let (nothing, none) = (ptr::null(), ptr::null());
        let spawned =
            libc::posix_spawn(&mut child, program.as_ptr(), nothing, none, arguments.as_ptr().cast(), environ.cast());
        assert_eq!(spawned, 0);
        assert_eq!(libc::waitpid(child, &mut status, 0), child);
    }
    assert_eq!(status, 0);
}

/// A launch by hand, in C: `by_hand.c`, as a library that is loaded into this process.
type ByHand = unsafe extern "C" fn(*const libc::c_char, *const libc::c_char, libc::c_int) -> libc::c_int;

fn by_hand(directory: &Path) -> ByHand {
    let (source, library) = (directory.join("by_hand.c"), directory.join("by_hand.so"));
    fs::write(&source, include_str!("by_hand.c")).expect("a source file");
    let status = Command::new("cc").args(["-shared", "-fPIC", "-O2", "-o"]).arg(&library).arg(&source).status();
    assert!(status.expect("a C compiler").success());
    let library = CString::new(library.to_str().expect("UTF-8")).expect("no NUL");
    // SAFETY: the library has no constructors, and the function is of this type.
    unsafe {
        let loaded = libc::dlopen(library.as_ptr(), libc::RTLD_NOW);
        assert!(!loaded.is_null(), "{library:?}");
        let function = libc::dlsym(loaded, c"launch_by_hand".as_ptr());
        assert!(!function.is_null());
        std::mem::transmute::<*mut libc::c_void, ByHand>(function)
    }
}

fn in_c(by_hand: ByHand, program: &CStr, stone: *const libc::c_char, reports: bool) {
    // SAFETY: both paths end with a NUL, or there is no stone.
    assert_eq!(unsafe { by_hand(program.as_ptr(), stone, reports.into()) }, 0);
}

fn launch(program: &Path, vehicle: &Vehicle, set: impl Fn(&mut Launch<'static>)) {
    let mut launch = Launch::new(program);
    set(launch.vehicle(vehicle.clone()));
    let mut child = launch.launch().expect("a program");
    assert!(child.wait().expect("a status").success());
}

fn nothing(_: &mut Launch) {}

fn null(launch: &mut Launch) {
    launch.stdin(Stdio::Null).stdout(Stdio::Null).stderr(Stdio::Null);
}

fn piped(launch: &mut Launch) {
    launch.stdin(Stdio::Piped).stdout(Stdio::Piped).stderr(Stdio::Piped);
}

/// What the bench's own cargo built: the file that the library carries.
fn relay(directory: &Path) -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["build", "--quiet", "--release", "--package", "exec-relay", "--manifest-path"]);
    assert!(cargo.arg(root.join("Cargo.toml")).arg("--target-dir").arg(directory).status().expect("cargo").success());
    directory.join("release/relay")
}

/// Memory that is there, in pages of 4 KiB, as a host's heap is.
pub fn resident(megabytes: usize) -> memory::Memory {
    memory::Memory::new(megabytes << 20)
}

mod memory {
    use std::ptr;

    /// A mapping that a fork must copy the page tables of.
    pub struct Memory(*mut libc::c_void, usize);

    impl Memory {
        pub fn new(size: usize) -> Self {
            let (access, flags) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
            // SAFETY: a new mapping, written to in its own bounds.
            unsafe {
                let start = libc::mmap(ptr::null_mut(), size, access, flags, -1, 0);
                assert_ne!(start, libc::MAP_FAILED);
                assert_eq!(libc::madvise(start, size, libc::MADV_NOHUGEPAGE), 0);
                for page in (0..size).step_by(4096) {
                    *super::black_box(start.cast::<u8>().add(page)) = 1;
                }
                Self(start, size)
            }
        }
    }

    impl Drop for Memory {
        fn drop(&mut self) {
            // SAFETY: the mapping is ours.
            unsafe { libc::munmap(self.0, self.1) };
        }
    }
}

pub fn raise_limit() {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: writes, then reads one structure.
    unsafe {
        assert_eq!(libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit), 0);
        limit.rlim_cur = limit.rlim_max;
        assert_eq!(libc::setrlimit(libc::RLIMIT_NOFILE, &limit), 0);
    }
}

/// Hosts to launch from: megabytes that are resident, and open descriptors beside 0, 1 and 2.
pub const HOSTS: [(usize, usize); 6] = [(10, 3), (10, 1000), (10, 10_000), (10, 19_000), (1024, 3), (1024, 10_000)];

/// The name of what forks: pre_exec makes Command do so.
pub const FORKING: &str = "Command with pre_exec";

/// A way to launch, by its name.
pub type Way<'a> = (&'static str, Box<dyn Fn() + 'a>);

/// What is started.
pub struct Programs {
    program: PathBuf,
    c_program: CString,
    by_hand: ByHand,
    stone: CString,
    relay_by_hand: CString,
    relay: PathBuf,
    _directory: TempDir,
}

impl Programs {
    /// Builds them, in a directory that goes with this.
    pub fn new() -> Self {
        let directory = TempDir::new().expect("a directory");
        let c_string = |path: &Path| CString::new(path.to_str().expect("UTF-8")).expect("no NUL");
        let stone = c_string(&program(directory.path(), "stone", STONE));
        let relay_by_hand = c_string(&program(directory.path(), "relay_by_hand", include_str!("stone.c")));
        let program = program(directory.path(), "exit", PROGRAM);
        let c_program = c_string(&program);
        Self {
            program,
            c_program,
            by_hand: by_hand(directory.path()),
            stone,
            relay_by_hand,
            relay: relay(directory.path()),
            _directory: directory,
        }
    }
}

/// How many ways there are.
pub const WAYS: usize = 12;

/// All of them. `lent` is a descriptor that was opened last, and so has a high number.
pub fn all<'a>(programs: &'a Programs, lent: BorrowedFd<'a>) -> [Way<'a>; WAYS] {
    let Programs { program, c_program, by_hand, stone, relay_by_hand, relay, .. } = programs;
    let at = Vehicle::RelayAt(relay.clone());
    let three = move || {
        let mut launch = Launch::new(program);
        let mut child = launch.fd(3, lent).fd(4, lent).fd(5, lent).launch().expect("a program");
        assert!(child.wait().expect("a status").success());
    };
    [
        ("posix_spawn, cleans nothing", Box::new(|| posix_spawn(c_program))),
        ("Command, cleans nothing", Box::new(|| command(program))),
        (FORKING, Box::new(|| command_with_pre_exec(program))),
        ("InPlace's calls by hand, in C", Box::new(|| in_c(*by_hand, c_program, ptr::null(), false))),
        ("InPlace", Box::new(|| launch(program, &Vehicle::InPlace, nothing))),
        ("InPlace, 0 to 2 null", Box::new(|| launch(program, &Vehicle::InPlace, null))),
        ("InPlace, 0 to 2 piped", Box::new(|| launch(program, &Vehicle::InPlace, piped))),
        ("InPlace, three by fd()", Box::new(three)),
        ("a stone that only executes, in C", Box::new(|| in_c(*by_hand, c_program, stone.as_ptr(), false))),
        ("RelayAt's calls by hand, in C", Box::new(|| in_c(*by_hand, c_program, relay_by_hand.as_ptr(), true))),
        ("Relay", Box::new(|| launch(program, &Vehicle::Relay, nothing))),
        ("RelayAt", Box::new(move || launch(program, &at, nothing))),
    ]
}

/// A host of `megabytes` with `descriptors` open, for as long as what is returned lives.
pub fn host(megabytes: usize, descriptors: usize) -> (memory::Memory, Vec<fs::File>) {
    let open = (0..descriptors).map(|_| fs::File::open("/dev/null").expect("/dev/null")).collect();
    (resident(megabytes), open)
}
