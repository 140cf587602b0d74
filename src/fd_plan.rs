//! Which descriptors stay open, and the gaps between them. Pure: nothing here makes a system call.

use linux_raw_sys::errno::EMFILE;

use crate::sys::{Descriptor, Errno};

/// How many descriptors can be kept beside 0, 1 and 2.
pub const MOST_KEPT: usize = 256;

/// The first number after 0, 1 and 2.
const FIRST: Descriptor = 3;

/// The descriptors that the program starts with: 0, 1, 2 and those asked for.
#[derive(Clone, Debug, Default)]
pub struct FdPlan {
    /// Those beside 0, 1 and 2, in no order. One may stand here twice.
    kept: heapless::Vec<Descriptor, MOST_KEPT>,
}

impl FdPlan {
    /// Asks for one more descriptor to stay. EMFILE where a plan cannot hold so many.
    pub fn keep(&mut self, descriptor: Descriptor) -> Result<(), Errno> {
        self.kept.push(descriptor).map_err(|_| Errno::new(EMFILE))
    }

    /// Whether `descriptor` stays.
    #[expect(clippy::manual_contains, reason = "`contains` compares four at a time, in four times the code")]
    pub fn keeps(&self, descriptor: Descriptor) -> bool {
        descriptor < FIRST || self.kept.iter().any(|&kept| kept == descriptor)
    }

    /// Visits the ranges of numbers between those that stay, in rising order, until `visit` fails. The last one goes up
    /// to 4,294,967,295.
    pub fn try_for_each_gap<E>(&self, mut visit: impl FnMut(u32, u32) -> Result<(), E>) -> Result<(), E> {
        let mut first = FIRST as u32;
        loop {
            let kept = self.kept.iter().map(|&kept| kept as u32).filter(|&kept| kept >= first);
            let last = kept.map(|kept| kept - 1).fold(u32::MAX, u32::min);
            if first <= last {
                visit(first, last)?;
            }
            if last == u32::MAX {
                return Ok(());
            }
            first = last + 2;
        }
    }
}
