//! Link arguments for the freestanding programs: relay, and the probe that the tests start.
//!
//! They are here rather than in .cargo/config.toml, which `cargo install` does not read and whose arguments would also
//! reach build scripts and tests.

use std::env;
use std::path::Path;
use std::process::Command;

fn main() {
    let root = variable("CARGO_MANIFEST_DIR");
    let release = variable("PROFILE") == "release";
    let script = format!("{root}/linker/relay.ld");

    // The largest page that kernels for the architecture can be built with. To align a position-independent file to more
    // than the page they have costs them a second mapping at every start.
    let page = match variable("CARGO_CFG_TARGET_ARCH").as_str() {
        "aarch64" | "loongarch64" | "powerpc64" => 65_536,
        _ => 4096,
    };
    let page = format!("-Wl,-z,max-page-size={page}");

    let program = [
        // No C library and none of its start files.
        "-nostartfiles",
        "-nostdlib",
        // The script alone decides what the file looks like. Not by -Wl, which would split a path at its commas.
        "-T",
        &script,
        &page,
        // An identity of the build would make two builds differ for nothing.
        "-Wl,--build-id=none",
    ];
    // A development build has panics, whose messages need relocation: it is linked to a fixed address instead, and the
    // script then leaves out the checks of what is shipped.
    let shape = if release { ["-static-pie", "-Wl,--defsym=RELEASE=1"] } else { ["-static", "-no-pie"] };
    for argument in program.iter().chain(&shape) {
        link("bin=relay", argument);
    }
    if variable("CARGO_CFG_TARGET_ARCH") != "x86_64" {
        // An empty table of addresses, which there is by the architecture or by the linker: at most four words.
        let bytes = 4 * variable("CARGO_CFG_TARGET_POINTER_WIDTH").parse::<u32>().expect("a number") / 8;
        link("bin=relay", &format!("-Wl,--defsym=GOT_HEADER={bytes}"));
    }
    if env::var_os("CARGO_FEATURE_PROBE").is_some() {
        // The probe may write to its data and panic: it is an ordinary static program at a fixed address.
        let eh = "-Wl,--defsym=rust_eh_personality=0";
        for argument in ["-nostartfiles", "-nostdlib", "-static", "-no-pie", "-Wl,-e,_relay_start", eh] {
            link("bin=probe", argument);
        }
    }
    for argument in foreign_linker() {
        link("bins", &argument);
    }
    // For the build script of the launcher, which builds relay from here.
    println!("cargo::metadata=root={root}");
    println!("cargo::rerun-if-changed=linker/relay.ld");
    println!("cargo::rerun-if-changed=build.rs");
    // A linker that a configuration file names does not show here when it changes.
    let target = variable("TARGET").replace('-', "_").to_uppercase();
    println!("cargo::rerun-if-env-changed=CARGO_TARGET_{target}_LINKER");
}

/// Passes an argument to the linker: as the C compiler takes it, or, where the linker that is set for this target is
/// LLVM's own, as that one does.
fn link(what: &str, argument: &str) {
    let linker = env::var("RUSTC_LINKER").unwrap_or_default();
    let name = linker.rsplit('/').next().unwrap_or_default();
    let is_lld = name.starts_with("rust-lld") || name.starts_with("ld.lld");
    let words = match (argument, argument.strip_prefix("-Wl,")) {
        _ if !is_lld => vec![argument],
        ("-nostartfiles", _) => vec![],
        // Rust itself says -pie.
        ("-static-pie", _) => vec!["-static", "--no-dynamic-linker", "-ztext"],
        (_, Some(words)) => words.split(',').collect(),
        _ => vec![argument],
    };
    for word in words {
        println!("cargo::rustc-link-arg-{what}={word}");
    }
}

/// Where the target is another architecture than this machine, and no linker was set for it: this machine's C compiler
/// as always, but with LLVM's linker, which links for all architectures, and which Rust comes with. There is nothing of
/// the target's C library to be found, so no more than a linker is needed.
fn foreign_linker() -> Vec<String> {
    let (host, target) = (variable("HOST"), variable("TARGET"));
    if env::var_os("RUSTC_LINKER").is_some() || host.split('-').next() == target.split('-').next() {
        return Vec::new();
    }
    let emulation = match variable("CARGO_CFG_TARGET_ARCH").as_str() {
        "aarch64" => "aarch64linux",
        "arm" => "armelf_linux_eabi",
        "loongarch64" => "elf64loongarch",
        "powerpc64" => "elf64lppc",
        "riscv64" => "elf64lriscv",
        "s390x" => "elf64_s390",
        "x86" => "elf_i386",
        "x86_64" => "elf_x86_64",
        // src/bin/relay/start/mod.rs says what is missing.
        _ => return Vec::new(),
    };
    let mut arguments = vec!["-fuse-ld=lld".to_owned(), format!("-Wl,-m,{emulation}")];
    let asked = Command::new(variable("RUSTC")).args(["--print", "sysroot"]).output().expect("the compiler runs");
    assert!(asked.status.success(), "rustc --print sysroot: {}", asked.status);
    let sysroot = String::from_utf8(asked.stdout).expect("a path in UTF-8");
    let folder = Path::new(sysroot.trim()).join(format!("lib/rustlib/{host}/bin/gcc-ld"));
    if folder.exists() {
        arguments.push(format!("-B{}", folder.display()));
    }
    arguments
}

fn variable(name: &str) -> String {
    env::var(name).unwrap_or_else(|error| panic!("cargo sets {name}: {error}"))
}
