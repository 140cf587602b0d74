//! Which descriptor the program has from where, and the moves that bring that about. Pure: no system call is made here.

use linux_raw_sys::errno::{EEXIST, EMFILE};

use crate::errno::Errno;
use crate::sys::Descriptor;

/// How many descriptors can be asked for, beside 0, 1 and 2. A range that is kept counts as one.
pub const MOST: usize = 330;

// A plan lies on the stack, of which no more than a page is to be for it.
const _: () = assert!(size_of::<FdPlan>() <= 4096);

/// What the program's descriptors from `target` to `last` are to be. More than one only where they are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Entry {
    target: Descriptor,
    last: Descriptor,
    /// The descriptor that it is now: the same one where it is kept, [`CLOSED`] where it is to be closed, [`UNASKED`] for 0,
    /// 1 and 2 while they are kept only by default, and for what is needed until exec.
    source: Descriptor,
}

impl Entry {
    const fn new(target: Descriptor, source: Descriptor) -> Self {
        Self { target, last: target, source }
    }

    const fn kept_until_exec(descriptor: Descriptor) -> Self {
        Self::new(descriptor, UNASKED)
    }

    fn covers(&self, descriptor: Descriptor) -> bool {
        self.target <= descriptor && descriptor <= self.last
    }

    fn meets(&self, other: &Self) -> bool {
        self.target <= other.last && other.target <= self.last
    }

    fn is_kept(&self) -> bool {
        self.source == self.target || self.source == UNASKED
    }

    /// Whether it is still to be renamed.
    fn is_pending(&self) -> bool {
        !self.is_kept() && self.source != CLOSED
    }
}

/// The source of what is to be closed.
const CLOSED: Descriptor = -1;

/// The source of what is kept though nobody asked for it: the same descriptor.
const UNASKED: Descriptor = -2;

/// Each stands for a source that is opened later: [`FdPlan::set_aside`] then says where it is. One to be read, and one to be
/// written.
pub const UNOPENED: [Descriptor; 2] = [-3, -4];

/// The descriptors that the program starts with. All others are closed.
#[derive(Clone, Debug)]
pub struct FdPlan {
    /// None has a target of another, unless both are kept. The first ones are 0, 1 and 2, which stay unless they are asked
    /// for otherwise, and there is room for the two that are needed until exec.
    entries: heapless::Vec<Entry, { 3 + MOST + 2 }>,
}

/// The next thing to do to a process's descriptors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Move {
    /// Make `target` a copy of `source`. Nothing else needs what `target` was.
    Copy {
        /// The number that the copy gets.
        target: Descriptor,
        /// What is copied.
        source: Descriptor,
    },
    /// Copy this descriptor to a number that is no target, and tell [`FdPlan::set_aside`]: it is a target, but also the
    /// source of another one, in a cycle.
    SetAside(Descriptor),
}

impl Default for FdPlan {
    fn default() -> Self {
        Self { entries: heapless::Vec::from_array([0, 1, 2].map(Entry::kept_until_exec)) }
    }
}

impl FdPlan {
    /// Asks for the program's `target` to be what `source` is now.
    ///
    /// # Errors
    ///
    /// EEXIST where `target` is asked for already, unless it is kept both times; EMFILE where a plan cannot hold so many.
    pub fn rename(&mut self, target: Descriptor, source: Descriptor) -> Result<(), Errno> {
        self.ask(Entry::new(target, source))
    }

    /// Asks for `descriptor` to stay as it is. Errors are those of [`Self::rename`].
    pub fn keep(&mut self, descriptor: Descriptor) -> Result<(), Errno> {
        self.keep_all(descriptor, descriptor)
    }

    /// Asks for all from `first` to `last` to stay as they are. Errors are those of [`Self::rename`].
    pub fn keep_all(&mut self, first: Descriptor, last: Descriptor) -> Result<(), Errno> {
        self.ask(Entry { target: first, last, source: first })
    }

    /// Asks for `descriptor` to be closed. Errors are those of [`Self::rename`].
    pub fn close(&mut self, descriptor: Descriptor) -> Result<(), Errno> {
        self.ask(Entry::new(descriptor, CLOSED))
    }

    fn ask(&mut self, asked: Entry) -> Result<(), Errno> {
        let mut by_default = None;
        let is_full = self.entries.len() == 3 + MOST;
        for entry in self.entries.iter_mut().filter(|entry| entry.meets(&asked)) {
            if entry.source == UNASKED {
                by_default = Some(entry);
            } else if !entry.is_kept() || !asked.is_kept() {
                return Err(Errno::new(EEXIST));
            } else if entry.covers(asked.target) && entry.covers(asked.last) {
                return Ok(());
            }
        }
        match by_default.filter(|_| asked.target == asked.last) {
            Some(entry) => *entry = asked,
            None if is_full => return Err(Errno::new(EMFILE)),
            None => _ = self.entries.push(asked),
        }
        Ok(())
    }

    /// Keeps a descriptor that is needed until exec, whatever was asked for under its number: the one that the caller is
    /// told on, and the one that the program is open on. For these two there is always room.
    pub fn keep_until_exec(&mut self, descriptor: Descriptor) {
        let kept = Entry::kept_until_exec(descriptor);
        match self.entries.iter_mut().find(|entry| entry.covers(descriptor)) {
            Some(entry) if entry.is_kept() => {}
            Some(entry) => *entry = kept,
            None => _ = self.entries.push(kept),
        }
    }

    /// Asks for `source` under the lowest number from `least` up that nothing else has, nor is `taken`. For what a launcher
    /// needs itself until it executes relay: for two of these there is always room. Errors are those of [`Self::rename`].
    pub fn add_beside(
        &mut self,
        source: Descriptor,
        least: Descriptor,
        taken: Option<Descriptor>,
    ) -> Result<Descriptor, Errno> {
        let is_free = |&number: &Descriptor| {
            taken != Some(number) && !self.is_target(number) && (number == source || !self.is_source(number))
        };
        let target = (least..).find(is_free).ok_or(Errno::new(EMFILE))?;
        self.entries.push(Entry::new(target, source)).map_err(|_| Errno::new(EMFILE))?;
        Ok(target)
    }

    /// What was asked for the program's `descriptor`.
    #[inline(never)]
    fn entry(&self, descriptor: Descriptor) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.covers(descriptor))
    }

    /// Whether `descriptor` stays as it is.
    pub fn keeps(&self, descriptor: Descriptor) -> bool {
        self.entry(descriptor).is_some_and(Entry::is_kept)
    }

    /// Whether anything was asked for the program's `descriptor`, or it stays because nothing was.
    pub fn is_target(&self, descriptor: Descriptor) -> bool {
        self.entry(descriptor).is_some()
    }

    /// Whether the program has a descriptor of this number, provided that what it is made of is open.
    pub fn has(&self, descriptor: Descriptor) -> bool {
        self.entry(descriptor).is_some_and(|entry| entry.source != CLOSED)
    }

    /// Those that the program is asked not to have.
    pub fn closed(&self) -> impl Iterator<Item = Descriptor> {
        self.entries.iter().filter(|entry| entry.source == CLOSED).map(|entry| entry.target)
    }

    /// Whether the program's `descriptor` is to be what another one is now.
    pub fn is_renamed(&self, descriptor: Descriptor) -> bool {
        self.entry(descriptor).is_some_and(Entry::is_pending)
    }

    /// Whether the program has what `descriptor` is now, under whatever number.
    pub fn is_source(&self, descriptor: Descriptor) -> bool {
        self.entries.iter().any(|entry| entry.source == descriptor || entry.is_kept() && entry.covers(descriptor))
    }

    /// Visits the ranges of numbers between those that stay, in rising order, until `visit` fails. The last one goes up
    /// to 4,294,967,295.
    pub fn try_for_each_gap<E>(&self, mut visit: impl FnMut(u32, u32) -> Result<(), E>) -> Result<(), E> {
        let mut first = 0_u32;
        loop {
            let kept = self.entries.iter().filter(|entry| entry.is_kept() && entry.last as u32 >= first);
            let Some(next) = kept.min_by_key(|entry| entry.target) else {
                return visit(first, u32::MAX);
            };
            if first < next.target as u32 {
                visit(first, next.target as u32 - 1)?;
            }
            first = next.last as u32 + 1;
        }
    }

    /// What to do next so that each target becomes what its source is, as if all happened at once. Nothing when all is
    /// done.
    pub fn next_move(&self) -> Option<Move> {
        let mut in_cycle = None;
        for &Entry { target, source, .. } in self.pending() {
            // What others still need is not written over.
            if !self.is_source(target) {
                return Some(Move::Copy { target, source });
            }
            in_cycle = in_cycle.or(Some(target));
        }
        in_cycle.map(Move::SetAside)
    }

    /// What is still to be renamed.
    fn pending(&self) -> impl Iterator<Item = &Entry> {
        self.entries.iter().filter(|entry| entry.is_pending())
    }

    /// The open descriptors that the program's are made of, but for those that stay because nobody asked for anything else,
    /// and of a range that is kept all but the first.
    pub fn sources(&self) -> impl Iterator<Item = Descriptor> {
        self.entries.iter().map(|entry| entry.source).filter(|&source| source >= 0)
    }

    /// Whether `target` was asked to be what `source` is now. Not where it only stays because nobody asked.
    pub fn is_made_of(&self, target: Descriptor, source: Descriptor) -> bool {
        self.entry(target).is_some_and(|entry| entry.source == source)
    }

    /// Notes that `target` has become what it is to be.
    pub fn copied(&mut self, target: Descriptor) {
        for entry in self.entries.iter_mut().filter(|entry| entry.target == target) {
            entry.source = target;
        }
    }

    /// Notes that what `descriptor` was is now to be had at `aside`.
    pub fn set_aside(&mut self, descriptor: Descriptor, aside: Descriptor) {
        for entry in self.entries.iter_mut().filter(|entry| entry.source == descriptor) {
            entry.source = aside;
        }
    }
}
