//! Builds the relay program that the library carries, with the feature `embedded`.
//!
//! Whatever build this is a part of, the program is the one that the repository's `cargo build --release` makes. So the
//! cargo that is run here sees a package of its own, without what only tests need, and none of the settings that are meant
//! for the rest of the build. It never uses the network: what relay depends on, the library does too, so it is at hand.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{self, Command};

/// A relay that was built elsewhere, to be embedded in the place of one that is built here.
const GIVEN: &str = "EXEC_RELAY_PROGRAM";

/// What relay is made of, beside its manifest.
const PARTS: [&str; 3] = ["src", "linker", "build.rs"];

/// The part of the profile that the manifest leaves at Cargo's defaults, where the user's settings would reach it.
const DEFAULTS: [&str; 4] = ["debug = false", "debug-assertions = false", "overflow-checks = false", "rpath = false"];

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed={GIVEN}");
    if env::var_os("CARGO_FEATURE_EMBEDDED").is_none() {
        return;
    }
    let given = env::var_os(GIVEN).map(PathBuf::from);
    if let Some(given) = &given {
        // Not what is built here: it is always newer than the start of this, so that each build would begin anew.
        println!("cargo::rerun-if-changed={}", given.display());
    }
    let relay = given.unwrap_or_else(build);
    if !(relay.is_absolute() && relay.is_file()) {
        fail(format!("{GIVEN} must be the absolute path of a relay program, which {} is not", relay.display()));
    }
    println!("cargo::rustc-env=EXEC_RELAY_EMBEDDED={}", relay.display());
}

/// Builds it as it ships: for the target of this library, always in release, where the linker script asserts its shape.
fn build() -> PathBuf {
    // Told by the build script of exec-relay: the repository, or where cargo has unpacked the package.
    let root = PathBuf::from(variable("DEP_EXEC_RELAY_ROOT"));
    let (library, out) = (PathBuf::from(variable("CARGO_MANIFEST_DIR")), PathBuf::from(variable("OUT_DIR")));
    let (package, directory, target) = (out.join("package"), out.join("relay"), variable("TARGET"));
    let text = fs::read_to_string(root.join("Cargo.toml")).expect("exec-relay has a manifest");
    let manifest = Manifest::of_relay(&text);

    // An earlier version may have had more files.
    let _ = fs::remove_dir_all(&package);
    fs::create_dir_all(&package).expect("OUT_DIR can be written to");
    fs::write(package.join("Cargo.toml"), manifest.text).expect("OUT_DIR can be written to");
    println!("cargo::rerun-if-changed={}", root.join("Cargo.toml").display());
    for part in PARTS {
        copy(&root.join(part), &package.join(part));
        println!("cargo::rerun-if-changed={}", root.join(part).display());
    }

    let mut cargo = Command::new(variable("CARGO"));
    cargo.args(["build", "--quiet", "--offline", "--release", "--bin", "relay", "--target", &target]);
    // Directories of its own: the cargo that runs this holds the locks of the others.
    cargo.arg("--manifest-path").arg(package.join("Cargo.toml")).arg("--target-dir").arg(&directory);
    let mut set = |setting: String| {
        cargo.args(["--config", &setting]);
    };
    set(format!("build.build-dir = {directory:?}"));
    for setting in manifest.profile.iter().map(String::as_str).chain(DEFAULTS) {
        set(format!("profile.release.{setting}"));
    }
    // The packages of a vendor directory lie side by side. Where it is configured may be out of sight from here.
    if let Some(vendored) = [&library, &root].into_iter().find(|package| package.join(".cargo-checksum.json").exists())
    {
        set("source.crates-io.replace-with = 'beside'".to_owned());
        // By a path that no file of configuration has: cargo takes no directory twice.
        set(format!("source.beside.directory = {:?}", vendored.join("..")));
    }
    // The same versions as in the rest of the build, from where that has them, by its files of configuration.
    if let Some(workspace) = workspace(&out).or_else(|| workspace(library.parent()?)) {
        let lock = workspace.join("Cargo.lock");
        copy(&lock, &package.join("Cargo.lock"));
        println!("cargo::rerun-if-changed={}", lock.display());
        cargo.current_dir(workspace);
    } else {
        cargo.current_dir(&package);
    }
    // Flags that a freestanding program cannot have, and a cache's driver. Empty, since files set them where they are unset.
    cargo.env("CARGO_ENCODED_RUSTFLAGS", "").env("RUSTC_WRAPPER", "");
    // A lint's driver. Empty it would change names, and with them the order of functions.
    cargo.env_remove("RUSTC_WORKSPACE_WRAPPER");
    cargo.env("CARGO_INCREMENTAL", "0");
    if let Some(linker) = env::var_os("RUSTC_LINKER") {
        cargo.env(format!("CARGO_TARGET_{}_LINKER", target.replace('-', "_").to_uppercase()), linker);
    }

    let status = cargo.status().expect("cargo can be started");
    if !status.success() {
        fail(format!(
            "relay, which the feature `embedded` carries, could not be built ({status}): what cargo says is below. It \
             takes Rust 1.95 or newer. There are two ways out: set {GIVEN} to the absolute path of a relay that is built \
             already, or leave out the feature, by `default-features = false`"
        ));
    }
    directory.join(target).join("release/relay")
}

/// The manifest of exec-relay, as it is in the repository or as `cargo package` writes it, less what does not build relay.
struct Manifest {
    text: String,
    /// The settings of the release profile.
    profile: Vec<String>,
}

impl Manifest {
    fn of_relay(text: &str) -> Self {
        // It must not become a part of the workspace that it is built in.
        let mut manifest = Self { text: "[workspace]\n\n".to_owned(), profile: Vec::new() };
        for section in format!("\n{text}").split("\n[").skip(1) {
            // Of a list, as [[bin]], the second bracket is still there.
            let name = section.trim_start_matches('[').split(']').next().expect("the first part");
            let wanted = match name {
                "package" | "lib" | "dependencies" | "profile.release" => true,
                "bin" => section.contains("name = \"relay\""),
                _ => name.starts_with("dependencies."),
            };
            if wanted {
                manifest.text.extend(["[", section, "\n"]);
            }
            if name == "profile.release" {
                let settings = section.lines().skip(1).filter(|line| line.contains(" = "));
                manifest.profile.extend(settings.map(str::to_owned));
            }
        }
        manifest
    }
}

/// The workspace that this is built for: the nearest one above a folder whose Cargo.lock has this library.
fn workspace(folder: &Path) -> Option<&Path> {
    folder.ancestors().find(|folder| {
        fs::read_to_string(folder.join("Cargo.lock"))
            .is_ok_and(|lock| lock.contains(concat!("name = \"", env!("CARGO_PKG_NAME"), "\"")))
    })
}

/// Copies a file, or a folder and what is in it, to where there is none yet. The copies can be written to.
fn copy(from: &Path, to: &Path) {
    let result = if from.is_dir() {
        fs::create_dir_all(to).and_then(|()| fs::read_dir(from)).map(|entries| {
            for entry in entries {
                let name = entry.expect("a folder can be read").file_name();
                copy(&from.join(&name), &to.join(&name));
            }
        })
    } else {
        fs::read(from).and_then(|content| fs::write(to, content))
    };
    result.unwrap_or_else(|error| panic!("cannot copy {} to {}: {error}", from.display(), to.display()));
}

/// Ends the build with a message that cargo shows as an error.
fn fail(message: String) -> ! {
    println!("cargo::error={message}");
    process::exit(1);
}

fn variable(name: &str) -> String {
    env::var(name).unwrap_or_else(|error| panic!("cargo sets {name}: {error}"))
}
