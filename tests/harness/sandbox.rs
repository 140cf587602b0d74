//! Sandboxes: seccomp filters that refuse what old kernels and engines refuse, and roots without a real /proc.

use std::collections::BTreeMap;
use std::env::consts::ARCH;
use std::fs;
use std::path::Path;

use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
};
use tempfile::TempDir;

use crate::host::{alone, probe, relay};

/// A filter that answers `errno` to each of `calls`.
pub fn refuse(calls: &[i64], errno: i32) -> BpfProgram {
    compile(calls.iter().map(|&call| (call, Vec::new())).collect(), SeccompAction::Errno(errno as u32))
}

/// A filter that kills whoever makes one of `calls`, by SIGSYS.
pub fn forbid(calls: &[i64]) -> BpfProgram {
    compile(calls.iter().map(|&call| (call, Vec::new())).collect(), SeccompAction::KillProcess)
}

/// A filter that answers EINVAL to close_range with a flag, as Linux 5.9 and 5.10 do.
pub fn refuse_close_range_flags() -> BpfProgram {
    let flag = u64::from(libc::CLOSE_RANGE_CLOEXEC);
    let set = SeccompCondition::new(2, SeccompCmpArgLen::Dword, SeccompCmpOp::MaskedEq(flag), flag);
    let rule = SeccompRule::new(vec![set.expect("a condition")]).expect("a rule");
    compile([(libc::SYS_close_range, vec![rule])].into(), SeccompAction::Errno(libc::EINVAL as u32))
}

fn compile(rules: BTreeMap<i64, Vec<SeccompRule>>, answer: SeccompAction) -> BpfProgram {
    let architecture = ARCH.try_into().expect("an architecture that seccompiler knows");
    let filter = SeccompFilter::new(rules, SeccompAction::Allow, answer, architecture).expect("a filter");
    filter.try_into().expect("a program")
}

/// A root that holds /relay and /probe and nothing else.
pub fn bare_root() -> TempDir {
    let root = TempDir::new().expect("a directory");
    for (program, name) in [(relay(), "relay"), (probe(), "probe")] {
        // Alone: a file that a child has a copy of the writer of cannot be executed.
        let copied = alone(|| fs::copy(&program, root.path().join(name)));
        copied.unwrap_or_else(|error| panic!("{program:?}: {error}"));
    }
    root
}

/// A root whose /proc/self/fd is an empty directory.
pub fn root_with_false_proc() -> TempDir {
    let root = bare_root();
    fs::create_dir_all(root.path().join("proc/self/fd")).expect("directories");
    root
}

/// An executable file, or one that is not, by its mode. Returns its path.
pub fn script(directory: &Path, name: &str, text: &str, mode: u32) -> String {
    use std::os::unix::fs::PermissionsExt;
    let path = directory.join(name);
    alone(|| fs::write(&path, text)).expect("a script");
    fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("a mode");
    path.to_str().expect("UTF-8").to_owned()
}
