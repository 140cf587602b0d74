//! The library in other people's builds, each in a folder of its own: vendored, fetched before, in a workspace, with their
//! profiles and flags. Each has to carry the very relay that the repository's release build makes, and to launch by it.
//!
//! This needs root, to mount sources read-only, and the network: one test fetches all crates into a home of its own.
//! Only `cargo test -p exec-relay-launcher --test builds` runs it.

use std::env;
use std::ffi::OsStr;
use std::fmt::Write;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::LazyLock;

use tempfile::TempDir;

const LAUNCHER: &str = env!("CARGO_MANIFEST_DIR");

/// What a user writes.
const PROGRAM: &str = r#"
use exec_relay_launcher::{Launch, Vehicle};

fn main() {
    let mut launch = Launch::new("/bin/sh");
    let mut child = launch.args(["-c", "exit 7"]).vehicle(Vehicle::Relay).launch().expect("a launch by Relay");
    assert_eq!(child.wait().expect("a status").code(), Some(7));
}
"#;

/// This machine's target, as rustc calls it.
static HOST: LazyLock<String> = LazyLock::new(|| {
    let rustc = Command::new("rustc").args(["--print", "host-tuple"]).output().expect("rustc runs");
    String::from_utf8(rustc.stdout).expect("a name").trim().to_owned()
});

/// The relay that the repository's release build makes.
static RELAY: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("release");
    let mut cargo = cargo(&Path::new(LAUNCHER).join(".."));
    cargo.args(["build", "--quiet", "--release", "--package", "exec-relay", "--bin", "relay"]);
    succeed(cargo.args(["--target", &HOST, "--target-dir"]).arg(&target));
    fs::read(target.join(&*HOST).join("release/relay")).expect("the program")
});

/// Cargo as a user calls it in this folder.
fn cargo(folder: &Path) -> Command {
    command(env!("CARGO"), folder)
}

/// A command in this folder, without what the cargo that runs this test and its user have set.
fn command(program: &str, folder: &Path) -> Command {
    let mut command = Command::new(program);
    for (name, _) in env::vars_os() {
        let name = name.to_string_lossy();
        let is_set = name.starts_with("CARGO_") || name.starts_with("RUSTC_") || name == "RUSTFLAGS";
        // How crates are fetched on this machine is none of it.
        if is_set && !["CARGO_HOME", "CARGO_HTTP_", "CARGO_NET_"].iter().any(|kept| name.starts_with(kept)) {
            command.env_remove(&*name);
        }
    }
    command.current_dir(folder);
    command
}

/// Has any use of the network fail, quickly.
fn offline(cargo: &mut Command) -> &mut Command {
    cargo.env("CARGO_HTTP_PROXY", "http://127.0.0.1:9").arg("--offline")
}

#[track_caller]
fn run(command: &mut Command) -> (bool, String) {
    let Output { status, stdout, stderr } = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    (status.success(), String::from_utf8_lossy(&[stdout, stderr].concat()).into_owned())
}

#[track_caller]
fn succeed(command: &mut Command) -> String {
    let (succeeded, output) = run(command);
    assert!(succeeded, "{command:?}:\n{output}");
    output
}

/// A user's package in this folder, whose manifest says this beside its name.
fn package(folder: &Path, manifest: &str) {
    fs::create_dir_all(folder.join("src")).expect("a folder");
    let head = "[package]\nname = \"user\"\nversion = \"0.1.0\"\nedition = \"2024\"\n\n";
    fs::write(folder.join("Cargo.toml"), [head, manifest].concat()).expect("a manifest");
    fs::write(folder.join("src/main.rs"), PROGRAM).expect("a program");
    lock(folder);
}

/// The versions that the repository has: with others the relay would be another.
fn lock(folder: &Path) {
    fs::copy(Path::new(LAUNCHER).join("../Cargo.lock"), folder.join("Cargo.lock")).expect("the repository has a lock");
}

fn configuration(folder: &Path, text: &str) {
    fs::create_dir_all(folder.join(".cargo")).expect("a folder");
    fs::write(folder.join(".cargo/config.toml"), text).expect("a file of configuration");
}

/// What a user built works, and carries the relay of a release.
#[track_caller]
fn check(program: &Path) {
    succeed(&mut Command::new(program));
    let content = fs::read(program).expect("the program");
    assert!(
        content.windows(RELAY.len()).any(|part| part == *RELAY),
        "{} carries another relay than the release build makes",
        program.display()
    );
}

/// Both packages as `cargo package` makes them of what is in the repository now, unpacked in this folder.
fn published(folder: &Path) -> [PathBuf; 2] {
    let target = folder.join("target");
    let mut cargo = cargo(Path::new(LAUNCHER));
    cargo.args(["package", "--quiet", "--no-verify", "--allow-dirty", "--package", "exec-relay"]);
    succeed(cargo.args(["--package", "exec-relay-launcher", "--target-dir"]).arg(&target));
    ["exec-relay", "exec-relay-launcher"].map(|name| {
        let name = format!("{name}-{}", env!("CARGO_PKG_VERSION"));
        let archive = target.join(format!("package/{name}.crate"));
        succeed(Command::new("tar").arg("-xzf").arg(archive).arg("-C").arg(folder));
        folder.join(name)
    })
}

/// The lines of a manifest that take these packages in the place of published ones.
fn patch(packages: &[PathBuf; 2]) -> String {
    let [relay, launcher] = packages;
    format!(
        "[dependencies]\nexec-relay-launcher = \"*\"\n\n[patch.crates-io]\nexec-relay = {{ path = {relay:?} }}\n\
         exec-relay-launcher = {{ path = {launcher:?} }}\n"
    )
}

/// From a vendor directory alone: cargo has a home with nothing in it, and no network.
#[test]
fn vendored() {
    let folder = TempDir::new().expect("a folder");
    let folder = folder.path();
    let packages = published(folder);

    // The other crates, as `cargo vendor` lays them out, and then both packages, as it would.
    let user = folder.join("user");
    package(&user, &patch(&packages));
    let vendor = user.join("vendor");
    succeed(cargo(&user).args(["vendor", "--quiet"]).arg(&vendor));
    for (from, name) in packages.iter().zip(["exec-relay", "exec-relay-launcher"]) {
        fs::write(from.join(".cargo-checksum.json"), "{\"files\":{}}").expect("a file of sums");
        fs::rename(from, vendor.join(name)).expect("the same file system");
    }
    fs::remove_file(user.join("Cargo.lock")).expect("it had the paths of both");
    let ours = "[dependencies]\nexec-relay-launcher = \"*\"\n\n[workspace]\n";
    package(&user, ours);
    let source = |vendor: &OsStr| {
        format!("[source.crates-io]\nreplace-with = \"vendored\"\n\n[source.vendored]\ndirectory = {vendor:?}\n")
    };
    configuration(&user, &source(OsStr::new("vendor")));
    let home = folder.join("home");
    succeed(offline(cargo(&user).args(["generate-lockfile", "--quiet"]).env("CARGO_HOME", &home)));
    succeed(offline(cargo(&user).args(["build", "--quiet", "--locked"]).env("CARGO_HOME", &home)));
    check(&user.join("target/debug/user"));
    // Once is enough.
    let again = succeed(offline(cargo(&user).args(["build", "--locked"]).env("CARGO_HOME", &home)));
    assert!(!again.contains("Compiling"), "{again}");

    // Where nothing leads from the build to the vendor directory, which nobody can write to.
    let (apart, shared) = (folder.join("apart"), folder.join("shared"));
    package(&apart, ours);
    fs::rename(&vendor, &shared).expect("the same file system");
    let mut build = command("unshare", &apart);
    build.args(["--mount", "sh", "-ec", "mount --bind \"$0\" \"$0\"; mount -o remount,bind,ro \"$0\"; exec \"$@\""]);
    build.arg(&shared).args([env!("CARGO"), "build", "--quiet", "--config", "source.crates-io.replace-with = 'given'"]);
    build.arg("--config").arg(format!("source.given.directory = {shared:?}"));
    build.env("CARGO_HOME", &home).env("CARGO_TARGET_DIR", folder.join("elsewhere"));
    succeed(offline(&mut build));
    check(&folder.join("elsewhere/debug/user"));
}

/// After `cargo fetch`, with no more than that fetched, and without the network.
#[test]
fn fetched() {
    let folder = TempDir::new().expect("a folder");
    let folder = folder.path();
    let (user, home) = (folder.join("user"), folder.join("home"));
    package(&user, &patch(&published(folder)));
    succeed(cargo(&user).args(["fetch", "--quiet"]).env("CARGO_HOME", &home));

    // With no Cargo.lock of the user to be found.
    let mut build = cargo(&user);
    build.args(["build", "--quiet"]).env("CARGO_HOME", &home).env("CARGO_TARGET_DIR", folder.join("elsewhere"));
    succeed(offline(&mut build));
    check(&folder.join("elsewhere/debug/user"));

    // With one that has another version than the newest.
    let older = ["update", "--quiet", "--package", "stable_deref_trait", "--precise", "1.2.0"];
    succeed(cargo(&user).args(older).env("CARGO_HOME", &home));
    succeed(cargo(&user).args(["fetch", "--quiet", "--locked"]).env("CARGO_HOME", &home));
    succeed(offline(cargo(&user).args(["build", "--quiet", "--locked"]).env("CARGO_HOME", &home)));
    succeed(&mut Command::new(user.join("target/debug/user")));
    let built = fs::read_dir(user.join("target/debug/build")).expect("a folder");
    let locks = built.map(|built| built.expect("an entry").path().join("out/package/Cargo.lock"));
    let lock = locks.filter_map(|lock| fs::read_to_string(lock).ok()).next().expect("relay was built");
    assert!(lock.contains("name = \"stable_deref_trait\"\nversion = \"1.2.0\""), "{lock}");
}

/// In a user's workspace, by a path, with settings for everything that a build of relay could follow.
#[test]
fn hostile_settings() {
    let folder = TempDir::new().expect("a folder");
    let folder = folder.path();
    let log = folder.join("linked");
    let linker = folder.join("linker");
    fs::write(&linker, format!("#!/bin/sh\necho \"$@\" >>{}\nexec cc \"$@\"\n", log.display())).expect("a script");
    fs::set_permissions(&linker, fs::Permissions::from_mode(0o755)).expect("its owner may");
    let wrapper = folder.join("wrapper");
    fs::write(&wrapper, "#!/bin/sh\nfor word; do [ \"$word\" = relay ] && exit 9; done\nexec \"$@\"\n")
        .expect("a script");
    fs::set_permissions(&wrapper, fs::Permissions::from_mode(0o755)).expect("its owner may");

    let profile = "opt-level = 0\nlto = \"thin\"\npanic = \"unwind\"\ncodegen-units = 16\nstrip = \"none\"\ndebug = 2\n\
                   debug-assertions = true\noverflow-checks = true\nincremental = true\nrpath = true\n";
    let mut workspace =
        format!("[workspace]\nmembers = [\"user\"]\nresolver = \"3\"\n\n[profile.release]\n{profile}\n");
    writeln!(workspace, "[profile.own]\ninherits = \"dev\"\nopt-level = 1").expect("a string takes it");
    fs::write(folder.join("Cargo.toml"), workspace).expect("a manifest");
    let user = folder.join("user");
    package(&user, &format!("[dependencies]\nexec-relay-launcher = {{ path = {LAUNCHER:?} }}\n"));
    lock(folder);
    let flags = "\"-Cpanic=unwind\", \"-Crelocation-model=static\", \"-Cdebug-assertions=on\", \"-Ctarget-cpu=native\"";
    configuration(
        folder,
        &format!(
            "[build]\nrustflags = [{flags}]\ntarget = {host:?}\ntarget-dir = \"all\"\nbuild-dir = \"all/made\"\n\
             incremental = true\nrustc-wrapper = {wrapper:?}\n\n[target.{host}]\nrustflags = [{flags}]\nlinker = {linker:?}\n\n\
             [profile.release]\n{profile}",
            host = *HOST,
        ),
    );
    let all = folder.join("all").join(&*HOST);
    succeed(offline(cargo(&user).args(["build", "--quiet", "--release"])));
    check(&all.join("release/user"));
    let linked = fs::read_to_string(&log).expect("something was linked");
    assert!(linked.contains("relay.ld"), "relay was not linked by the linker that is set for the target:\n{linked}");

    // The same by variables, and profiles of other names.
    fs::remove_dir_all(folder.join(".cargo")).expect("it is there");
    let mut build = cargo(&user);
    build.args(["build", "--quiet", "--profile", "own"]);
    for line in profile.lines() {
        let (name, value) = line.split_once(" = ").expect("a setting");
        let name = name.replace('-', "_").to_uppercase();
        build.env(format!("CARGO_PROFILE_RELEASE_{name}"), value.trim_matches('"'));
    }
    build.env("CARGO_INCREMENTAL", "1");
    for name in ["RUSTFLAGS", "CARGO_BUILD_RUSTFLAGS"] {
        build.env(name, "-Cpanic=unwind -Ctarget-cpu=native -Cdebug-assertions=on");
    }
    build.env("CARGO_BUILD_TARGET", &*HOST).env("CARGO_TARGET_DIR", folder.join("all"));
    build.env("CARGO_BUILD_BUILD_DIR", folder.join("all/made")).env("RUSTC_WRAPPER", &wrapper);
    succeed(offline(&mut build));
    check(&all.join("own/user"));
}

/// Relay itself, as `cargo install` builds it, under settings that it cannot have: it says so.
#[test]
fn relay_with_hostile_settings() {
    let target = TempDir::new().expect("a folder");
    let settings = [("CARGO_PROFILE_RELEASE_LTO", "off"), ("CARGO_PROFILE_RELEASE_OPT_LEVEL", "0")];
    for (name, value) in settings.into_iter().chain([("RUSTFLAGS", "-Cpanic=unwind")]) {
        let mut build = cargo(&Path::new(LAUNCHER).join(".."));
        build.args(["build", "--quiet", "--release", "--bin", "relay", "--target-dir"]).arg(target.path());
        let (succeeded, output) = run(offline(build.env(name, value)));
        assert!(!succeeded && output.contains("without settings of your own"), "{name}={value}: {output}");
    }
}

/// A relay that was built elsewhere, and a build that fails: the message says what the ways out are.
#[test]
fn failing_and_given() {
    let folder = TempDir::new().expect("a folder");
    let folder = folder.path();
    let [relay, launcher] = published(folder);
    let user = folder.join("user");
    package(&user, &patch(&[relay.clone(), launcher]));
    fs::write(relay.join("linker/relay.ld"), "nonsense\n").expect("a script");
    let build = |given: Option<&str>| {
        let mut build = cargo(&user);
        build.args(["build", "--quiet"]);
        given.map(|given| build.env("EXEC_RELAY_PROGRAM", given));
        run(offline(&mut build))
    };
    let (succeeded, output) = build(None);
    assert!(!succeeded && output.contains("nonsense"), "{output}");
    for way in ["EXEC_RELAY_PROGRAM", "default-features = false"] {
        assert!(output.contains(way), "no word of {way}:\n{output}");
    }
    let (succeeded, output) = build(Some("relay"));
    assert!(!succeeded && output.contains("absolute path"), "{output}");

    let given = folder.join("given");
    fs::write(&given, &*RELAY).expect("a program");
    let (succeeded, output) = build(given.to_str());
    assert!(succeeded, "{output}");
    check(&user.join("target/debug/user"));
}
