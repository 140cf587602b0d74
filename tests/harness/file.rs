//! The file that is shipped: what the release build is made of.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use object::elf;
use object::read::elf::{ElfFile64, FileHeader, ProgramHeader, SectionHeader};

use crate::host::output;

/// In bytes. What it may grow to, not what it is; a change that needs more says what it bought.
const CEILING: usize = 12_800;

/// Builds the file as a user does, whatever profile this test was built in, and in a place of its own, since the other
/// tests run the one that they were built with.
fn release() -> PathBuf {
    let target = Path::new(env!("CARGO_BIN_EXE_relay")).ancestors().nth(2).expect("target/profile/relay");
    let target = target.join("shipped");
    let mut command = Command::new(env!("CARGO"));
    command.args(["build", "--release", "--bin", "relay", "--manifest-path"]);
    command.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml")).arg("--target-dir").arg(&target);
    // Otherwise the file is in a folder of that target's.
    command.env_remove("CARGO_BUILD_TARGET");
    let built = output(&mut command);
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    target.join("release/relay")
}

#[test]
fn the_release_file() {
    let bytes = fs::read(release()).expect("the file");
    assert!(bytes.len() <= CEILING, "{} bytes", bytes.len());

    let file = ElfFile64::<object::Endianness>::parse(&*bytes).expect("an ELF file");
    let endian = file.endian();
    let header = file.elf_header();
    assert_eq!(header.e_type(endian), elf::ET_DYN, "position-independent");
    let segments: Vec<_> = file.elf_program_headers().iter().map(|segment| segment.p_type(endian)).collect();
    assert_eq!(segments, [elf::PT_LOAD, elf::PT_GNU_STACK], "no interpreter, no dynamic section, one thing to load");

    let text = &file.elf_program_headers()[0];
    assert_eq!(text.p_flags(endian), elf::PF_R | elf::PF_X, "nothing writable");
    assert_eq!(text.p_offset(endian), 0);
    assert_eq!(text.p_vaddr(endian), 0);
    assert_eq!(text.p_align(endian), 65_536, "loads with pages of 4, 16 and 64 KiB");
    assert_eq!(text.p_filesz(endian), text.p_memsz(endian), "no memory beside the file's");
    let stack = &file.elf_program_headers()[1];
    assert_eq!(stack.p_flags(endian), elf::PF_R | elf::PF_W, "a stack that is not executable");

    for section in file.elf_section_table().iter() {
        let kind = section.sh_type(endian);
        assert!(
            [elf::SHT_NULL, elf::SHT_PROGBITS, elf::SHT_STRTAB].contains(&kind),
            "no relocation, no symbol, no note: section type {kind:?}"
        );
    }
}

/// The panic handler's message is there only where the compiler found a path to it.
#[test]
fn no_path_panics() {
    let bytes = fs::read(release()).expect("the file");
    let found = bytes.windows(7).any(|window| window == b"a panic");
    assert!(!found, "a panicking path in the release build");
}
