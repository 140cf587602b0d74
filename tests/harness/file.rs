//! The file that is shipped: what the release build is made of.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use object::read::elf::{ElfFile, FileHeader, ProgramHeader, SectionHeader};
use object::{Endianness, FileKind, elf};

use crate::host::{Host, given_relay, output};

/// What the file of each architecture may be.
struct Shape {
    machine: elf::Machine,
    /// In bytes. What it may grow to, not what it is; a change that needs more says what it bought.
    ceiling: usize,
    /// The largest page, in bytes, that kernels for the architecture can be built with.
    page: u64,
}

const SHAPES: [Shape; 8] = [
    Shape { machine: elf::EM_X86_64, ceiling: 30_700, page: 4096 },
    Shape { machine: elf::EM_386, ceiling: 33_700, page: 4096 },
    Shape { machine: elf::EM_AARCH64, ceiling: 32_200, page: 65_536 },
    Shape { machine: elf::EM_ARM, ceiling: 35_300, page: 4096 },
    Shape { machine: elf::EM_LOONGARCH, ceiling: 39_800, page: 65_536 },
    Shape { machine: elf::EM_PPC64, ceiling: 44_000, page: 65_536 },
    Shape { machine: elf::EM_RISCV, ceiling: 29_800, page: 4096 },
    Shape { machine: elf::EM_S390, ceiling: 34_600, page: 4096 },
];

/// The instruction of powerpc64 that makes a system call.
const SC: u32 = 0x4400_0002;

/// The file that was given, or else builds it as a user does, whatever profile this test was built in, and in a place of
/// its own, since the other tests run the one that they were built with.
fn release() -> PathBuf {
    if let Some(given) = given_relay() {
        return given;
    }
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
    match FileKind::parse(bytes.as_slice()).expect("a known format") {
        FileKind::Elf32 => assert_shape::<elf::FileHeader32<Endianness>>(&bytes),
        FileKind::Elf64 => assert_shape::<elf::FileHeader64<Endianness>>(&bytes),
        other => panic!("not an ELF file but {other:?}"),
    }
}

#[track_caller]
fn assert_shape<Header: FileHeader<Endian = Endianness>>(bytes: &[u8]) {
    let file = ElfFile::<Header>::parse(bytes).expect("an ELF file");
    let endian = file.endian();
    let header = file.elf_header();
    let machine = header.e_machine(endian);
    let shape = SHAPES.iter().find(|shape| shape.machine == machine).expect("a shape for this architecture");
    assert!(bytes.len() <= shape.ceiling, "{} bytes", bytes.len());

    if machine == elf::EM_PPC64 {
        let calls = bytes.as_chunks().0.iter().filter(|&&word| u32::from_le_bytes(word) == SC).count();
        assert_eq!(calls, 1, "system calls are made in one place: src/call.rs says why");
    }

    assert_eq!(header.e_type(endian), elf::ET_DYN, "position-independent");
    let segments: Vec<_> = file.elf_program_headers().iter().map(|segment| segment.p_type(endian)).collect();
    assert_eq!(segments, [elf::PT_LOAD, elf::PT_GNU_STACK], "no interpreter, no dynamic section, one thing to load");

    let text = &file.elf_program_headers()[0];
    let number = |word: Header::Word| -> u64 { word.into() };
    assert_eq!(text.p_flags(endian), elf::PF_R | elf::PF_X, "nothing writable");
    assert_eq!(number(text.p_offset(endian)), 0);
    assert_eq!(number(text.p_vaddr(endian)), 0);
    assert_eq!(number(text.p_align(endian)), shape.page, "loads with pages of all sizes");
    assert_eq!(number(text.p_filesz(endian)), number(text.p_memsz(endian)), "no memory beside the file's");
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

/// The release build needs less than two pages of stack for a launch, one of them for the plan of descriptors, and to say why
/// there was none.
#[test]
fn a_small_stack() {
    let relay = release();
    let relay = relay.to_str().expect("UTF-8");
    let host = |arguments: &[&str]| Host::new(arguments).relay_at(relay);
    for options in [&[][..], &["--chdir=/", "--env=A=b", "--fd=5=0", "--ignore=PIPE"]] {
        let outcome = host(&[options, &[relay, "--version"]].concat()).stack(8192).run();
        assert_eq!(outcome.stdout, concat!("relay ", env!("CARGO_PKG_VERSION"), "\n").as_bytes(), "{outcome:?}");
    }
    let outcome = host(&["/no/such"]).stack(8192).run();
    assert_eq!(outcome.stderr, "relay: cannot start /no/such: no such file (ENOENT)\n");
}

/// The panic handler's message is there only where the compiler found a path to it.
#[test]
fn no_path_panics() {
    let bytes = fs::read(release()).expect("the file");
    let found = bytes.windows(7).any(|window| window == b"a panic");
    assert!(!found, "a panicking path in the release build");
}
