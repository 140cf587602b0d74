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
    /// Those of 0, 1 and 2 that do not block.
    pub nonblocking: Vec<i32>,
    /// Soft and hard of each resource, by its number.
    pub limits: [[u64; 2]; 16],
    /// Real, effective and saved.
    pub user: [u32; 3],
    /// Real, effective and saved.
    pub group_ids: [u32; 3],
    /// The supplementary ones. None where there are more than 1024.
    pub groups: Vec<u32>,
    pub capabilities: Capabilities,
    pub securebits: u32,
    pub nice: i32,
    /// With SCHED_RESET_ON_FORK, where that is set.
    pub policy: u32,
    /// 0 but for the policies of real time.
    pub priority: u32,
    /// Those that it may run on.
    pub processors: Vec<u32>,
    /// Class and level, as ioprio_get(2) returns them.
    pub io_priority: u32,
    /// The mode, or a negative errno.
    pub memory_policy: i64,
    /// In nanoseconds.
    pub timer_slack: u64,
    /// The adjustment of the score. Nothing where /proc does not tell it.
    pub oom_score: Option<i32>,
    /// Nothing where /proc does not tell it.
    pub coredump_filter: Option<u32>,
    /// PR_GET_THP_DISABLE, or a negative errno.
    pub no_huge_pages: i64,
    /// PR_GET_MEMORY_MERGE, or a negative errno.
    pub merges_memory: i64,
    pub personality: u32,
    /// PR_GET_TSC, or a negative errno.
    pub time_stamp_counter: i64,
    /// PR_MCE_KILL_GET, or a negative errno.
    pub machine_check: i64,
    /// PR_GET_CHILD_SUBREAPER, or a negative errno.
    pub subreaper: i64,
    /// PR_GET_IO_FLUSHER, or a negative errno.
    pub io_flusher: i64,
    /// PR_GET_SPECULATION_CTRL of store bypass, indirect branches and the flush of the first cache, or a negative errno.
    pub speculation: [i64; 3],
    /// The serial number of the session's, or a negative errno.
    pub keyring: i64,
    /// What is in /proc/self/cgroup, of which the first 4095 bytes. Nothing where /proc does not tell it.
    pub cgroup: Option<String>,
    /// Whether root, or its group, can be had again. Nothing without the argument `probe:root`.
    pub regains_root: Option<bool>,
}

/// A bit each, by the number of the capability.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct Capabilities {
    pub effective: u64,
    pub permitted: u64,
    pub inheritable: u64,
    pub bounding: u64,
    pub ambient: u64,
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
