//! What relay says where it refuses to start a program: a line for people, and a record for launchers.

use exec_relay::status::Step;

use crate::host::{Host, probe};
use crate::process::{assert_refused, host};
use crate::records::assert_failed;

/// relay fails with these options on this host, once with the message, and once with the record: step, errno and detail.
#[track_caller]
pub fn assert_refuses(
    options: &[&str],
    dirty: impl Fn(Host) -> Host,
    message: &str,
    (step, errno, detail): (Step, i32, u32),
) {
    assert_refused(&dirty(host(options)).run(), message);
    let options = ["--status=9"].iter().chain(options).copied();
    let with_records = Host::new(options.chain([probe().to_str().expect("UTF-8")])).status(9);
    assert_failed(&dirty(with_records).run(), step, errno, detail);
}

/// Each of these values is malformed.
#[track_caller]
pub fn assert_all_misused(option: &str, values: &[&str]) {
    for value in values {
        let option = format!("{option}={value}");
        host(&[&option]).run().assert_misused(&option);
    }
}

/// A host that needs nothing done.
pub fn clean(host: Host) -> Host {
    host
}
