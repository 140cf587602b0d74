//! Builds the relay program that the library carries, with the feature `embedded`.

use std::env;
use std::path::PathBuf;
use std::process::Command;

/// A relay that was built elsewhere, to be embedded in the place of one that is built here.
const GIVEN: &str = "EXEC_RELAY_PROGRAM";

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed={GIVEN}");
    if env::var_os("CARGO_FEATURE_EMBEDDED").is_none() {
        return;
    }
    let relay = env::var_os(GIVEN).map(PathBuf::from).unwrap_or_else(build);
    assert!(relay.is_file(), "{GIVEN} must name a relay program: there is none at {}", relay.display());
    println!("cargo::rustc-env=EXEC_RELAY_EMBEDDED={}", relay.display());
    println!("cargo::rerun-if-changed={}", relay.display());
}

/// Builds it as it ships: for the target of this library, always in release, where the linker script asserts its shape.
fn build() -> PathBuf {
    let variable = |name: &str| env::var(name).unwrap_or_else(|_| panic!("cargo sets {name}"));
    // Told by the build script of exec-relay: the repository, or where cargo has unpacked the package.
    let root = PathBuf::from(variable("DEP_EXEC_RELAY_ROOT"));
    let manifest = root.join("Cargo.toml");
    for part in ["src", "linker", "build.rs", "Cargo.toml"] {
        println!("cargo::rerun-if-changed={}", root.join(part).display());
    }
    let (target, directory) = (variable("TARGET"), PathBuf::from(variable("OUT_DIR")).join("relay"));
    let mut cargo = Command::new(variable("CARGO"));
    cargo.args(["build", "--quiet", "--release", "--package", "exec-relay", "--bin", "relay", "--target", &target]);
    // A directory of its own: the cargo that runs this holds the lock of the other one.
    cargo.arg("--manifest-path").arg(manifest).arg("--target-dir").arg(&directory);
    // What is meant for the package that is being built: a lint's driver, flags that a freestanding program cannot have.
    for name in ["RUSTC_WRAPPER", "RUSTC_WORKSPACE_WRAPPER", "RUSTFLAGS", "CARGO_ENCODED_RUSTFLAGS"] {
        cargo.env_remove(name);
    }
    let status = cargo.status().expect("cargo can be started");
    assert!(
        status.success(),
        "building relay failed: {status}. Where cargo has no network, or this package is vendored in a workspace, set \
         {GIVEN} to the path of a relay that is built already, or leave out the feature `embedded`."
    );
    directory.join(target).join("release/relay")
}
