//! Environment and argv[0], edited in place.

use std::collections::BTreeMap;

use proptest::prelude::*;

use crate::host::{Host, Outcome, probe};

/// The program's environment in order, for it may be in any.
fn sorted(outcome: &Outcome) -> Vec<String> {
    let mut environment = outcome.slate().environment;
    environment.sort_unstable();
    environment
}

fn host(options: &[&str]) -> Host {
    Host::new(options.iter().copied().chain([probe().to_str().expect("UTF-8"), "an argument", ""]))
}

#[test]
fn set_unset_and_cleared() {
    let inherited = ["A=1", "B=2", "AB=3", "A_=4"];
    for (options, expected) in [
        (&["--env", "C=5"][..], &["A=1", "AB=3", "A_=4", "B=2", "C=5"][..]),
        (&["--env=A=5"], &["A=5", "AB=3", "A_=4", "B=2"]),
        (&["--env=A="], &["A=", "AB=3", "A_=4", "B=2"]),
        (&["--env=A=b=c"], &["A=b=c", "AB=3", "A_=4", "B=2"]),
        (&["--unset=A"], &["AB=3", "A_=4", "B=2"]),
        (&["--unset", "NONE"], &["A=1", "AB=3", "A_=4", "B=2"]),
        (&["--clear-env"], &[]),
        (&["--clear-env", "--env=X=1", "--env=Y=2"], &["X=1", "Y=2"]),
        // In the order clear, unset, set, whatever the order on the line.
        (&["--env=X=1", "--clear-env"], &["X=1"]),
        (&["--env=A=5", "--unset=A", "--unset=B"], &["A=5", "AB=3", "A_=4"]),
        // The last one counts.
        (&["--env=X=1", "--env=X=2", "--env=Y=3"], &["AB=3", "A=1", "A_=4", "B=2", "X=2", "Y=3"]),
    ] {
        let outcome = host(options).environment(inherited).run();
        let mut expected: Vec<_> = expected.iter().map(ToString::to_string).collect();
        expected.sort_unstable();
        assert_eq!(sorted(&outcome), expected, "{options:?}");
        assert_eq!(outcome.slate().arguments[1..], ["an argument", ""], "{options:?}");
    }
}

#[test]
fn malformed() {
    for option in ["--env=", "--env=A", "--env==1", "--unset=", "--unset=A=1"] {
        let outcome = host(&[option]).run();
        assert_eq!(outcome.status.code(), Some(125));
        outcome.assert_misused(option);
    }
}

#[test]
fn a_name_other_than_the_path() {
    let outcome = host(&["--argv0", "-sh"]).run();
    assert_eq!(outcome.slate().arguments, ["-sh", "an argument", ""]);
    let outcome = host(&["--argv0="]).run();
    assert_eq!(outcome.slate().arguments, ["", "an argument", ""]);
    let outcome = Host::new(["--argv0=other", "--env=A=1", "/no/such", "x"]).run();
    assert_eq!(outcome.stderr, "relay: cannot start /no/such: no such file (ENOENT)\n", "what is told is the path");
}

/// 200 KiB, of which one is set, one unset and one replaced.
#[test]
fn a_large_environment() {
    let inherited: Vec<_> = (0..2000).map(|index| format!("NAME_{index}={}", "x".repeat(90))).collect();
    let outcome = host(&["--env=NEW=1", "--unset=NAME_0", "--env=NAME_1999=2"]).environment(&inherited).run();
    let mut expected: Vec<_> = inherited[1..1999].to_vec();
    expected.extend(["NEW=1".to_owned(), "NAME_1999=2".to_owned()]);
    expected.sort_unstable();
    assert_eq!(sorted(&outcome), expected);
}

/// As many as the kernel takes, on both sides of the NULL.
#[test]
fn thousands_of_variables_and_arguments() {
    let variables: Vec<_> = (0..2000).map(|index| format!("--env=V{index}={index}")).collect();
    let program = probe();
    let arguments = (0..20_000).map(|index| index.to_string());
    let line = variables.iter().cloned().chain([program.to_str().expect("UTF-8").to_owned()]).chain(arguments.clone());
    let outcome = Host::new(line).environment(["V7=old"]).run();
    let mut expected: Vec<_> = (0..2000).map(|index| format!("V{index}={index}")).collect();
    expected.sort_unstable();
    assert_eq!(sorted(&outcome), expected);
    assert!(outcome.slate().arguments[1..].iter().cloned().eq(arguments));
}

/// Of 40,000 that are set, a name each or all of one, and as many that are unset: more than could be compared with each
/// other in the time that a launch may take.
#[test]
fn tens_of_thousands_of_edits() {
    let inherited: Vec<_> = (0..20_000).map(|index| format!("V{index}=old")).chain(["KEPT=1".to_owned()]).collect();
    let run = |edits: Vec<String>, expected: &[String]| {
        let program = probe();
        let line = edits.into_iter().chain([program.to_str().expect("UTF-8").to_owned()]);
        let outcome = Host::new(line).environment(&inherited).run();
        let mut expected = expected.to_vec();
        expected.push("KEPT=1".to_owned());
        expected.sort_unstable();
        assert_eq!(sorted(&outcome), expected);
    };
    let set = |index: usize| format!("V{}={index}", index * 7_919 % 20_000);
    // Each name twice: the later one counts.
    let last: Vec<_> = (20_000..40_000).map(set).collect();
    run((0..40_000).map(|index| format!("--env={}", set(index))).collect(), &last);
    run((0..20_000).map(|index| format!("--unset=V{index}")).collect(), &[]);
    let rest: Vec<_> = (1..20_000).map(|index| format!("V{index}=old")).collect();
    run(
        (0..40_000).map(|index| format!("--env=V0={index}")).collect(),
        &[&rest[..], &["V0=39999".to_owned()]].concat(),
    );
}

#[derive(Clone, Debug)]
enum Edit {
    Clear,
    Unset(String),
    Set(String, String),
}

fn edits() -> impl Strategy<Value = Vec<Edit>> {
    let edit = prop_oneof![
        1 => Just(Edit::Clear),
        4 => "[a-c]{1,2}".prop_map(Edit::Unset),
        8 => ("[a-c]{1,2}", "[x=]{0,3}").prop_map(|(name, value)| Edit::Set(name, value)),
    ];
    prop::collection::vec(edit, 0..10)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_edits(inherited in prop::collection::btree_map("[a-c]{1,2}", "[x=]{0,3}", 0..8), edits in edits()) {
        let mut expected: BTreeMap<String, String> = inherited.clone();
        if edits.iter().any(|edit| matches!(edit, Edit::Clear)) {
            expected.clear();
        }
        for edit in &edits {
            if let Edit::Unset(name) = edit {
                expected.remove(name);
            }
        }
        let mut options = Vec::new();
        for edit in edits {
            match edit {
                Edit::Clear => options.push("--clear-env".to_owned()),
                Edit::Unset(name) => options.push(format!("--unset={name}")),
                Edit::Set(name, value) => {
                    options.extend(["--env".to_owned(), format!("{name}={value}")]);
                    expected.insert(name, value);
                }
            }
        }
        let options: Vec<_> = options.iter().map(String::as_str).collect();
        let inherited = inherited.iter().map(|(name, value)| format!("{name}={value}"));
        let outcome = host(&options).environment(inherited).run();
        let mut expected: Vec<_> = expected.iter().map(|(name, value)| format!("{name}={value}")).collect();
        expected.sort_unstable();
        prop_assert_eq!(sorted(&outcome), expected);
        prop_assert_eq!(&outcome.slate().arguments[1..], ["an argument", ""]);
    }
}
