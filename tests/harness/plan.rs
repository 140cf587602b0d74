//! The pure parts against simple models.

use std::array;
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::CString;

use exec_relay::fd_plan::{FdPlan, MOST};
use exec_relay::sys::first_entry;
use exec_relay::text::Text;
use exec_relay::value;
use proptest::prelude::*;

use crate::moves::{Table, make_moves};

/// What each number is after all moves of a plan, where each open one was its own number before.
fn moved(renames: &BTreeMap<i32, i32>, open: &BTreeSet<i32>) -> Table {
    let mut plan = FdPlan::default();
    for (&target, &source) in renames {
        plan.rename(target, source).expect("room");
    }
    let mut table: Table = open.iter().map(|&number| (number, number)).collect();
    make_moves(&mut plan, &mut table, renames.len());
    table
}

/// The gaps as the plan visits them, where it keeps these ranges.
fn gaps(kept: &[(i32, i32)]) -> Vec<(u32, u32)> {
    let mut plan = FdPlan::default();
    for &(first, last) in kept {
        plan.keep_all(first, last).expect("room");
    }
    let mut gaps = Vec::new();
    let visited: Result<(), ()> = plan.try_for_each_gap(|first, last| {
        gaps.push((first, last));
        Ok(())
    });
    visited.expect("nothing failed");
    gaps
}

#[test]
fn gaps_at_the_ends() {
    assert_eq!(gaps(&[]), [(3, u32::MAX)]);
    assert_eq!(gaps(&[(0, 3)]), [(4, u32::MAX)]);
    assert_eq!(gaps(&[(5, 5), (3, 3), (5, 5)]), [(4, 4), (6, u32::MAX)]);
    assert_eq!(gaps(&[(5, 9), (3, 6), (8, 12)]), [(13, u32::MAX)]);
    assert_eq!(gaps(&[(i32::MAX - 1, i32::MAX)]), [(3, i32::MAX as u32 - 2), (i32::MAX as u32 + 1, u32::MAX)]);
    assert_eq!(gaps(&[(0, i32::MAX)]), [(i32::MAX as u32 + 1, u32::MAX)]);
}

#[test]
fn no_more_than_a_plan_holds() {
    let mut plan = FdPlan::default();
    for descriptor in 3..3 + MOST as i32 {
        plan.keep(descriptor).expect("room");
    }
    assert!(plan.keep(1000).is_err());
    // For what relay itself needs there is.
    plan.keep_until_exec(1000);
    plan.keep_until_exec(1001);
    assert!(plan.keeps(1000) && plan.keeps(1001));
}

#[test]
fn visiting_stops_at_the_first_failure() {
    let mut plan = FdPlan::default();
    plan.keep(10).expect("room");
    let mut visited = 0;
    let outcome = plan.try_for_each_gap(|_, _| {
        visited += 1;
        Err("refused")
    });
    assert_eq!((outcome, visited), (Err("refused"), 1));
}

/// What a program's descriptor is to be.
#[derive(Clone, Copy)]
enum Asked {
    Nothing,
    Closed,
    Source(i32),
}

/// Every plan for the numbers 0 to 4, whichever of them are open.
#[test]
fn every_small_plan_is_right() {
    const NUMBERS: usize = 5;
    let choices = [Asked::Nothing, Asked::Closed].into_iter().chain((0..NUMBERS as i32).map(Asked::Source));
    let choices: Vec<_> = choices.collect();
    let mut plans = 0;
    for code in 0..choices.len().pow(NUMBERS as u32) {
        let asked: [Asked; NUMBERS] =
            array::from_fn(|number| choices[code / choices.len().pow(number as u32) % choices.len()]);
        for open in 0..1 << NUMBERS {
            let table: Table = (0..NUMBERS as i32).filter(|number| open & 1 << number != 0).map(|n| (n, n)).collect();
            let is_open = |asked: &Asked| !matches!(asked, Asked::Source(source) if !table.contains_key(source));
            if asked.iter().all(is_open) {
                assert_eq!(carried_out(&asked, table.clone()), expected(&asked, &table), "{code}, open {open}");
                plans += 1;
            }
        }
    }
    // With k of them open, 2 + k choices for each number.
    assert_eq!(plans, 98_424);
}

/// What the program has.
fn carried_out(asked: &[Asked], mut table: Table) -> Table {
    let mut plan = FdPlan::default();
    for (target, asked) in (0..).zip(asked) {
        match *asked {
            Asked::Nothing => Ok(()),
            Asked::Closed => plan.close(target),
            Asked::Source(source) => plan.rename(target, source),
        }
        .expect("it is asked for once");
    }
    make_moves(&mut plan, &mut table, asked.len());
    let closed: Result<(), ()> = plan.try_for_each_gap(|first, last| {
        table.retain(|&number, _| !(first..=last).contains(&(number as u32)));
        Ok(())
    });
    closed.expect("nothing failed");
    table
}

/// The same, by the rules.
fn expected(asked: &[Asked], table: &Table) -> Table {
    let program = (0..).zip(asked).filter_map(|(number, asked)| match *asked {
        Asked::Source(source) => Some((number, source)),
        // Only the standard ones stay unasked.
        Asked::Nothing if number < 3 && table.contains_key(&number) => Some((number, number)),
        Asked::Nothing | Asked::Closed => None,
    });
    program.collect()
}

/// A `struct linux_dirent64` of 24 bytes that says it has `length`, with a name.
fn entry(length: u16, name: [u8; 5]) -> Vec<u8> {
    [&[1; 16][..], &length.to_ne_bytes(), &[4], &name].concat()
}

#[test]
fn entries_of_a_directory() {
    let whole = entry(24, *b"255\0x");
    let name = |bytes: &[u8]| first_entry(bytes).map(|(name, length)| (name.as_c_str().to_owned(), length));
    assert_eq!(name(&whole), Some((c"255".to_owned(), 24)));
    // The next one begins behind it.
    assert_eq!(name(&[&whole[..], &whole[..20]].concat()), Some((c"255".to_owned(), 24)));
    for length in 0..24 {
        assert_eq!(name(&whole[..length]), None, "{length} bytes of it");
    }
    for (length, name_bytes) in [(0, *b"255\0x"), (19, *b"255\0x"), (25, *b"255\0x"), (24, *b"25555"), (22, *b"255\0x")]
    {
        assert_eq!(name(&entry(length, name_bytes)), None, "{length} bytes, {name_bytes:?}");
    }
}

fn decimal(text: &str) -> Option<i32> {
    let text = CString::new(text).expect("no NUL, which no argument can hold");
    value::decimal(Text::from(&*text))
}

fn descriptor() -> impl Strategy<Value = i32> {
    // Close together, so that they meet, and up to the highest number.
    prop_oneof![0..40_i32, 1000..1010_i32, (i32::MAX - 5)..=i32::MAX]
}

fn ranges() -> impl Strategy<Value = Vec<(i32, i32)>> {
    let range = (descriptor(), prop_oneof![Just(0), 0..10_i32]);
    prop::collection::vec(range.prop_map(|(first, more)| (first, first.saturating_add(more))), 0..30)
}

fn has(ranges: &[(i32, i32)], descriptor: i32) -> bool {
    ranges.iter().any(|&(first, last)| (first..=last).contains(&descriptor))
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn gaps_are_all_that_is_not_kept(kept in ranges()) {
        let numbers = kept.iter().flat_map(|&(first, last)| first as u32..=last as u32);
        let staying: BTreeSet<u32> = numbers.chain(0..3).collect();
        let gaps = gaps(&kept);
        // Rising, and never two that touch: as few calls as can be.
        prop_assert!(gaps.iter().all(|(first, last)| first <= last));
        prop_assert!(gaps.windows(2).all(|pair| pair[0].1 + 1 < pair[1].0));
        let covered: u64 = gaps.iter().map(|&(first, last)| u64::from(last - first) + 1).sum();
        prop_assert_eq!(covered + staying.len() as u64, 1 << 32);
        for number in staying {
            prop_assert!(gaps.iter().all(|&(first, last)| number < first || last < number), "{} is in a gap", number);
        }
    }

    #[test]
    fn all_renames_happen_at_once(renames in prop::collection::btree_map(0..12_i32, 0..12_i32, 0..12)) {
        let table = moved(&renames, &(0..12).collect());
        for (target, source) in renames {
            prop_assert_eq!(table[&target], source);
        }
    }

    #[test]
    fn a_plan_keeps_what_it_was_told(kept in ranges(), asked in prop::collection::vec(descriptor(), 0..60)) {
        let mut plan = FdPlan::default();
        for &(first, last) in &kept {
            plan.keep_all(first, last).expect("room");
        }
        for descriptor in asked {
            prop_assert_eq!(plan.keeps(descriptor), descriptor < 3 || has(&kept, descriptor));
            // What is kept cannot be anything else.
            let renamed = plan.clone().rename(descriptor, 2000);
            prop_assert_eq!(renamed.is_err(), has(&kept, descriptor));
            prop_assert_eq!(plan.clone().close(descriptor).is_err(), has(&kept, descriptor));
        }
    }

    #[test]
    fn decimal_numbers(text in prop_oneof!["[0-9]{0,12}", "[0-9+ x-]{0,6}", r"[^\x00]*"]) {
        let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        // The standard library's parser takes a sign; ours does not.
        let expected = if digits { text.parse::<i32>().ok() } else { None };
        prop_assert_eq!(decimal(&text), expected);
    }

    #[test]
    fn every_number_reads_back(number in 0..=i32::MAX) {
        prop_assert_eq!(decimal(&number.to_string()), Some(number));
    }
}
