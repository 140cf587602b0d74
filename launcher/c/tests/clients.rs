//! Clients of the C library, and the tests that others wrote for what they stand in for: CPython's subprocess and
//! posix_spawn(3).
//!
//! Needs root, `/usr/bin/python3.11` and CPython's own tests (Debian: python3.11, libpython3.11-testsuite). Only
//! `cargo test -p exec-relay-c --test clients` runs it.

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
