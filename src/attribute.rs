//! The attributes of a process that have a default of the kernel's, which `--reset` gives them back.

use core::fmt;

use crate::enum_of_texts;
use crate::text::Text;
use crate::value::{Arity, Kind, Mistake, Value};

enum_of_texts! {
    /// An attribute, by the word that `--reset` has for it. Positions are public numbers, which are added to and never
    /// reused: a record has them.
    pub enum Attribute {
        /// The nice value: 0. As `--nice`.
        Nice = "nice",
        /// Scheduling policy, priority and reset-on-fork: SCHED_OTHER. As `--sched`.
        Scheduling = "sched",
        /// Processors: all that the cpuset allows. As `--cpus`.
        Processors = "cpus",
        /// I/O class: none. As `--ionice`.
        IoClass = "ionice",
        /// Timer slack: 50,000 ns. As `--timer-slack`.
        TimerSlack = "timer-slack",
        /// Out-of-memory score adjustment: 0. As `--oom-score-adj`.
        OomScore = "oom-score-adj",
        /// Parent-death signal: none.
        ParentDeath = "parent-death",
        /// Memory policy: the default.
        MemoryPolicy = "mempolicy",
        /// Which memory a core dump has: 0x33.
        CoredumpFilter = "coredump-filter",
        /// Personality: 0.
        Personality = "personality",
        /// Speculation controls: as booted.
        Speculation = "speculation",
        /// Transparent huge pages: not switched off.
        HugePages = "thp",
        /// Merging of equal pages: off.
        Merging = "ksm",
        /// Reading the time-stamp counter: allowed.
        TimeStampCounter = "tsc",
        /// Machine-check policy: the system's.
        MachineCheck = "mce-kill",
        /// Child subreaper: no.
        Subreaper = "subreaper",
        /// I/O flusher: no.
        IoFlusher = "io-flusher",
    }
}

impl Attribute {
    /// The attribute with this public number; nothing where this version has none.
    pub fn from_number(number: u32) -> Option<Self> {
        Self::ALL.get(usize::try_from(number).ok()?).copied()
    }

    /// Whether it belongs to the memory rather than the process, so that a child which shares its memory with others would
    /// change theirs.
    pub const fn is_of_memory(self) -> bool {
        matches!(self, Self::CoredumpFilter | Self::HugePages | Self::Merging)
    }
}

/// A set of attributes, `thp,nice` or `all`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AttributeSet(u32);

const _: () = assert!(Attribute::ALL.len() <= 32);

impl AttributeSet {
    /// All of them.
    pub const ALL: Self = Self((1 << Attribute::ALL.len()) - 1);

    /// Whether an attribute is in the set.
    pub const fn has(self, attribute: Attribute) -> bool {
        self.0 & 1 << attribute as u32 != 0
    }

    /// What an attribute is to be: what was asked for, or where it is in this set, its default; nothing where it stays.
    pub fn or<T>(self, asked_for: Option<T>, attribute: Attribute, default: T) -> Option<T> {
        asked_for.or(if self.has(attribute) { Some(default) } else { None })
    }

    /// Adds an attribute.
    pub const fn add(&mut self, attribute: Attribute) {
        self.0 |= 1 << attribute as u32;
    }

    /// Those that are in it.
    pub fn attributes(self) -> impl Iterator<Item = Attribute> {
        Attribute::ALL.iter().copied().filter(move |&attribute| self.has(attribute))
    }
}

impl Kind<'_> for AttributeSet {
    const ARITY: Arity = Arity::Required;

    fn read(&mut self, value: &mut Value) -> Result<(), Mistake> {
        if value.take_text(b"all") {
            *self = Self::ALL;
            return Ok(());
        }
        loop {
            let place = value.take_word(Attribute::TEXTS, b',').ok_or(Mistake::MALFORMED)?;
            self.0 |= 1_u32.wrapping_shl(place as u32);
            if !value.take(b',') {
                return Ok(());
            }
        }
    }

    fn write(&self, option: &str, add: &mut dyn FnMut(fmt::Arguments)) {
        if *self == Self::ALL {
            add(format_args!("{option}=all"));
        } else if *self != Self::default() {
            add(format_args!("{option}={self}"));
        }
    }

    /// None of those that belong to the memory: a launcher in place refuses them.
    fn any(next: &mut dyn FnMut() -> u32) -> Self {
        let mut set = Self::default();
        for &attribute in Attribute::ALL {
            if next().is_multiple_of(4) && !attribute.is_of_memory() {
                set.add(attribute);
            }
        }
        set
    }
}

impl fmt::Display for AttributeSet {
    fn fmt(&self, out: &mut fmt::Formatter) -> fmt::Result {
        let mut separator = "";
        for attribute in self.attributes() {
            let word: Text = attribute.text();
            write!(out, "{separator}{word}")?;
            separator = ",";
        }
        Ok(())
    }
}
