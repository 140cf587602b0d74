//! The lists of tests that are left out: where relay is of another architecture, or the kernel is not this machine's.

use std::env;
use std::process::Command;

use crate::host::output;

/// What is not the name of a test leaves out none, and would go unnoticed.
#[test]
fn each_is_a_test() {
    let listed = output(Command::new(env::current_exe().expect("this program")).args(["--list", "--format=terse"]));
    let listed = String::from_utf8(listed.stdout).expect("UTF-8");
    let lists =
        [include_str!("../left-out/qemu"), include_str!("../left-out/i686"), include_str!("../left-out/kernels")];
    for list in lists {
        let left_out: Vec<_> = list.lines().filter(|line| !line.starts_with('#')).collect();
        assert!(!left_out.is_empty());
        for name in left_out {
            assert!(listed.lines().any(|line| line == format!("{name}: test")), "tests/left-out: no such test: {name}");
        }
    }
}
