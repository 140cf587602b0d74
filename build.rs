//! Link arguments for the freestanding programs: relay, and the probe that the tests start.
//!
//! They are here rather than in .cargo/config.toml, which `cargo install` does not read and whose arguments would also
//! reach build scripts and tests.

use std::env;

fn main() {
    let root = env::var("CARGO_MANIFEST_DIR").expect("cargo sets CARGO_MANIFEST_DIR");
    let release = env::var("PROFILE").as_deref() == Ok("release");
    let script = format!("{root}/linker/relay.ld");

    let program = [
        // No C library and none of its start files.
        "-nostartfiles",
        "-nostdlib",
        // The script alone decides what the file looks like. Not by -Wl, which would split a path at its commas.
        "-T",
        &script,
        // Loads with pages of up to 64 KiB.
        "-Wl,-z,max-page-size=65536",
        // An identity of the build would make two builds differ for nothing.
        "-Wl,--build-id=none",
    ];
    // A development build has panics, whose messages need relocation: it is linked to a fixed address instead, and the
    // script then leaves out the checks of what is shipped.
    let shape = if release { ["-static-pie", "-Wl,--defsym=RELEASE=1"] } else { ["-static", "-no-pie"] };
    for argument in program.iter().chain(&shape) {
        println!("cargo::rustc-link-arg-bin=relay={argument}");
    }
    if env::var_os("CARGO_FEATURE_PROBE").is_some() {
        // The probe may write to its data and panic: it is an ordinary static program at a fixed address.
        for argument in ["-nostartfiles", "-nostdlib", "-static", "-no-pie", "-Wl,--defsym=rust_eh_personality=0"] {
            println!("cargo::rustc-link-arg-bin=probe={argument}");
        }
    }
    // For the build script of the launcher, which builds relay from here.
    println!("cargo::metadata=root={root}");
    println!("cargo::rerun-if-changed=linker/relay.ld");
    println!("cargo::rerun-if-changed=build.rs");
}
