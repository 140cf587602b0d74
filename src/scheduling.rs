//! What a program is scheduled by: policy, processors, I/O class.

use core::fmt;

use linux_raw_sys::general::{SCHED_BATCH, SCHED_FIFO, SCHED_IDLE, SCHED_NORMAL, SCHED_RR};

use crate::text::{Text, text_at};
use crate::value::{Mistake, Single, Value, require};

/// The names of scheduling policies, each ended by a NUL, by their numbers; see sched(7). 4 is reserved.
const POLICIES: &str = "other\0fifo\0rr\0batch\0iso\0idle\0deadline\0ext\0";

/// The name of a scheduling policy; empty for one that is newer than relay.
pub fn policy_name(policy: u32) -> Text<'static> {
    text_at(POLICIES, policy as usize)
}

/// A scheduling policy and its static priority, `other`, `batch`, `idle`, or `fifo:1` to `rr:99`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scheduling {
    policy: u32,
    priority: u32,
}

impl Scheduling {
    /// SCHED_OTHER, which a fresh process has.
    pub const OTHER: Self = Self { policy: SCHED_NORMAL, priority: 0 };

    /// The kernel's number of the policy.
    pub const fn policy(self) -> u32 {
        self.policy
    }

    /// The static priority, 0 where the policy has none.
    pub const fn priority(self) -> u32 {
        self.priority
    }
}

impl Single<'_> for Scheduling {
    fn take(value: &mut Value) -> Result<Self, Mistake> {
        let policy = value.take_word(POLICIES, b':').ok_or(Mistake::MALFORMED)? as u32;
        let priority = match policy {
            SCHED_FIFO | SCHED_RR => {
                require(value.take(b':'))?;
                value.signed(1, 99)? as u32
            }
            SCHED_NORMAL | SCHED_BATCH | SCHED_IDLE => 0,
            _ => return Err(Mistake::MALFORMED),
        };
        Ok(Self { policy, priority })
    }

    fn any(next: &mut dyn FnMut() -> u32) -> Self {
        let all = [(SCHED_NORMAL, 0), (SCHED_FIFO, 1), (SCHED_RR, 99), (SCHED_BATCH, 0), (SCHED_IDLE, 0)];
        let (policy, priority) = all[next() as usize % all.len()];
        Self { policy, priority }
    }
}

impl fmt::Display for Scheduling {
    fn fmt(&self, out: &mut fmt::Formatter) -> fmt::Result {
        policy_name(self.policy()).fmt(out)?;
        if self.priority == 0 { Ok(()) } else { write!(out, ":{}", self.priority) }
    }
}

/// The names of I/O classes, each ended by a NUL, by their numbers; see ioprio_set(2).
const IO_CLASSES: &str = "none\0realtime\0best-effort\0idle\0";

/// The name of an I/O class; empty for one that is newer than relay.
pub fn io_class_name(class: u32) -> Text<'static> {
    text_at(IO_CLASSES, class as usize)
}

/// An I/O class and its level: `none`, `idle`, or `realtime` or `best-effort`, each with `:0` to `:7` after it, which is
/// `:4` where it is left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IoClass(u32);

/// How many bits the level has below the class.
const LEVEL_BITS: u32 = 13;

impl IoClass {
    /// None, which a fresh process has: the kernel goes by the nice value.
    pub const NONE: Self = Self(0);

    /// From the kernel's number of it.
    pub const fn from_number(number: u32) -> Self {
        Self(number)
    }

    /// As the kernel has it, the class above 13 bits of level.
    pub const fn number(self) -> u32 {
        self.0
    }

    /// The class alone.
    pub const fn class(self) -> u32 {
        self.0 >> LEVEL_BITS
    }

    /// The level, where the class has some.
    pub const fn level(self) -> Option<u32> {
        if Self::has_levels(self.class()) { Some(self.0 & ((1 << LEVEL_BITS) - 1)) } else { None }
    }

    const fn new(class: u32, level: u32) -> Self {
        Self(class << LEVEL_BITS | level)
    }

    const fn has_levels(class: u32) -> bool {
        matches!(class, 1 | 2)
    }
}

impl Single<'_> for IoClass {
    fn take(value: &mut Value) -> Result<Self, Mistake> {
        let class = value.take_word(IO_CLASSES, b':').ok_or(Mistake::MALFORMED)? as u32;
        let level = if !Self::has_levels(class) {
            0
        } else if value.take(b':') {
            value.signed(0, 7)? as u32
        } else {
            4
        };
        Ok(Self::new(class, level))
    }

    fn any(next: &mut dyn FnMut() -> u32) -> Self {
        let class = next() % 4;
        Self::new(class, if Self::has_levels(class) { next() % 8 } else { 0 })
    }
}

impl fmt::Display for IoClass {
    fn fmt(&self, out: &mut fmt::Formatter) -> fmt::Result {
        io_class_name(self.class()).fmt(out)?;
        self.level().map_or(Ok(()), |level| write!(out, ":{level}"))
    }
}

/// How many processors the kernel can be built for, on any architecture.
pub const MOST_PROCESSORS: usize = 8192;

/// A set of processors as the kernel has it, a bit each.
pub type ProcessorMask = [usize; MOST_PROCESSORS / usize::BITS as usize];

/// The empty set.
pub const NO_PROCESSORS: ProcessorMask = [0; MOST_PROCESSORS / usize::BITS as usize];

/// The processors that a program may run on: `all`, or a list as taskset(1) takes it, `0,5,8-11,16-30:2`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Processors<'s> {
    /// All that the cpuset allows.
    All,
    /// Those in a list that has been read without a mistake.
    List(Text<'s>),
}

impl Processors<'_> {
    /// Adds them to a mask.
    pub fn add_to(self, mask: &mut ProcessorMask) {
        match self {
            Self::All => mask.fill(usize::MAX),
            Self::List(list) => {
                // There is no mistake: it was read before.
                let _ = read_list(&mut Value::new(list), &mut |processor| {
                    if let Some(word) = mask.get_mut(processor / usize::BITS as usize) {
                        *word |= 1_usize.wrapping_shl(processor as u32);
                    }
                });
            }
        }
    }
}

/// Takes a list, and hands each number to `add`.
#[inline(never)]
fn read_list(list: &mut Value, add: &mut dyn FnMut(usize)) -> Result<(), Mistake> {
    const HIGHEST: i32 = MOST_PROCESSORS as i32 - 1;
    loop {
        let first = list.signed(0, HIGHEST)?;
        let (mut last, mut stride) = (first, 1);
        if list.take(b'-') {
            last = list.signed(first, HIGHEST)?;
            if list.take(b':') {
                stride = list.signed(1, HIGHEST)?;
            }
        }
        let mut processor = first;
        while processor <= last {
            add(processor as usize);
            processor += stride;
        }
        if !list.take(b',') {
            return Ok(());
        }
    }
}

impl<'s> Single<'s> for Processors<'s> {
    fn take(value: &mut Value<'s>) -> Result<Self, Mistake> {
        if value.take_text(b"all") {
            return Ok(Self::All);
        }
        let list = value.rest();
        read_list(value, &mut |_| {})?;
        Ok(Self::List(list))
    }

    fn any(next: &mut dyn FnMut() -> u32) -> Self {
        let lists = [c"0", c"0-1", c"1,0", c"0-8191", c"0-10:3"];
        lists.get(next() as usize % 6).map_or(Self::All, |&list| Self::List(list.into()))
    }
}

impl fmt::Display for Processors<'_> {
    fn fmt(&self, out: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Self::All => out.write_str("all"),
            Self::List(list) => list.fmt(out),
        }
    }
}
