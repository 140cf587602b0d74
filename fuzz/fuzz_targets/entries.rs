//! What getdents64(2) writes, read entry by entry.

#![no_main]

use exec_relay::sys::first_entry;
use exec_relay::value::decimal;
use libfuzzer_sys::fuzz_target;

/// Where a name begins in a `struct linux_dirent64`.
const NAME: usize = 19;

fuzz_target!(|input: &[u8]| {
    // Of its own size, so that a read beyond the end is one beyond what was allocated.
    let bytes = input.to_vec();
    any_bytes(&bytes);
    names(&bytes);
});

/// Whatever the bytes are, no name is read that they do not hold, and there is an end.
fn any_bytes(bytes: &[u8]) {
    let mut next = 0;
    while let Some((name, length)) = first_entry(&bytes[next..]) {
        assert!(length > NAME && next + length <= bytes.len());
        let name = name.as_c_str().to_bytes_with_nul();
        let first = next + NAME;
        assert_eq!(name, &bytes[first..first + name.len()]);
        assert!(name.len() <= length - NAME, "it is in another entry");
        assert_eq!(u16::from_ne_bytes([bytes[next + 16], bytes[next + 17]]), length as u16);
        next += length;
    }
    // It has stopped at what is no whole entry.
    let rest = &bytes[next..];
    if let Some(&[low, high]) = rest.get(16..).and_then(|rest| rest.first_chunk()) {
        let length = usize::from(u16::from_ne_bytes([low, high]));
        let name = rest.get(..length).and_then(|entry| entry.get(NAME..));
        assert!(name.is_none_or(|name| !name.contains(&0)));
    }
}

/// Entries as the kernel makes them are all found. A name a line.
fn names(input: &[u8]) {
    let names = input.split(|&byte| byte == b'\n').filter(|name| name.len() < 256 && !name.contains(&0));
    let names: Vec<_> = names.collect();
    let mut bytes = Vec::new();
    for (inode, name) in (0_u64..).zip(&names) {
        let length = (NAME + name.len() + 1).next_multiple_of(8);
        let first = bytes.len();
        bytes.extend(inode.to_ne_bytes());
        bytes.extend(inode.to_ne_bytes());
        bytes.extend((length as u16).to_ne_bytes());
        bytes.push(4);
        bytes.extend_from_slice(name);
        bytes.push(0);
        // The kernel does not write what is behind it.
        bytes.resize(first + length, b'7');
    }
    let mut next = 0;
    for name in names {
        let (found, length) = first_entry(&bytes[next..]).expect("an entry");
        assert_eq!(found.as_c_str().to_bytes(), name);
        let number = std::str::from_utf8(name).ok().filter(|name| name.bytes().all(|byte| byte.is_ascii_digit()));
        assert_eq!(decimal(found), number.and_then(|number| number.parse().ok()));
        next += length;
    }
    assert_eq!(next, bytes.len());
}
