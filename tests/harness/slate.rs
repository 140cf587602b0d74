//! What the probe sees.

use std::collections::BTreeSet;

use serde::Deserialize;

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Slate {
    pub arguments: Vec<String>,
    pub environment: Vec<String>,
    pub descriptors: Vec<Descriptor>,
    /// Signals whose disposition is not the default.
    pub not_default: Vec<u32>,
    pub blocked: Vec<u32>,
    pub pending: Vec<u32>,
    /// Soft and hard.
    pub nofile: [u64; 2],
    /// Whether each is armed.
    pub timers: [bool; 3],
    pub umask: u32,
    pub pid: i32,
    pub parent: u32,
    pub group: u32,
    pub session: u32,
    pub no_new_privileges: bool,
    pub parent_death_signal: i32,
    pub directory: String,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Descriptor {
    pub number: i32,
    pub close_on_exec: bool,
    pub device: [u64; 2],
    pub inode: u64,
}

impl Slate {
    /// Which file a descriptor is open on, by device and inode.
    pub fn file(&self, number: i32) -> Option<(u64, u64, u64)> {
        let found = self.descriptors.iter().find(|descriptor| descriptor.number == number)?;
        Some((found.device[0], found.device[1], found.inode))
    }

    pub fn numbers(&self) -> BTreeSet<i32> {
        self.descriptors.iter().map(|descriptor| descriptor.number).collect()
    }

    /// What a clean slate is in every respect, with these descriptors open and no others.
    #[track_caller]
    pub fn assert_clean(&self, open: impl IntoIterator<Item = i32>) {
        assert_eq!(self.numbers(), open.into_iter().collect(), "open descriptors");
        assert!(self.descriptors.iter().all(|descriptor| !descriptor.close_on_exec));
        assert_eq!(self.not_default, [0_u32; 0], "dispositions");
        assert_eq!(self.blocked, [0_u32; 0], "blocked signals");
        assert_eq!(self.pending, [0_u32; 0], "pending signals");
        assert_eq!(self.timers, [false; 3], "interval timers");
    }
}
