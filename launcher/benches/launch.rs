//! From launch to wait of a program that exits at once, by every way.
//!
//! `cargo bench -p exec-relay-launcher` measures hosts of 10 MB and 1 GB resident with 3 and 10,000 open descriptors, and
//! prints ratios to plain posix_spawn(3), which cleans nothing, and to Command with pre_exec, what people write today.

#![allow(unsafe_code)]

use std::collections::BTreeMap;
use std::ffi::CStr;
use std::fs::{self, File};
use std::hint::black_box;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use std::{io, ptr};

use criterion::{Criterion, SamplingMode};
use exec_relay_launcher::{Launch, Vehicle};

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

fn program(directory: &Path) -> PathBuf {
    let (source, program) = (directory.join("exit.c"), directory.join("exit"));
    fs::write(&source, PROGRAM).expect("a source file");
    let mut cc = Command::new("cc");
    let status = cc.args(["-static", "-nostdlib", "-O2", "-o"]).arg(&program).arg(&source).status();
    assert!(status.expect("a C compiler").success());
    program
}

fn command(program: &Path) {
    assert!(Command::new(program).status().expect("a program").success());
}

fn command_with_pre_exec(program: &Path) {
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

fn posix_spawn(program: &CStr) {
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

fn launch(program: &Path, vehicle: &Vehicle) {
    let mut child = Launch::new(program).vehicle(vehicle.clone()).launch().expect("a program");
    assert!(child.wait().expect("a status").success());
}

/// What the bench's own cargo built: the file that the library carries.
fn relay(directory: &Path) -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["build", "--quiet", "--release", "--package", "exec-relay", "--manifest-path"]);
    assert!(cargo.arg(root.join("Cargo.toml")).arg("--target-dir").arg(directory).status().expect("cargo").success());
    directory.join("release/relay")
}

fn main() {
    let directory = tempfile::TempDir::new().expect("a directory");
    let program = program(directory.path());
    let at = Vehicle::RelayAt(relay(directory.path()));
    let c_program = std::ffi::CString::new(program.to_str().expect("UTF-8")).expect("no NUL");
    raise_limit();

    let mut criterion = Criterion::default()
        .configure_from_args()
        .sample_size(50)
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(3));
    for (megabytes, descriptors) in [(10, 3), (10, 10_000), (1024, 3), (1024, 10_000)] {
        let _memory = resident(megabytes);
        let _open: Vec<_> = (0..descriptors).map(|_| File::open("/dev/null").expect("/dev/null")).collect();
        let name = format!("{megabytes} MB, {descriptors} descriptors");
        let mut group = criterion.benchmark_group(&name);
        group.sampling_mode(SamplingMode::Flat);
        group.bench_function("posix_spawn", |bencher| bencher.iter(|| posix_spawn(&c_program)));
        group.bench_function("Command", |bencher| bencher.iter(|| command(&program)));
        group.bench_function("Command with pre_exec", |bencher| bencher.iter(|| command_with_pre_exec(&program)));
        group.bench_function("InPlace", |bencher| bencher.iter(|| launch(&program, &Vehicle::InPlace)));
        group.bench_function("Relay", |bencher| bencher.iter(|| launch(&program, &Vehicle::Relay)));
        group.bench_function("RelayAt", |bencher| bencher.iter(|| launch(&program, &at)));
        group.finish();
        print_ratios(&name);
    }
    criterion.final_summary();
}

/// Memory that is there, in pages of 4 KiB, as a host's heap is.
fn resident(megabytes: usize) -> memory::Memory {
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

fn raise_limit() {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: writes, then reads one structure.
    unsafe {
        assert_eq!(libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit), 0);
        limit.rlim_cur = limit.rlim_max;
        assert_eq!(libc::setrlimit(libc::RLIMIT_NOFILE, &limit), 0);
    }
}

/// Reads the medians that criterion has just written, and prints them as a row of the README's table each.
fn print_ratios(group: &str) {
    let Some(root) = target() else { return };
    let folder = root.join("criterion").join(group.replace([' ', ','], "_"));
    let folder = if folder.is_dir() { folder } else { root.join("criterion").join(group) };
    let mut medians = BTreeMap::new();
    for way in ["posix_spawn", "Command", "Command with pre_exec", "InPlace", "Relay", "RelayAt"] {
        let file = folder.join(way).join("new/estimates.json");
        let Ok(text) = fs::read_to_string(&file) else { continue };
        let estimates: serde_json::Value = serde_json::from_str(&text).expect("criterion's estimates");
        medians.insert(way, estimates["median"]["point_estimate"].as_f64().expect("a median") / 1000.0);
    }
    for (way, median) in &medians {
        let ratio = |other| medians.get(other).map_or(f64::NAN, |other: &f64| median / other);
        let (plain, pre_exec) = (ratio("posix_spawn"), 1.0 / ratio("Command with pre_exec"));
        println!("| {group} | {way} | {median:.0} µs | {plain:.2} | {pre_exec:.1} |");
    }
}

/// cargo's target directory, above this program.
fn target() -> Option<PathBuf> {
    let program = std::env::current_exe().ok()?;
    program.ancestors().nth(3).map(Path::to_owned)
}
