//! What relay says, beside what the tables of steps, errnos and options have: every text by its name.

use exec_relay::enum_of_texts;

enum_of_texts! {
    /// A text, in which `#` stands for a number and `@` for what somebody else has written; see [`crate::line`].
    pub enum Phrase {
        /// Before every message.
        Prefix = "relay: ",
        /// Between a message and the errno in words.
        Reason = ": ",
        /// The same for an errno that relay has no words for.
        UnknownReason = ": errno ",
        /// What sd_listen_fds(3) reads.
        ListenFds = "LISTEN_FDS=#",
        ListenPid = "LISTEN_PID=#",
        ListenNames = "LISTEN_FDNAMES=@",
        /// Where a link tells what a descriptor is.
        DescriptorPath = "/proc/self/fd/#",
        /// The facts of `--report`.
        DescriptorOpen = "descriptor #: open",
        DescriptorCloseOnExec = "descriptor #: close-on-exec",
        Ignored = "ignored:",
        Blocked = "blocked:",
        Pending = "pending:",
        NofileSoft = "nofile soft: #",
        NofileHard = "nofile hard: #",
        Process = "process: #",
        Parent = "parent: #",
        Group = "group: #",
        Session = "session: #",
    }
}

/// What `--version` prints.
pub const VERSION: &str = concat!("relay ", env!("CARGO_PKG_VERSION"), "\n");

/// What `--help` prints before the options. Each option has its line in its own table.
pub const HELP_BEGIN: &str = "\
relay [OPTION...] [--] /program [ARG...]
relay STATUS_FD PULSE_FD /program [ARG...]
relay --help | --version | --report

Becomes the program on a clean slate: no descriptors but 0, 1, 2 and those asked
for, default signals, none blocked, no timers. Options, --x VALUE or --x=VALUE:

";

/// What it prints after them.
pub const HELP_END: &str = "
--report prints the slate that relay was started on. Exit status: 125 relay
failed, 126 cannot run, 127 no program or STATUS_FD, 1 see STATUS_FD.
";
