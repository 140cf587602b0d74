//! Where a program lies that is called by its name.

use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf, absolute};

use rustix::fs::{Access, AtFlags, CWD, FileType, accessat, stat};
use rustix::io::Errno;

/// The absolute path of the program that execvp(3) would execute for `name`, in a process whose PATH is `path` and whose
/// current directory is `directory`. The launcher itself never searches.
///
/// - A name with a slash is not searched: it is joined to `directory`, as posix_spawn(3) does it after an action of
///   posix_spawn_file_actions_addchdir_np(3). Whether there is anything, the launch tells.
/// - Another one is looked for in the folders of `path`, in their order. Those that are empty or relative are `directory` and
///   what it holds. What is no file, or not executable, is passed over.
///
/// What a caller can choose in `path` it can have executed. So for a program with more privileges than its caller, give a list
/// of your own. A relative `directory` is one in this process's.
///
/// ```
/// use exec_relay_launcher::{Launch, find_program};
/// use std::path::Path;
///
/// let program = find_program("sh", "/usr/local/bin:/usr/bin:/bin", "/")?;
/// assert!(program.is_absolute());
/// assert!(Launch::new(program).args(["-c", "exit 0"]).status()?.success());
///
/// assert_eq!(find_program("./configure", "", "/usr/src")?, Path::new("/usr/src/./configure"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// As execvp(3) does it where PATH is not set: `std::env::var_os("PATH").unwrap_or("/bin:/usr/bin".into())`.
///
/// What execvp(3) does and this does not: it passes over a program whose interpreter is missing, which is the launch's error
/// here; and it has a shell run what is neither a program nor has an interpreter line, which is that too (ENOEXEC).
///
/// # Errors
///
/// ENOENT where there is none, or `name` is empty. EACCES where there are only such that may not be executed, or folders that may
/// not be searched; by this process's effective user, even if the program is to have another one. ENAMETOOLONG, ELOOP and
/// others as of execve(2). EINVAL where something holds a NUL byte.
pub fn find_program(
    name: impl AsRef<OsStr>,
    path: impl AsRef<OsStr>,
    directory: impl AsRef<Path>,
) -> io::Result<PathBuf> {
    let name = name.as_ref();
    let directory = directory.as_ref();
    // An empty one is no mistake either.
    let directory =
        if directory.is_absolute() { directory.to_owned() } else { absolute(Path::new(".").join(directory))? };
    if name.as_bytes().contains(&b'/') {
        return Ok(directory.join(name));
    }
    if name.is_empty() {
        return Err(Errno::NOENT.into());
    }
    let (mut last, mut is_denied) = (Errno::NOENT, false);
    for folder in path.as_ref().as_bytes().split(|&byte| byte == b':') {
        if folder.len() >= LONGEST_PATH {
            continue;
        }
        let program = directory.join(OsStr::from_bytes(folder)).join(name);
        match require_executable(&program) {
            Ok(()) => return Ok(program),
            Err(Errno::ACCESS) => is_denied = true,
            Err(errno @ (Errno::NOENT | Errno::STALE | Errno::NOTDIR | Errno::NODEV | Errno::TIMEDOUT)) => last = errno,
            Err(errno) => return Err(errno.into()),
        }
    }
    Err(if is_denied { Errno::ACCESS } else { last }.into())
}

/// PATH_MAX, in bytes: no folder has such a name.
const LONGEST_PATH: usize = 4096;

/// What execve(2) says of a file before it reads it.
pub(crate) fn require_executable(program: &Path) -> Result<(), Errno> {
    accessat(CWD, program, Access::EXEC_OK, AtFlags::EACCESS)?;
    let kind = FileType::from_raw_mode(stat(program)?.st_mode);
    if kind == FileType::RegularFile { Ok(()) } else { Err(Errno::ACCESS) }
}
