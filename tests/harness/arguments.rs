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

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_pass_through(arguments in strings(), environment in strings()) {
        let os = |bytes: &Vec<u8>| OsString::from_vec(bytes.clone());
        let seen = |bytes: &Vec<u8>| bytes.iter().copied().map(char::from).collect::<String>();
        let host = Host::new([probe().into_os_string()].into_iter().chain(arguments.iter().map(os)));
        let slate = host.environment(environment.iter().map(os)).run().slate();
        prop_assert_eq!(&slate.arguments[1..], arguments.iter().map(seen).collect::<Vec<_>>());
        prop_assert_eq!(slate.environment, environment.iter().map(seen).collect::<Vec<_>>());
    }
}
