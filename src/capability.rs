//! Capabilities: their names, and sets of them.

use core::fmt;

use linux_raw_sys::general::{CAP_CHECKPOINT_RESTORE, CAP_CHOWN, CAP_SYSLOG};

use crate::text::{Text, count_texts, text_at};
use crate::value::{Mistake, Single, Value};

/// Their names without CAP_, each ended by a NUL, by their numbers; see capabilities(7).
const NAMES: &str = "CHOWN\0DAC_OVERRIDE\0DAC_READ_SEARCH\0FOWNER\0FSETID\0KILL\0SETGID\0SETUID\0SETPCAP\0\
    LINUX_IMMUTABLE\0NET_BIND_SERVICE\0NET_BROADCAST\0NET_ADMIN\0NET_RAW\0IPC_LOCK\0IPC_OWNER\0SYS_MODULE\0SYS_RAWIO\0\
    SYS_CHROOT\0SYS_PTRACE\0SYS_PACCT\0SYS_ADMIN\0SYS_BOOT\0SYS_NICE\0SYS_RESOURCE\0SYS_TIME\0SYS_TTY_CONFIG\0MKNOD\0\
    LEASE\0AUDIT_WRITE\0AUDIT_CONTROL\0SETFCAP\0MAC_OVERRIDE\0MAC_ADMIN\0SYSLOG\0WAKE_ALARM\0BLOCK_SUSPEND\0AUDIT_READ\0\
    PERFMON\0BPF\0CHECKPOINT_RESTORE\0";

const _: () = assert!(count_texts(NAMES) == CAP_CHECKPOINT_RESTORE as usize + 1 && CAP_CHOWN == 0 && CAP_SYSLOG == 34);

/// The highest number that a capability can have: the kernel has 64 bits for them.
pub const HIGHEST: u32 = 63;

/// The name of a capability without CAP_; empty for one that is newer than relay.
pub fn name(capability: u32) -> Text<'static> {
    text_at(NAMES, capability as usize)
}

/// A set of capabilities, a bit each.
///
/// As text it is a list, `NET_BIND_SERVICE,cap_chown,38`, or `none`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CapabilitySet(pub u64);

impl CapabilitySet {
    /// Whether a capability is in the set.
    pub const fn has(self, capability: u32) -> bool {
        self.0.wrapping_shr(capability) & 1 != 0
    }

    /// Those that are in it.
    pub fn capabilities(self) -> impl Iterator<Item = u32> {
        (0..=HIGHEST).filter(move |&capability| self.has(capability))
    }
}

impl Single<'_> for CapabilitySet {
    fn take(value: &mut Value) -> Result<Self, Mistake> {
        let mut set = Self::default();
        if value.take_text(b"none") {
            return Ok(set);
        }
        loop {
            value.take_text(b"CAP_");
            let capability = match value.take_word(NAMES, b',') {
                Some(place) => place as u32,
                None => value.number(10, HIGHEST)?,
            };
            set.0 |= 1_u64.wrapping_shl(capability);
            if !value.take(b',') {
                return Ok(set);
            }
        }
    }

    fn any(next: &mut dyn FnMut() -> u32) -> Self {
        // All that there are but a few, so that a program can still do its work.
        let fewer = u64::from(next() & next() & next()) << 8;
        Self(((1 << (CAP_CHECKPOINT_RESTORE + 1)) - 1) & !fewer)
    }
}

impl fmt::Display for CapabilitySet {
    fn fmt(&self, out: &mut fmt::Formatter) -> fmt::Result {
        if self.0 == 0 {
            return out.write_str("none");
        }
        let mut separator = "";
        for capability in self.capabilities() {
            write!(out, "{separator}{capability}")?;
            separator = ",";
        }
        Ok(())
    }
}
