//! Who a program runs as: user, group, supplementary groups.

use core::{fmt, iter};

use crate::text::Text;
use crate::value::{Mistake, Single, Value, require};

/// How many supplementary groups can be asked for.
pub const MOST_GROUPS: usize = 256;

/// A user, a group and the supplementary groups, `UID:GID[,GROUP...]`, by their numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct User<'s> {
    /// The real, effective and saved user.
    pub user: u32,
    /// The real, effective and saved group.
    pub group: u32,
    /// Nothing, or a comma before each group: a list that has been read without a mistake.
    groups: Text<'s>,
}

impl User<'_> {
    /// The supplementary groups.
    pub fn groups(self) -> impl Iterator<Item = u32> {
        let mut groups = Value::new(self.groups);
        iter::from_fn(move || if groups.take(b',') { take_id(&mut groups).ok() } else { None })
    }
}

/// Takes the number of a user or group. The highest one stands for none; see setresuid(2).
fn take_id(value: &mut Value) -> Result<u32, Mistake> {
    value.number(10, u32::MAX - 1)
}

impl<'s> Single<'s> for User<'s> {
    fn take(value: &mut Value<'s>) -> Result<Self, Mistake> {
        let user = take_id(value)?;
        require(value.take(b':'))?;
        let group = take_id(value)?;
        let groups = value.rest();
        for _ in 0..MOST_GROUPS {
            if !value.take(b',') {
                break;
            }
            take_id(value)?;
        }
        Ok(Self { user, group, groups })
    }

    /// Root, so that a program can still do its work.
    fn any(next: &mut dyn FnMut() -> u32) -> Self {
        let groups = [c"", c",0", c",7,5,7", c",4294967294"][next() as usize % 4];
        Self { user: 0, group: next() % 3, groups: groups.into() }
    }
}

impl fmt::Display for User<'_> {
    fn fmt(&self, out: &mut fmt::Formatter) -> fmt::Result {
        write!(out, "{}:{}{}", self.user, self.group, self.groups)
    }
}
