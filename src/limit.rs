//! Resource limits: the names of the resources, the values of limits, and sets of them.

use core::fmt;

use linux_raw_sys::general::{RLIM_NLIMITS, RLIMIT_CPU, RLIMIT_NOFILE, RLIMIT_RTTIME, rlimit64};

use crate::text::{Text, count_texts, text_at};
use crate::value::{Arity, Kind, Mistake, Single, Value, require};

/// How many resources have limits.
pub const RESOURCES: usize = RLIM_NLIMITS as usize;

/// Their names, as prlimit(1) has them, each ended by a NUL: the same numbers on every architecture that relay has.
const NAMES: &str = "cpu\0fsize\0data\0stack\0core\0rss\0nproc\0nofile\0memlock\0as\0locks\0sigpending\0msgqueue\0nice\0\
    rtprio\0rttime\0";

const _: () = assert!(count_texts(NAMES) == RESOURCES && RLIMIT_CPU == 0 && RLIMIT_NOFILE == 7 && RLIMIT_RTTIME == 15);

/// The number of the resource that descriptors are.
pub const NOFILE: u32 = RLIMIT_NOFILE;

/// The name of a resource, by its number.
pub fn name(resource: u32) -> Text<'static> {
    text_at(NAMES, resource as usize)
}

/// A limit: a number in the resource's own unit (getrlimit(2)), or one of the values below, which no limit has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit(u64);

impl Limit {
    /// No limit.
    pub const UNLIMITED: Self = Self(u64::MAX);
    /// The hard limit as it is.
    pub const HARD: Self = Self(u64::MAX - 1);
    /// As it is, whichever of the two it is.
    pub const KEPT: Self = Self(u64::MAX - 2);

    /// The largest number.
    const MOST: u64 = u64::MAX - 3;

    /// A number. One too large to be a limit is no limit.
    pub const fn new(number: u64) -> Self {
        if number <= Self::MOST { Self(number) } else { Self::UNLIMITED }
    }

    /// The limit of descriptors: a number, or where no descriptor can have it, [`Self::HARD`].
    pub const fn of_descriptors(number: u32) -> Self {
        if number <= i32::MAX as u32 { Self(number as u64) } else { Self::HARD }
    }

    #[inline(never)]
    fn take(value: &mut Value, most: u64) -> Result<Self, Mistake> {
        if value.take_text(b"hard") { Ok(Self::HARD) } else { value.large_number(10, most).map(Self) }
    }

    fn take_any(value: &mut Value) -> Result<Self, Mistake> {
        if value.take_text(b"unlimited") { Ok(Self::UNLIMITED) } else { Self::take(value, Self::MOST) }
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, out: &mut fmt::Formatter) -> fmt::Result {
        match *self {
            Self::UNLIMITED => out.write_str("unlimited"),
            Self::HARD => out.write_str("hard"),
            Self::KEPT => Ok(()),
            Self(number) => number.fmt(out),
        }
    }
}

/// A soft and a hard limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The soft limit.
    pub soft: Limit,
    /// The hard limit.
    pub hard: Limit,
}

impl Limits {
    /// What the limits are to be where they are `present` now.
    pub const fn applied_to(self, present: rlimit64) -> rlimit64 {
        let rlim_max = match self.hard {
            Limit::HARD | Limit::KEPT => present.rlim_max,
            Limit(number) => number,
        };
        let rlim_cur = match self.soft {
            Limit::KEPT => present.rlim_cur,
            Limit::HARD => rlim_max,
            Limit(number) => number,
        };
        rlimit64 { rlim_cur, rlim_max }
    }
}

impl fmt::Display for Limits {
    fn fmt(&self, out: &mut fmt::Formatter) -> fmt::Result {
        write!(out, "{}:{}", self.soft, self.hard)
    }
}

/// The limit of descriptors, `SOFT[:HARD]`: a hard limit that is left out is as it is.
impl Single<'_> for Limits {
    fn take(value: &mut Value) -> Result<Self, Mistake> {
        let take = |value: &mut Value| Limit::take(value, i32::MAX as u64);
        let soft = take(value)?;
        let hard = if value.take(b':') { take(value)? } else { Limit::HARD };
        Ok(Self { soft, hard })
    }

    fn any(next: &mut dyn FnMut() -> u32) -> Self {
        Self { soft: Limit::of_descriptors(next()), hard: Limit::of_descriptors(next()) }
    }
}

/// Limits of resources, each `NAME=LIMIT` for both, `NAME=SOFT:` for the soft one, `NAME=:HARD` for the hard one, or
/// `NAME=SOFT:HARD`, as prlimit(1) takes them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LimitSet(heapless::Vec<(u8, Limits), RESOURCES>);

impl LimitSet {
    /// Sets the limits of a resource, by its number. One that does not exist is let be.
    pub fn set(&mut self, resource: u32, limits: Limits) {
        match self.0.iter_mut().find(|(number, _)| u32::from(*number) == resource) {
            Some(entry) => entry.1 = limits,
            None => _ = self.0.push((resource as u8, limits)),
        }
    }

    /// The resources that have limits here, by their numbers.
    pub fn iter(&self) -> impl Iterator<Item = (u32, Limits)> {
        self.0.iter().map(|&(resource, limits)| (resource.into(), limits))
    }
}

impl Kind<'_> for LimitSet {
    const ARITY: Arity = Arity::Required;

    fn read(&mut self, value: &mut Value) -> Result<(), Mistake> {
        let resource = value.take_word(NAMES, b'=').ok_or(Mistake::MALFORMED)?;
        require(value.take(b'='))?;
        let soft = if value.rest().first() == b':' { Limit::KEPT } else { Limit::take_any(value)? };
        let hard = match value.take(b':') {
            false => soft,
            true if value.rest().first() == 0 => Limit::KEPT,
            true => Limit::take_any(value)?,
        };
        require(soft != Limit::KEPT || hard != Limit::KEPT)?;
        self.set(resource as u32, Limits { soft, hard });
        Ok(())
    }

    fn write(&self, option: &str, add: &mut dyn FnMut(fmt::Arguments)) {
        for (resource, limits) in self.iter() {
            add(format_args!("{option}={}={limits}", name(resource)));
        }
    }

    /// Only such as no program fails for.
    fn any(next: &mut dyn FnMut() -> u32) -> Self {
        const HARMLESS: [u32; 5] = [4, 5, 10, 11, 12];
        let mut set = Self::default();
        for resource in HARMLESS {
            let soft = [Limit::KEPT, Limit::HARD, Limit::new(next().into()), Limit::UNLIMITED];
            let hard = [Limit::HARD, Limit::new(next().into())];
            let limits = Limits { soft: soft[next() as usize % 4], hard: hard[next() as usize % 2] };
            if next().is_multiple_of(2) {
                set.set(resource, limits);
            }
        }
        set
    }
}
