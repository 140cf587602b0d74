//! The out-of-memory score.

use crate::attribute::{Attribute, AttributeSet};
use crate::own_file;
use crate::status::{Failure, Step};
use crate::value::Number;

/// Writes it to /proc/self/oom_score_adj.
pub fn write(score: Option<Number<-1000, 1000>>, reset: AttributeSet) -> Result<(), Failure> {
    let Some(score) = reset.or(score, Attribute::OomScore, Number::fixed(0)) else { return Ok(()) };
    let written = own_file::write_number(c"/proc/self/oom_score_adj", score.get());
    written.map_err(|errno| Failure::new(Step::OomScore, errno, 0))
}
