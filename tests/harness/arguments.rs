//! Arguments and environment are handed on where they lie: no limit, no copy, nothing changed.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;

use proptest::prelude::*;

use crate::host::{Host, probe};

#[test]
fn a_megabyte_and_a_half() {
    let argument = "x".repeat(100_000);
    let arguments = vec![argument.as_str(); 15];
    let program = probe();
    let outcome = Host::new([program.to_str().expect("UTF-8")].into_iter().chain(arguments.iter().copied())).run();
    assert_eq!(outcome.slate().arguments[1..], arguments);
}

#[test]
fn a_hundred_thousand_arguments() {
    let arguments = vec!["1"; 100_000];
    let program = probe();
    let outcome = Host::new([program.to_str().expect("UTF-8")].into_iter().chain(arguments.iter().copied())).run();
    assert_eq!(outcome.slate().arguments[1..], arguments);
}

#[test]
fn an_empty_environment() {
    assert_eq!(Host::new([probe()]).run().slate().environment, [""; 0]);
}

fn strings() -> impl Strategy<Value = Vec<Vec<u8>>> {
    prop::collection::vec(prop::collection::vec(1_u8.., 0..40), 0..20)
}

fn os(bytes: &[u8]) -> OsString {
    OsString::from_vec(bytes.to_vec())
}

/// As the probe prints it.
fn seen(bytes: &[u8]) -> String {
    bytes.iter().copied().map(char::from).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_arguments_pass_through(arguments in strings()) {
        let host = Host::new([probe().into_os_string()].into_iter().chain(arguments.iter().map(|bytes| os(bytes))));
        prop_assert_eq!(&host.run().slate().arguments[1..], arguments.iter().map(|bytes| seen(bytes)).collect::<Vec<_>>());
    }

    #[test]
    fn any_environment_passes_through(environment in strings()) {
        let slate = Host::new([probe()]).environment(environment.iter().map(|bytes| os(bytes))).run().slate();
        prop_assert_eq!(slate.environment, environment.iter().map(|bytes| seen(bytes)).collect::<Vec<_>>());
    }
}
