//! Whether all ways came to the same.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Instant;

use serde_json::Value;

use crate::host::Host;
use crate::request::Request;
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
fn allowed(_difference: &Difference, _request: &Request, _host: &Host) -> Option<&'static str> {
    None
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
