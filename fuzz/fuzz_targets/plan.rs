//! The plan of descriptors against a model of it: a table of files, and what was asked for.

#![no_main]

use std::collections::{BTreeMap, BTreeSet};

use arbitrary::{Arbitrary, Result, Unstructured};
use exec_relay::fd_plan::{FdPlan, MOST};
use libfuzzer_sys::fuzz_target;

use moves::{Table, make_moves};

#[path = "../../tests/harness/moves.rs"]
mod moves;

/// Numbers up to here are open or not; those above are all closed.
const NUMBERS: i32 = 24;

/// A descriptor: most of them close together, so that they meet.
#[derive(Clone, Copy, Debug)]
struct Number(i32);

impl Arbitrary<'_> for Number {
    fn arbitrary(input: &mut Unstructured) -> Result<Self> {
        let byte = i32::from(u8::arbitrary(input)?);
        Ok(Self(match byte {
            0..200 => byte % NUMBERS,
            200..228 => 1000 + byte,
            _ => i32::MAX - (255 - byte),
        }))
    }
}

#[derive(Arbitrary, Debug)]
enum Asking {
    Rename(Number, Number),
    Keep(Number, u8),
    Close(Number),
}

#[derive(Arbitrary, Debug)]
struct Input {
    open: u32,
    asked: Vec<Asking>,
    until_exec: [Option<Number>; 2],
}

/// What was asked for, by the rules.
#[derive(Default)]
struct Model {
    /// What the program's descriptor is now; none where it is to be closed.
    renamed: BTreeMap<i32, Option<i32>>,
    kept: Vec<(i32, i32)>,
}

impl Model {
    fn keeps(&self, number: i32) -> bool {
        self.is_kept_as_asked(number) || number < 3 && !self.renamed.contains_key(&number)
    }

    fn is_kept_as_asked(&self, number: i32) -> bool {
        self.kept.iter().any(|&(first, last)| (first..=last).contains(&number))
    }

    fn source(&self, number: i32) -> Option<i32> {
        if self.keeps(number) { Some(number) } else { self.renamed.get(&number).copied().flatten() }
    }
}

const EEXIST: u32 = 17;
const EMFILE: u32 = 24;

fuzz_target!(|input: Input| {
    let (mut plan, mut model) = (FdPlan::default(), Model::default());
    for asking in &input.asked {
        match *asking {
            Asking::Rename(Number(target), Number(source)) if target != source => {
                let is_taken = model.renamed.contains_key(&target) || model.is_kept_as_asked(target);
                if asked(plan.rename(target, source), is_taken) {
                    model.renamed.insert(target, Some(source));
                }
            }
            Asking::Rename(Number(target), _) => keep(&mut plan, &mut model, target, target),
            Asking::Keep(Number(first), more) => keep(&mut plan, &mut model, first, first.saturating_add(more.into())),
            Asking::Close(Number(target)) => {
                let is_taken = model.renamed.contains_key(&target) || model.is_kept_as_asked(target);
                if asked(plan.close(target), is_taken) {
                    model.renamed.insert(target, None);
                }
            }
        }
    }
    assert_says_what_was_asked(&plan, &model);

    // What is needed until exec is out of the way of what is renamed: src/steps/rename.rs sees to that.
    for Number(number) in input.until_exec.into_iter().flatten() {
        if !plan.is_renamed(number) {
            let mut plan = plan.clone();
            plan.keep_until_exec(number);
            assert!(plan.keeps(number));
        }
    }

    let is_open = |number: &i32| input.open & 1 << number != 0;
    let sources: BTreeSet<i32> = model.renamed.values().copied().flatten().collect();
    let open: Table = (0..NUMBERS).filter(is_open).chain(sources).map(|number| (number, number)).collect();
    let mut table = open.clone();
    let renames = model.renamed.values().flatten().count();
    make_moves(&mut plan, &mut table, renames);
    close(&plan, &mut table);
    let mut expected = BTreeMap::new();
    for number in open.keys().chain(model.renamed.keys()) {
        if let Some(file) = model.source(*number).and_then(|source| open.get(&source)) {
            expected.insert(*number, *file);
        }
    }
    assert_eq!(table, expected);
});

fn keep(plan: &mut FdPlan, model: &mut Model, first: i32, last: i32) {
    let is_taken = model.renamed.range(first..=last).next().is_some();
    if asked(plan.keep_all(first, last), is_taken) {
        model.kept.push((first, last));
    }
}

/// Whether the plan has taken it. It refuses what `is_taken`, and else only where it is full.
fn asked(outcome: std::result::Result<(), exec_relay::errno::Errno>, is_taken: bool) -> bool {
    match outcome {
        Ok(()) => assert!(!is_taken),
        Err(errno) if is_taken => assert_eq!(errno.number(), EEXIST),
        Err(errno) => assert_eq!(errno.number(), EMFILE),
    }
    outcome.is_ok()
}

fn assert_says_what_was_asked(plan: &FdPlan, model: &Model) {
    let numbers = model.renamed.keys().copied().chain(model.kept.iter().flat_map(|&(first, last)| [first, last]));
    for number in numbers.chain(0..NUMBERS) {
        assert_eq!(plan.keeps(number), model.keeps(number), "{number}");
        assert_eq!(plan.has(number), model.source(number).is_some(), "{number}");
        let renamed = matches!(model.renamed.get(&number), Some(Some(_)));
        assert_eq!(plan.is_renamed(number), renamed, "{number}");
        let is_source = model.keeps(number) || model.renamed.values().any(|&source| source == Some(number));
        assert_eq!(plan.is_source(number), is_source, "{number}");
    }
    let closed: BTreeSet<_> = plan.closed().collect();
    assert!(closed.iter().eq(model.renamed.iter().filter(|(_, source)| source.is_none()).map(|(number, _)| number)));
    // The two that a launcher needs itself always find room and a number that nothing else has.
    let (mut plan, mut taken) = (plan.clone(), None);
    for source in [2000, 2001] {
        let number = plan.clone().add_beside(source, 3, taken);
        let number = number.expect("room");
        assert!(number >= 3 && taken != Some(number) && !plan.is_target(number) && !plan.is_source(number));
        assert_eq!(plan.add_beside(source, 3, taken).expect("room"), number);
        taken = Some(number);
    }
    assert!(model.renamed.len() <= 3 + MOST);
}

/// Closes what is in the gaps, which rise, do not touch, and are all that is not kept.
fn close(plan: &FdPlan, table: &mut Table) {
    let mut end = 0;
    let visited: std::result::Result<(), ()> = plan.try_for_each_gap(|first, last| {
        assert!(first <= last && (first > end || end == 0));
        end = last.saturating_add(1);
        table.retain(|&number, _| {
            let is_in_gap = (first..=last).contains(&(number as u32));
            assert!(!is_in_gap || !plan.keeps(number));
            !is_in_gap
        });
        Ok(())
    });
    visited.expect("nothing failed");
    assert_eq!(end, u32::MAX, "the last one has no end");
    assert!(table.keys().all(|&number| plan.keeps(number)));
}
