//! What relay says, beside what the tables of steps, errnos and options have: every text by its name.

use exec_relay::enum_of_texts;

enum_of_texts! {
    /// A text, in which `#` stands for a number and `@` for what somebody else has written; see [`crate::line`].
    pub enum Phrase {
        /// Before every message.
        Prefix = "relay: ",
        /// Between a message and the errno in words.
        Reason = ": ",
        /// What one more look tells of a program that cannot be started.
        IsDirectory = ": a directory",
        IsNoexec = ": mounted with noexec",
        NotExecutable = ": not marked executable",
        /// How an option is used whose value is wrong.
        Use = "bad value @, use ",
        Option = "--",
        Gap = "  ",
        /// What `--help` prints before the options, each of which has its usage in its own table.
        Help = "\
relay [OPTION...] [--] /program [ARG...]
relay STATUS_FD PULSE_FD /program [ARG...]

Becomes the program on a clean slate. Options, --x VALUE or --x=VALUE:

",
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
