//! Programs by their names: what the C library's execvp(3) executes.

#![allow(unsafe_code)]

use std::fs;
use std::io::{ErrorKind, Write};
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Stdio};

use exec_relay_launcher::{Launch, find_program};
use tempfile::TempDir;

use crate::support::{alone, assert_root, script, vehicles};

/// What the C library's execvp(3) makes of these names and PATHs in this directory: the path that a script is executed by, as its
/// interpreter is told it, or an errno.
fn by_execvp(cases: &[(&str, String)], directory: &Path) -> Vec<Result<String, i32>> {
    let program = r#"
import ctypes, json, os, sys
libc = ctypes.CDLL(None, use_errno=True)
found = []
for name, path in json.load(sys.stdin):
    reader, writer = os.pipe()
    if os.fork() == 0:
        os.dup2(writer, 1)
        os.environ["PATH"] = path
        name = os.fsencode(name)
        libc.execvp(name, (ctypes.c_char_p * 2)(name, None))
        os.write(1, b"%d" % ctypes.get_errno())
        os._exit(0)
    os.close(writer)
    found.append(os.fsdecode(os.fdopen(reader, "rb").read()))
    os.wait()
json.dump(found, sys.stdout)
"#;
    let mut python = Command::new("python3");
    python.arg("-c").arg(program).current_dir(directory).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut python = python.spawn().expect("python3 is needed");
    let cases = serde_json::to_vec(cases).expect("JSON");
    python.stdin.take().expect("piped").write_all(&cases).expect("a reader");
    let output = python.wait_with_output().expect("a status");
    assert!(output.status.success(), "{output:?}");
    let found: Vec<String> = serde_json::from_slice(&output.stdout).expect("JSON");
    found.into_iter().map(|text| text.parse().map_or(Ok(text), Err)).collect()
}

/// A folder with executable files, and with what is none.
struct Folders(TempDir);

impl Folders {
    fn new() -> Self {
        let directory = TempDir::new().expect("a directory");
        let at = |path: &str| directory.path().join(path);
        for folder in ["one", "two", "denied", "work/bin", "two/folder"] {
            fs::create_dir_all(at(folder)).expect("a folder");
        }
        let tell = "#!/bin/sh\nprintf %s \"$0\"\n";
        for (path, mode) in [
            ("one/both", 0o755),
            ("two/both", 0o755),
            ("two/second", 0o755),
            ("one/plain", 0o644),
            ("two/plain", 0o755),
            ("one/only-plain", 0o644),
            ("one/folder", 0o755),
            ("work/here", 0o755),
            ("work/bin/relative", 0o755),
            ("denied/hidden", 0o755),
        ] {
            script(directory.path(), path, tell, mode);
        }
        fs::create_dir(at("one/second")).expect("a folder");
        rustix::fs::mknodat(
            rustix::fs::CWD,
            at("one/pipe"),
            rustix::fs::FileType::Fifo,
            rustix::fs::Mode::from_raw_mode(0o755),
            0,
        )
        .expect("a pipe");
        symlink("nowhere", at("one/dangling")).expect("a link");
        symlink("circle", at("one/circle")).expect("a link");
        symlink("../two/both", at("one/link")).expect("a link");
        fs::write(at("file"), "").expect("a file");
        fs::set_permissions(at("denied"), std::os::unix::fs::PermissionsExt::from_mode(0o000)).expect("a mode");
        fs::set_permissions(directory.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).expect("a mode");
        Self(directory)
    }

    /// A list of folders, where `@` is this one.
    fn list(&self, list: &str) -> String {
        list.replace('@', self.0.path().to_str().expect("UTF-8"))
    }

    /// Compares for each name and each list.
    fn compare(&self) {
        let long = "x".repeat(300);
        let longest = "x".repeat(255);
        let names = [
            "both",
            "second",
            "plain",
            "only-plain",
            "folder",
            "here",
            "relative",
            "hidden",
            "pipe",
            "dangling",
            "circle",
            "link",
            "missing",
            "",
            &long,
            &longest,
        ];
        let lists = [
            "@/one:@/two",
            "@/two:@/one",
            "@/one",
            "@/two",
            "",
            ":",
            "@/one:",
            ":@/one",
            "@/one::@/two",
            "bin",
            ".",
            "bin:.",
            "../work/bin",
            "@/missing:@/two",
            "@/file:@/two",
            "@/file",
            "@/two:@/file",
            "@/denied:@/two",
            "@/denied",
            "@/denied:@/missing",
            "@/one/:@/two//",
        ];
        let work = self.0.path().join("work");
        let cases: Vec<_> = names.iter().flat_map(|name| lists.map(|list| (*name, self.list(list)))).collect();
        for ((name, list), theirs) in cases.iter().zip(by_execvp(&cases, &work)) {
            let ours = find_program(name, list, &work).map_err(|error| error.raw_os_error().expect("an errno"));
            assert!(ours.as_ref().is_ok_and(|program| program.is_absolute()) || ours.is_err());
            // The C library's is relative to the directory where the folder is.
            let theirs = theirs.map(|path| work.join(path));
            assert_eq!(ours, theirs, "{name:?} in {list:?}");
        }
    }
}

impl Drop for Folders {
    fn drop(&mut self) {
        // Who is not root could not remove it.
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        let _ = fs::set_permissions(self.0.path().join("denied"), mode);
    }
}

#[test]
fn as_execvp_does() {
    Folders::new().compare();
}

/// Who is not root is denied more: files that are not executable, and folders.
#[test]
fn as_execvp_does_for_a_user() {
    alone("find_program::as_execvp_does_for_a_user", || {
        assert_root();
        // SAFETY: touch no memory.
        unsafe {
            assert_eq!(libc::setgroups(0, std::ptr::null()), 0);
            assert_eq!(libc::setresgid(65_534, 65_534, 65_534), 0);
            assert_eq!(libc::setresuid(65_534, 65_534, 65_534), 0);
        }
        Folders::new().compare();
    });
}

/// A folder whose name is too long is passed over. Not compared: the C library (glibc 2.36) takes the current directory then.
#[test]
fn a_folder_with_a_long_name() {
    let folders = Folders::new();
    let list = folders.list(&format!("/{}:@/two", "y".repeat(5000)));
    let work = folders.0.path().join("work");
    assert_eq!(find_program("both", &list, &work).expect("a path"), folders.0.path().join("two/both"));
    assert_eq!(find_program("here", &list, &work).expect_err("not there").kind(), ErrorKind::NotFound);
}

/// A name with a slash is not searched, whatever is there.
#[test]
fn names_with_a_slash() {
    for (name, directory, expected) in [
        ("/bin/true", "/usr", "/bin/true"),
        ("./x", "/usr", "/usr/./x"),
        ("bin/x", "/usr", "/usr/bin/x"),
        ("../x", "/usr/", "/usr/../x"),
    ] {
        assert_eq!(find_program(name, "/bin", directory).expect("a path"), Path::new(expected));
    }
    let here = std::env::current_dir().expect("a directory");
    assert_eq!(find_program("./x", "", "").expect("a path"), here.join("x"));
    assert_eq!(find_program("a/x", "", "b").expect("a path"), here.join("b/a/x"));
    let error = find_program("a\0b", "/bin", "/").expect_err("a NUL byte");
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
}

/// What it returns can be launched, from the directory that the program has.
#[test]
fn what_is_found_can_be_launched() {
    let directory = TempDir::new().expect("a directory");
    script(directory.path(), "greet", "#!/bin/sh\necho hello from $PWD\n", 0o755);
    let here = directory.path().canonicalize().expect("its path");
    for vehicle in vehicles() {
        for (name, path) in [("greet", ":/bin"), ("./greet", "")] {
            let program = find_program(name, path, &here).expect("a program");
            let output = Launch::new(program).current_dir(&here).vehicle(vehicle.clone()).output().expect("greet");
            assert_eq!(String::from_utf8_lossy(&output.stdout), format!("hello from {}\n", here.display()));
        }
    }
}
