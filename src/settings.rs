//! The settings: what a program is to find, as far as it is plain data. Each is described once, by its row here.
//!
//! From a row come the field, the option's name and help, its reading from text for relay and for the launcher's `option`,
//! and its writing as text for the launcher's vehicle Relay. The step that uses it is a file in [`crate::steps`];
//! `make_slate` there does not compile as long as a setting is passed to no step.

use core::fmt;

use crate::attribute::AttributeSet;
use crate::capability::CapabilitySet;
use crate::enum_of_texts;
use crate::identity::User;
use crate::limit::{LimitSet, Limits};
use crate::scheduling::{IoClass, Processors, Scheduling};
use crate::signal::{SignalSet, SomeOrAll};
use crate::text::{Text, text_at};
use crate::value::{Arity, Kind, Mistake, Number, Octal, Parent, ProcessGroup, Value};

/// A row: the option as [`Setting`] has it and as a user types it, the field with its kind, the usage.
macro_rules! settings {
    ($($(#[$doc:meta])* $option:ident $name:literal $field:ident: $kind:ty, $help:literal;)*) => {
        enum_of_texts! {
            /// An option that is a setting.
            pub enum Setting { $(#[doc = concat!("`--", $name, "`")] $option = $name,)* }
        }

        /// What a program is to find, as far as it is plain data, some of which borrows the text that it was read from for
        /// `'s`. Nothing, by default: all is left as it is.
        #[derive(Clone, Debug, Default, PartialEq, Eq)]
        #[repr(C)]
        pub struct Settings<'s> {
            $($(#[$doc])* pub $field: $kind,)*
        }

        impl<'s> Settings<'s> {
            /// Takes the value of an option.
            pub fn read(&mut self, setting: Setting, value: &mut Value<'s>) -> Result<(), Mistake> {
                match setting {
                    $(Setting::$option => self.$field.read(value),)*
                }
            }

            /// The inverse: hands the arguments that make these settings out of the default ones to `add`, each
            /// `--option` or `--option=value`.
            pub fn write(&self, add: &mut dyn FnMut(fmt::Arguments)) {
                $(self.$field.write(concat!("--", $name), add);)*
            }

            const fn arity(setting: Setting) -> Arity {
                match setting {
                    $(Setting::$option => <$kind as Kind>::ARITY,)*
                }
            }

            /// Any settings; see [`Kind::any`].
            pub fn any(next: &mut dyn FnMut() -> u32) -> Self {
                Self { $($field: Kind::any(next),)* }
            }
        }

        impl Setting {
            /// How it is used, as it stands behind its name, up to `;` or a line's end; and then what it does.
            pub fn usage(self) -> Text<'static> {
                text_at(concat!($($help, "\0"),*), self as usize)
            }

            /// Whether it has a value.
            pub const fn arity(self) -> Arity {
                Settings::arity(self)
            }
        }
    };
}

settings! {
    /// Whether the program also has what is open and not close-on-exec.
    KeepInherited "keep-inherited" keep_inherited: bool, ";all that is not close-on-exec\n";
    /// The signals that the program starts with ignored.
    Ignore "ignore" ignored: SignalSet, " LIST, as TERM,RTMIN+2;";
    /// The signals that the program starts with blocked.
    Block "block" blocked: SignalSet, " LIST;";
    /// The signals that are left ignored where they are.
    KeepIgnored "keep-ignored" keep_ignored: SomeOrAll, " LIST|all\n";
    /// Whether the interval timers stay armed.
    KeepTimers "keep-timers" keep_timers: bool, ";";
    /// The mask of the permissions of new files.
    Umask "umask" umask: Option<Octal<0o777>>, " OCTAL;";
    /// Whether to begin a session.
    Setsid "setsid" session: bool, ";";
    /// The controlling terminal of a session that is begun for it, by the number that its descriptor has in the program.
    Ctty "ctty" terminal: Option<Number<0, { i32::MAX }>>, " FD;";
    /// The process group; 0 for one of its own.
    ProcessGroup "process-group" process_group: Option<ProcessGroup>, "[=PGID]\n";
    /// User, group and supplementary groups.
    User "user" user: Option<User<'s>>, " UID:GID[,GROUP...];";
    /// The capabilities that the program has, in all five sets.
    Caps "caps" capabilities: Option<CapabilitySet>, " LIST|none, as CHOWN,SETUID\n";
    /// Whether execve is to grant no privileges any more.
    NoNewPrivs "no-new-privs" no_new_privileges: bool, ";";
    /// Whether to begin a session keyring.
    NewKeyring "new-keyring" new_keyring: bool, ";";
    /// The parent to die with.
    DieWithParent "die-with-parent" die_with_parent: Option<Parent>, "[=PID]\n";
    /// The limit of descriptors, RLIMIT_NOFILE. A soft limit above the hard one becomes the hard one.
    Nofile "nofile" nofile: Option<Limits>, " SOFT[:HARD]|hard\n";
    /// The nice value.
    Nice "nice" nice: Option<Number<-20, 19>>, " N;";
    /// The scheduling policy and its priority.
    Sched "sched" scheduling: Option<Scheduling>, " other|batch|idle|fifo:N|rr:N;";
    /// The processors.
    Cpus "cpus" processors: Option<Processors<'s>>, " LIST|all\n";
    /// The I/O class.
    Ionice "ionice" io_class: Option<IoClass>, " none|idle|best-effort[:N]|realtime[:N]\n";
    /// The timer slack in nanoseconds.
    TimerSlack "timer-slack" timer_slack: Option<Number<1, { i32::MAX }>>, " NS;";
    /// The out-of-memory score.
    OomScoreAdj "oom-score-adj" oom_score: Option<Number<-1000, 1000>>, " N;";
    /// The attributes that get their defaults back, but for those with a setting of their own.
    Reset "reset" reset: AttributeSet, " LIST|all, as thp,cpus\n";
    /// The limits of resources. Last because they are large: the fields before them get short offsets, and so shorter code.
    Limit "limit" limits: LimitSet, " NAME=BOTH|SOFT:|:HARD|SOFT:HARD\n";
}
