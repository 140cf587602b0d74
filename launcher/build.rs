//! Builds the relay program that the library carries, with the feature `embedded`.

use std::env;
use std::path::{Path, PathBuf};
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
    let root = Path::new(&variable("CARGO_MANIFEST_DIR")).join("..");
    let manifest = root.join("Cargo.toml");
    assert!(
        root.join("src/bin/relay/main.rs").is_file(),
        "the sources of relay are not next to this package: build relay from exec-relay, set {GIVEN} to its path, or \
         leave out the feature `embedded`"
    );
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
    assert!(status.success(), "building relay failed: {status}");
    directory.join(target).join("release/relay")
}
