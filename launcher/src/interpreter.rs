//! The interpreter that a program's file names, for the error that says that it is missing.

use std::ffi::OsString;
use std::fs::File;
use std::io::{Read, Seek};
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

use object::elf::{FileHeader32, FileHeader64};
use object::read::elf::{FileHeader, ProgramHeader};
use object::{Endianness, FileKind, ReadCache};

/// The interpreter that a script or an ELF file names, where the file can be read; see execve(2), elf(5).
pub fn interpreter(program: &Path) -> Option<PathBuf> {
    let mut file = File::open(program).ok()?;
    let name = match of_script(&mut file) {
        Some(name) => name,
        None => {
            let file = ReadCache::new(file);
            match FileKind::parse(&file).ok()? {
                FileKind::Elf32 => of_elf::<FileHeader32<Endianness>>(&file)?,
                FileKind::Elf64 => of_elf::<FileHeader64<Endianness>>(&file)?,
                _ => return None,
            }
        }
    };
    Some(PathBuf::from(OsString::from_vec(name)))
}

/// What stands in the first line, as far as the kernel looks at it.
fn of_script(file: &mut File) -> Option<Vec<u8>> {
    let mut start = Vec::new();
    file.by_ref().take(4096).read_to_end(&mut start).ok()?;
    file.rewind().ok()?;
    let line = start.strip_prefix(b"#!")?.split(|&byte| byte == b'\n').next()?.trim_ascii();
    Some(line.split(u8::is_ascii_whitespace).next()?.to_vec())
}

fn of_elf<Header: FileHeader<Endian = Endianness>>(file: &ReadCache<File>) -> Option<Vec<u8>> {
    let header = Header::parse(file).ok()?;
    let endian = header.endian().ok()?;
    let segments = header.program_headers(endian, file).ok()?;
    segments.iter().find_map(|segment| segment.interpreter(endian, file).ok()?).map(<[u8]>::to_vec)
}
