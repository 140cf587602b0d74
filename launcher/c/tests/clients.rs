//! Clients of the C library, and the tests that others wrote for what they stand in for: CPython's subprocess,
//! posix_spawn(3), and libuv's processes.
//!
//! Needs root, `/usr/bin/python3.11` and CPython's own tests (Debian: python3.11, libpython3.11-testsuite), and in
//! `LIBUV_SOURCE` the source of libuv 1.44. Only `cargo test -p exec-relay-c --test clients` runs it.

use std::fs::{self, File, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use tempfile::TempDir;

/// Whose tests these are. Another Python, first in PATH, may be another version.
const PYTHON: &str = "/usr/bin/python3.11";

/// A user and a group without any privilege.
const NOBODY: u32 = 65534;

/// A directory with the library, as users install it, and its clients. Everybody can read it.
struct Clients {
    directory: TempDir,
}

impl Clients {
    fn new() -> Self {
        let package = Path::new(env!("CARGO_MANIFEST_DIR"));
        let directory = TempDir::new().expect("a directory");
        fs::set_permissions(directory.path(), Permissions::from_mode(0o755)).expect("its permissions");
        let clients = Self { directory };
        let mut install = Command::new(package.join("install-c"));
        install.env("CARGO_TARGET_DIR", Path::new(env!("CARGO_TARGET_TMPDIR")).join("installed"));
        for name in ["RUSTC_WORKSPACE_WRAPPER", "RUSTFLAGS", "CARGO_ENCODED_RUSTFLAGS", "CARGO_BUILD_TARGET", "DESTDIR"]
        {
            install.env_remove(name);
        }
        succeeds(install.arg("--prefix").arg(clients.path("prefix")).output().expect("install-c"));
        for entry in fs::read_dir(package.join("tests/clients")).expect("the clients") {
            let file = entry.expect("a client").path();
            fs::copy(&file, clients.path(file.file_name().expect("its name"))).expect("a copy");
        }
        let mut pkg_config = Command::new("pkg-config");
        pkg_config.args(["--cflags", "--libs", "exec-relay"]);
        pkg_config.env("PKG_CONFIG_PATH", clients.path("prefix/lib/pkgconfig"));
        let flags = succeeds(pkg_config.output().expect("pkg-config"));
        let mut cc = Command::new("cc");
        cc.args(["-std=gnu11", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", "-o"]);
        cc.arg(clients.path("posix_spawn_shim.so")).arg(clients.path("posix_spawn_shim.c"));
        succeeds(cc.args(flags.split_whitespace()).output().expect("a C compiler"));
        clients
    }

    fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Python with a program of these.
    fn python(&self, program: &str) -> Command {
        let mut python = Command::new(PYTHON);
        python.arg(self.path(program)).current_dir("/").stdin(Stdio::null());
        python.env("LD_LIBRARY_PATH", self.path("prefix/lib")).env("PYTHONDONTWRITEBYTECODE", "1");
        python
    }

    /// The same, whose posix_spawn(3) is the library's client.
    fn python_preloaded(&self, program: &str) -> Command {
        let mut python = self.python(program);
        python.env("LD_PRELOAD", self.path("posix_spawn_shim.so"));
        python
    }
}

#[track_caller]
fn succeeds(output: Output) -> String {
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{}\n{out}\n{err}", output.status);
    print!("{out}");
    out.into_owned()
}

#[track_caller]
fn begin(python: &mut Command) -> Child {
    python.stdout(Stdio::piped()).stderr(Stdio::piped());
    python.spawn().unwrap_or_else(|error| panic!("{PYTHON}, of Debian's python3.11: {error}"))
}

#[test]
fn subprocess() {
    let clients = Clients::new();
    // How many tests and launches there are at least, and whose. Most tests wait, so they run side by side.
    let begun = [
        (0, "99", "105", &["ProcessTestCase"][..]),
        (0, "119", "125", &["ProcessTestCaseNoPoll", "RunFuncTestCase", "MiscTests"]),
        (0, "77", "115", &["POSIXProcessTestCase", "ContextManagerTests"]),
        (NOBODY, "77", "115", &["POSIXProcessTestCase", "ContextManagerTests"]),
    ]
    .map(|(user, tests, launches, classes)| {
        let mut python = clients.python("cpython.py");
        python.args(["test_subprocess", tests, launches]).args(classes).env("PYTHONPATH", clients.directory.path());
        if user != 0 {
            python.uid(user).gid(user);
        }
        begin(&mut python)
    });
    // All of them end before one can fail.
    for output in begun.map(|begun| begun.wait_with_output().expect("its end")) {
        succeeds(output);
    }
}

#[test]
fn posix_spawn() {
    let clients = Clients::new();
    let mut python = clients.python_preloaded("cpython.py");
    python.args(["test_posix", "45", "30", "TestPosixSpawn", "TestPosixSpawnP"]);
    succeeds(begin(&mut python).wait_with_output().expect("its end"));
}

/// What CPython's tests do not look at. The C library's own function is the measure.
#[test]
fn posix_spawns_file_actions() {
    let clients = Clients::new();
    // What the programs found, and how many were launched by the library.
    let found = |place: &str, mut python: Command| {
        // Of the same name, and so is the file: programs see both.
        let directory = clients.path(place).join("cases");
        fs::create_dir_all(&directory).expect("a directory");
        let output = File::create(directory.join("output")).expect("a file");
        python.arg(directory.join("found")).current_dir(&directory);
        python.stdout(output.try_clone().expect("a copy")).stderr(output);
        let status = python.status().unwrap_or_else(|error| panic!("{PYTHON}, of Debian's python3.11: {error}"));
        let output = fs::read_to_string(directory.join("output")).expect("UTF-8");
        assert!(status.success(), "{output}");
        (fs::read_to_string(directory.join("found")).expect("UTF-8"), output.trim().to_owned())
    };
    let (expected, none) = found("without", clients.python("posix_spawn_cases.py"));
    let (by_the_library, launches) = found("with", clients.python_preloaded("posix_spawn_cases.py"));
    assert_eq!(by_the_library, expected);
    assert_eq!((none.as_str(), launches.as_str()), ("0", "17"));
}

/// What libuv consists of on Linux, in src/unix.
const LIBUV_FOR_LINUX: [&str; 26] = [
    "async",
    "core",
    "dl",
    "epoll",
    "fs",
    "getaddrinfo",
    "getnameinfo",
    "linux-core",
    "linux-inotify",
    "linux-syscalls",
    "loop",
    "loop-watcher",
    "pipe",
    "poll",
    "procfs-exepath",
    "proctitle",
    "random-devurandom",
    "random-getrandom",
    "random-sysctl-linux",
    "signal",
    "stream",
    "tcp",
    "thread",
    "tty",
    "udp",
    "process",
];

/// What is no test, in test.
const LIBUV_RUNNER: [&str; 5] = ["run-tests", "runner", "runner-unix", "echo-server", "blackhole-server"];

/// The files of C in a directory whose names begin so.
fn sources(directory: &Path, beginning: &str) -> Vec<PathBuf> {
    let files = fs::read_dir(directory).unwrap_or_else(|error| panic!("{}: {error}", directory.display()));
    let files = files.map(|file| file.expect("a file").path());
    let is_source = |path: &PathBuf| {
        let name = path.file_name().expect("its name").to_string_lossy();
        name.starts_with(beginning) && name.ends_with(".c")
    };
    files.filter(is_source).collect()
}

#[test]
fn libuv() {
    let source = std::env::var_os("LIBUV_SOURCE");
    let source = PathBuf::from(source.expect("LIBUV_SOURCE: the source of libuv 1.44; .ci/run gets Debian's"));
    let clients = Clients::new();

    let original = fs::read_to_string(source.join("src/unix/process.c")).expect("libuv's source");
    let (theirs, callers) = ("static int uv__spawn_and_init_child(\n", "int uv_spawn(uv_loop_t* loop,\n");
    assert_eq!([original.matches(theirs).count(), original.matches(callers).count()], [1, 1], "libuv has changed");
    let patched = original
        .replace(theirs, "__attribute__((unused)) static int uv__spawn_and_init_child_by_fork(\n")
        .replace(callers, &format!("#include \"libuv_shim.c\"\n{callers}"));
    fs::write(clients.path("process.c"), patched).expect("a file");

    let unix = LIBUV_FOR_LINUX.map(|name| match name {
        "process" => clients.path("process.c"),
        _ => source.join(format!("src/unix/{name}.c")),
    });
    let library = [sources(&source.join("src"), ""), unix.to_vec()].concat();
    let runner = LIBUV_RUNNER.map(|name| source.join(format!("test/{name}.c")));
    let tests = [sources(&source.join("test"), "test-"), runner.to_vec()].concat();
    let compiling = [("library", library), ("tests", tests)].map(|(name, sources)| {
        let objects = clients.path(name);
        fs::create_dir(&objects).expect("a directory");
        let mut cc = Command::new("cc");
        // Their warnings are not ours.
        cc.args(["-c", "-w", "-D_GNU_SOURCE"]).args(sources).current_dir(&objects);
        for included in
            [source.join("include"), source.join("src"), source.join("src/unix"), clients.path("prefix/include")]
        {
            cc.arg("-I").arg(included);
        }
        begin(cc.arg("-I").arg(clients.directory.path()))
    });
    for compiled in compiling {
        succeeds(compiled.wait_with_output().expect("its end"));
    }
    let mut cc = Command::new("sh");
    // Two of their tests have files of the library in them.
    cc.args(["-c", "cc -pthread -Wl,-z,muldefs -o libuv tests/*.o library/*.o -Lprefix/lib -lexec_relay -ldl -lrt -Wl,-rpath,$PWD/prefix/lib"]);
    succeeds(cc.current_dir(clients.directory.path()).output().expect("a C compiler"));

    let test = |arguments: &[&str]| {
        let mut test = Command::new(clients.path("libuv"));
        test.args(arguments).current_dir(clients.directory.path()).stdin(Stdio::null());
        // One test gives its program no environment.
        test.env("LIBUV_SHIM_LAUNCHES", clients.path("launches")).env("UV_RUN_AS_ROOT", "1");
        test.output().expect("libuv's tests")
    };
    fs::write(clients.path("launches"), "").expect("a file");
    let (mut run, listed) = (0, succeeds(test(&["--list"])));
    for name in listed.lines().map(str::trim).filter(|name| name.starts_with("spawn_")) {
        // It takes a port of a fixed number.
        if name == "spawn_tcp_server" {
            continue;
        }
        let output = test(&[name, name]);
        // It skips itself: on this system, or as this user.
        if output.status.code() != Some(7) {
            println!("{name}");
            succeeds(output);
            run += 1;
        }
    }
    let launches = fs::metadata(clients.path("launches")).expect("the file").len();
    println!("{run} tests, with {launches} launches by the library");
    assert!(run >= 26 && launches >= 20, "{run} tests, {launches} launches");
}
