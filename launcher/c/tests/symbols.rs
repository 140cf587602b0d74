//! What can be reached between clone and execve, in the library as it ships: no allocator, no lock, no panic, no
//! thread-local storage. By the disassembly, from the child's entry on.

#![cfg(target_arch = "x86_64")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

/// The library, disassembled.
struct Library {
    /// Each function's instructions, as objdump prints them, by its mangled name: others are not unique.
    functions: BTreeMap<String, Vec<String>>,
    /// Each function by its address.
    names: BTreeMap<u64, String>,
    /// What the loader writes to an address: a function of the library's, or one of the C library's.
    written: BTreeMap<u64, String>,
}

fn objdump(option: &[&str], library: &Path) -> String {
    let output = Command::new("objdump").args(option).arg(library).output().expect("objdump");
    assert!(output.status.success());
    String::from_utf8(output.stdout).expect("UTF-8")
}

impl Library {
    fn new() -> Self {
        let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("symbols");
        let mut cargo = Command::new(env!("CARGO"));
        // Without the embedded relay, which is data, but with its symbols.
        cargo.args(["build", "--quiet", "--release", "--no-default-features", "--manifest-path"]);
        cargo.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml")).arg("--target-dir").arg(&target);
        cargo.env("CARGO_PROFILE_RELEASE_STRIP", "none");
        for name in ["RUSTC_WORKSPACE_WRAPPER", "RUSTFLAGS", "CARGO_ENCODED_RUSTFLAGS"] {
            cargo.env_remove(name);
        }
        assert!(cargo.status().expect("cargo").success());
        let file = target.join("release/libexec_relay_c.so");

        let address = |text: &str| u64::from_str_radix(text.trim_start_matches("0x"), 16);
        let (mut functions, mut names, mut name) = (BTreeMap::new(), BTreeMap::new(), String::new());
        for line in objdump(&["--disassemble", "--no-show-raw-insn"], &file).lines() {
            if let Some((begin, begun)) = line.strip_suffix(">:").and_then(|line| line.split_once(" <")) {
                name = begun.to_owned();
                names.insert(address(begin).expect("an address"), name.clone());
            } else if line.starts_with("  ") {
                functions.entry(name.clone()).or_insert_with(Vec::new).push(line.to_owned());
            }
        }
        let mut written = BTreeMap::new();
        for line in objdump(&["--dynamic-reloc"], &file).lines() {
            let mut words = line.split_whitespace();
            let (Some(place), Some(_), Some(value)) = (words.next(), words.next(), words.next()) else { continue };
            let Ok(place) = address(place) else { continue };
            let local = value.strip_prefix("*ABS*+").and_then(|value| names.get(&address(value).ok()?));
            written.insert(place, local.cloned().unwrap_or_else(|| value.to_owned()));
        }
        Self { functions, names, written }
    }

    /// What an instruction calls, jumps to, or takes the address of: `call 1234 <function+0x12>`, or by what is written at
    /// an address, `mov 0x12(%rip),%rax # 1234 <...>`.
    fn target(&self, code: &str) -> Option<&str> {
        if let Some((_, place)) = code.split_once("# ") {
            let place = u64::from_str_radix(place.split(' ').next()?, 16).ok()?;
            return self.written.get(&place).or_else(|| self.names.get(&place)).map(String::as_str);
        }
        let address = u64::from_str_radix(code.split_whitespace().nth(1)?, 16).ok()?;
        self.names.range(..=address).next_back().map(|(_, name)| name.as_str())
    }
}

#[test]
fn the_child_reaches_nothing_of_the_runtime() {
    let library = Library::new();
    // One for each vehicle.
    let entries: Vec<_> = library.functions.keys().filter(|name| name.contains("5spawn5child")).cloned().collect();
    assert_eq!(entries.len(), 2, "the children's entries: {entries:?}");
    let mut reached: BTreeSet<_> = entries.iter().cloned().collect();
    let mut left = entries;
    while let Some(name) = left.pop() {
        let instructions =
            library.functions.get(&name).unwrap_or_else(|| panic!("{name} is not in the library: {reached:?}"));
        for instruction in instructions {
            assert!(!instruction.contains("%fs:"), "{name} touches thread-local storage: {instruction}");
            let code = instruction.split_once('\t').map_or("", |(_, code)| code.trim());
            let leaves = code.starts_with("call") || code.starts_with('j');
            // A call by a register goes to an address that was taken before, which counts as reached by that.
            let by_register = code.contains("*%r");
            if !leaves && !code.contains("(%rip)") || by_register {
                continue;
            }
            let Some(target) = library.target(code) else {
                // What is no function is data.
                assert!(!leaves, "{name} calls what cannot be known: {instruction}");
                continue;
            };
            // Only what the C library's memory functions do is let through: they are plain code on the arguments.
            let memory = ["memcpy", "memset", "memmove", "memcmp", "bcmp", "strlen"];
            if memory.iter().any(|&function| target.split('@').next() == Some(function)) {
                continue;
            }
            if reached.insert(target.to_owned()) {
                left.push(target.to_owned());
            }
        }
    }
    println!("{reached:#?}");
    assert!(reached.len() > 5, "the steps are reached: {reached:?}");
    // Crates stand in mangled names with their length before them.
    for name in &reached {
        for part in
            ["_5alloc", "_3std", "ZN5alloc", "ZN3std", "alloc..", "std..", "panic", "unwind", "pthread", "__tls"]
        {
            assert!(!name.contains(part), "{name} is reached: {reached:#?}");
        }
    }
}
