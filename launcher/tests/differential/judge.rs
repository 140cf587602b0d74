//! Whether all ways came to the same.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::Path;
use std::time::Instant;

use serde_json::Value;

use crate::host::Host;
use crate::request::{Ask, Request};
use crate::ways::{self, PATIENCE};

/// One thing in which ways differ.
#[derive(Clone, Debug)]
pub struct Difference {
    /// In what: a part of the slate, the error, or the outcome itself.
    pub field: String,
    /// What the ways came to, those together that came to the same.
    pub groups: Vec<(Vec<&'static str>, String)>,
    /// What kind of difference it is, the same for all of its kind.
    pub class: String,
}

impl fmt::Display for Difference {
    fn fmt(&self, out: &mut fmt::Formatter) -> fmt::Result {
        write!(out, "difference in {}", self.field)?;
        self.groups.iter().try_for_each(|(ways, what)| write!(out, "\n  {}: {what}", ways.join(", ")))
    }
}

/// The reason of a difference that is known and stays. The one place for them; each is documented for users too.
fn allowed(difference: &Difference, request: &Request, host: &Host) -> Option<&'static str> {
    if difference.class.starts_with("the order of environment") {
        return Some("variables that are set come first, in no order that is promised");
    }
    if difference.field == "what the error concerns" {
        return Some("where several descriptors cannot be had, any of them is named");
    }
    if difference.field == "/proc status Name" && request.asks.iter().any(|ask| matches!(ask, Ask::Execute(_))) {
        return Some("before Linux 6.14 the name is the number that the descriptor has at that moment");
    }
    let is_in_place_alone = difference.class.contains("InPlace: OomScore failed (13)");
    if is_in_place_alone && host.is_unprivileged() {
        return Some("a child in a host that is not dumpable owns no file in /proc before its exec");
    }
    let names_own =
        |ask: &Ask| matches!(ask, Ask::Directory(path) if path.to_string_lossy().starts_with("/proc/self/fd/"));
    if [OUTCOME, "message", "directory"].contains(&difference.field.as_str())
        && request.asks.iter().any(names_own)
        && request.asks.iter().any(Ask::keeps_inherited)
    {
        return Some("in place, what is close-on-exec is still open when the directory is changed");
    }
    if ![OUTCOME, "message"].contains(&difference.field.as_str()) {
        return None;
    }
    let all_fail_there = difference
        .groups
        .iter()
        .all(|(_, what)| what.contains("Directory failed") || what.contains("change to directory"));
    if all_fail_there && request.asks.iter().any(names_own) {
        return Some("what nobody asked for is closed, or is the library's own: no directory either way");
    }
    if has_two_mistakes(host, request) {
        return Some("of two mistakes, any is told");
    }
    None
}

/// Whether two parts of a request, or one of them and its program, fail on their own.
fn has_two_mistakes(host: &Host, request: &Request) -> bool {
    let fails = |program: &Path, asks: &[Ask]| {
        let alone = Request { program: program.to_owned(), asks: asks.to_vec(), ..request.clone() };
        ways::all(host)
            .into_iter()
            .filter_map(|way| way.run(host, &alone))
            .any(|launched| launched.outcome.has_failed())
    };
    let parts = request.asks.iter().filter(|&ask| fails(&host.task.probe, std::slice::from_ref(ask))).count();
    parts + usize::from(fails(&request.program, &[])) > 1
}

/// Launches the request by all ways. What came of each, nothing where a way has no words for it, and where they differ.
pub fn judge(host: &Host, request: &Request) -> (Vec<Option<ways::Launched>>, Vec<Difference>) {
    let ways = ways::all(host);
    let outcomes: Vec<_> = ways.iter().map(|way| way.run(host, request)).collect();
    let facts: Vec<_> = ways
        .iter()
        .zip(&outcomes)
        .filter_map(|(way, outcome)| Some((way.name(), outcome.as_ref()?.facts(way.is_line()))))
        .collect();
    let fields: BTreeSet<_> = facts.iter().flat_map(|(_, facts)| facts.keys().cloned()).collect();
    let mut differences: Vec<_> = fields.into_iter().filter_map(|field| difference(field, &facts)).collect();
    if differences.is_empty()
        && let Some(wrong) = outcomes.iter().flatten().find(|outcome| outcome.is_wrong())
    {
        let (what, class) = (wrong.to_string(), format!("all ways: {}", wrong.outcome.short()));
        differences.push(Difference { field: OUTCOME.to_owned(), groups: vec![(vec!["all"], what)], class });
    }
    differences.retain(|difference| allowed(difference, request, host).is_none());
    (outcomes, differences)
}

/// The name of the fact that says what came of a launch, in a few words.
pub const OUTCOME: &str = "outcome";

/// How the ways that tell this fact differ in it. Those that came to something else have no such fact.
fn difference(field: String, facts: &[(&'static str, BTreeMap<String, Value>)]) -> Option<Difference> {
    let mut groups: Vec<(Vec<&str>, &Value)> = Vec::new();
    for (way, value) in facts.iter().filter_map(|(way, facts)| Some((*way, facts.get(&field)?))) {
        match groups.iter_mut().find(|(_, of_group)| *of_group == value) {
            Some((ways, _)) => ways.push(way),
            None => groups.push((vec![way], value)),
        }
    }
    if groups.len() < 2 {
        return None;
    }
    let is_reordered =
        groups.iter().all(|(_, value)| sorted(value).is_some_and(|all| Some(all) == sorted(groups[0].1)));
    let sides: Vec<_> = groups
        .iter()
        .map(|(ways, value)| {
            let ways = ways.join(", ");
            if field == OUTCOME { format!("{ways}: {}", value.as_str().unwrap_or_default()) } else { ways }
        })
        .collect();
    let class = format!("{}{field} ({})", if is_reordered { "the order of " } else { "" }, sides.join(" | "));
    let groups = groups.into_iter().map(|(ways, value)| (ways, value.to_string())).collect();
    Some(Difference { field, groups, class })
}

/// A list in an order of its own.
fn sorted(value: &Value) -> Option<Vec<String>> {
    let mut all: Vec<_> = value.as_array()?.iter().map(Value::to_string).collect();
    all.sort();
    Some(all)
}

/// The smallest request that still shows a difference of this class.
pub fn shrink(host: &Host, request: &Request, class: &str) -> Request {
    let mut smallest = request.clone();
    let shows = |request: &Request| {
        let (_, differences) = judge(host, request);
        differences.iter().any(|difference| difference.class == class)
    };
    // What hangs takes long each time.
    let deadline = Instant::now() + PATIENCE;
    while let Some(smaller) =
        smallest.smaller(host).into_iter().find(|smaller| Instant::now() < deadline && shows(smaller))
    {
        smallest = smaller;
    }
    smallest
}
