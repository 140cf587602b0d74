//! Timer slack.

use linux_raw_sys::prctl::PR_SET_TIMERSLACK;

use crate::attribute::{Attribute, AttributeSet};
use crate::status::{Failure, Step};
use crate::sys;
use crate::value::Number;

/// What a fresh process has, in nanoseconds. By number: 0 would be what this process was forked with (prctl(2)).
const DEFAULT: i32 = 50_000;

/// Sets it, in nanoseconds. After the policy: the kernel lets that of a real-time one be 0, and looks at no other.
pub fn set(slack: Option<Number<1, { i32::MAX }>>, reset: AttributeSet) -> Result<(), Failure> {
    let Some(slack) = reset.or(slack, Attribute::TimerSlack, Number::fixed(DEFAULT)) else { return Ok(()) };
    let set = sys::set_attribute(PR_SET_TIMERSLACK, slack.get() as u32);
    set.map_err(|errno| Failure::new(Step::TimerSlack, errno, 0))
}
