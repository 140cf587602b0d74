//! What the machine must have for the tests, said by name where it is missing.

#![allow(unsafe_code)]

use std::env;
use std::ffi::CString;
use std::mem::MaybeUninit;
use std::os::unix::ffi::OsStringExt;

/// Lets this process have so many descriptors, or fails where it may not.
pub fn descriptors(most: u64) {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the call writes one structure.
    assert_eq!(unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit) }, 0);
    let (hard, wanted) = (limit.rlim_max, libc::rlimit { rlim_max: most, ..limit });
    // SAFETY: the call reads one structure.
    let may = hard >= most || unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &wanted) } == 0;
    assert!(
        may,
        "these tests need a hard limit of {most} descriptors, which is {hard} and cannot be raised (see ulimit -Hn)"
    );
}

/// Fails where what is in the folder for temporary files cannot be executed.
pub fn executable_files() {
    let folder = env::temp_dir();
    let path = CString::new(folder.clone().into_os_string().into_vec()).expect("a path has no NUL");
    let mut found = MaybeUninit::<libc::statvfs>::uninit();
    // SAFETY: the path ends with a NUL; the call writes one structure, all of it where it does not fail.
    let flags = unsafe {
        assert_eq!(libc::statvfs(path.as_ptr(), found.as_mut_ptr()), 0, "no folder {}: see TMPDIR", folder.display());
        found.assume_init().f_flag
    };
    assert!(
        flags & libc::ST_NOEXEC == 0,
        "these tests execute files in the folder for temporary files: {} is mounted with noexec, so set TMPDIR to another",
        folder.display()
    );
}
