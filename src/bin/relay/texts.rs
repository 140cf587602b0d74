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
        /// Parts of `--report`.
        DescriptorOpen = "descriptor #: open",
        DescriptorCloseOnExec = "descriptor #: close-on-exec",
        NonBlocking = "non-blocking",
        Ignored = "ignored",
        Blocked = "blocked",
        Pending = "pending",
        Timers = "timers",
        Limit = "limit ",
        Unlimited = "unlimited",
        User = "uid",
        GroupIds = "gid",
        Groups = "groups",
        CapsEffective = "caps effective",
        CapsPermitted = "caps permitted",
        CapsInheritable = "caps inheritable",
        CapsBounding = "caps bounding",
        CapsAmbient = "caps ambient",
        OwnFile = "/proc/self/",
        Directory = "directory",
        Environment = "environment",
        Argv0 = "argv0",
        Unknown = " unknown",
        Default = " (default ",
        Of = " (of",
    }
}

enum_of_texts! {
    /// The facts of `--report` that are numbers.
    pub enum Fact {
        NofileSoft = "nofile soft",
        NofileHard = "nofile hard",
        Process = "process",
        Parent = "parent",
        Group = "group",
        Session = "session",
        Terminal = "terminal",
        Umask = "umask",
        Keyring = "keyring",
        NoNewPrivs = "no-new-privs",
        Securebits = "securebits",
        Seccomp = "seccomp",
        Landlock = "landlock",
        Mdwe = "mdwe",
        CoreCookie = "core-cookie",
        ParentDeath = "parent-death",
        Subreaper = "subreaper",
        TimerSlack = "timer-slack",
        MemoryPolicy = "mempolicy",
        Personality = "personality",
        HugePages = "thp",
        Merging = "ksm",
        TimeStampCounter = "tsc",
        MachineCheck = "mce-kill",
        IoFlusher = "io-flusher",
        StoreBypass = "speculation 0",
        IndirectBranch = "speculation 1",
        CacheFlush = "speculation 2",
        Nice = "nice",
        ResetOnFork = "reset-on-fork",
    }
}

enum_of_texts! {
    /// Files and links of /proc/self that `--report` tells of. A fact's name has `-` for `_`, and a space for `/`.
    pub enum OwnFile {
        OomScore = "oom_score_adj",
        CoredumpFilter = "coredump_filter",
        Cgroup = "cgroup",
        Label = "attr/current",
        LoginUser = "loginuid",
        Root = "root",
        NamespaceOfCgroups = "ns/cgroup",
        NamespaceOfIpc = "ns/ipc",
        NamespaceOfMounts = "ns/mnt",
        NamespaceOfNetwork = "ns/net",
        NamespaceOfProcesses = "ns/pid",
        NamespaceOfChildren = "ns/pid_for_children",
        NamespaceOfTime = "ns/time",
        NamespaceOfChildrensTime = "ns/time_for_children",
        NamespaceOfUsers = "ns/user",
        NamespaceOfNames = "ns/uts",
    }
}

/// What `--version` prints.
pub const VERSION: &str = concat!("relay ", env!("CARGO_PKG_VERSION"), "\n");
