//! relay's own arguments, and the options among them.
//!
//! Not by a crate: what the records need, the index of each argument, getargs does not tell, and has not been released
//! since 2022; the larger parsers want an allocator. It is a table and one function.

use crate::enum_of_texts;
use crate::settings::Setting;
use crate::status::{Failure, Step};
use crate::text::{Strings, Text, text_at};
use crate::value::{Arity, Value};

/// A row: the option as [`Other`] has it and as a user types it, whether it has a value, its usage.
macro_rules! others {
    ($($(#[$doc:meta])* $option:ident $name:literal $arity:ident, $help:literal;)*) => {
        enum_of_texts! {
            /// An option that is no setting: it asks for something else than the program, or for what is no plain data.
            pub enum Other { $($(#[$doc])* $option = $name,)* }
        }

        impl Other {
            /// How it is used, as it stands behind its name, up to `;` or a line's end; and then what it does.
            pub fn usage(self) -> Text<'static> {
                text_at(concat!($($help, "\0"),*), self as usize)
            }

            /// Whether it has a value.
            pub const fn arity(self) -> Arity {
                match self {
                    $(Self::$option => Arity::$arity,)*
                }
            }
        }
    };
}

others! {
    /// Print the help text.
    Help "help" None, ";";
    /// Print the version.
    Version "version" None, ";";
    /// Print the slate that relay itself found.
    Report "report" None, "\n";
    /// `TO=FROM`: one descriptor is what another one is now.
    Fd "fd" Required, " TO=FROM, as 3=4;3 is what 4 is now\n";
    /// A list of descriptors that stay open.
    Keep "keep" Required, " LIST, as 3,5-7;stay open as they are\n";
    /// A descriptor that is closed.
    Close "close" Required, " FD;";
    /// A descriptor that must be open, and stays so.
    Pulse "pulse" Required, " FD;stays open, must be\n";
    /// How many listening sockets there are from descriptor 3 up.
    ListenFds "listen-fds" Required, " N[=NAME:NAME];sockets from 3 up\n";
    /// The current directory.
    Chdir "chdir" Required, " DIR;";
    /// The cgroup, by its directory.
    Cgroup "cgroup" Required, " DIR;";
    /// The descriptor that the program is open on, in the place of a path.
    ExecFd "exec-fd" Required, " FD;";
    /// The program's `argv[0]`.
    Argv0 "argv0" Required, " NAME\n";
    /// Removes all variables.
    ClearEnv "clear-env" None, ";";
    /// A variable that is removed.
    Unset "unset" Required, " NAME;";
    /// A variable that is set.
    Env "env" Required, " NAME=VALUE\n";
    /// Where to report.
    Status "status" Required, " FD;records, no messages, give it first\n";
}

/// An option.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Name {
    /// One that is a setting.
    Setting(Setting),
    /// Another one.
    Other(Other),
}

impl Name {
    /// All options.
    pub fn all() -> impl Iterator<Item = Self> {
        Setting::ALL.iter().map(|&name| Self::Setting(name)).chain(Other::ALL.iter().map(|&name| Self::Other(name)))
    }

    /// As a user types it, without the dashes.
    pub fn text(self) -> Text<'static> {
        match self {
            Self::Setting(name) => name.text(),
            Self::Other(name) => name.text(),
        }
    }

    /// How it is used, as it stands behind its name, up to `;` or a line's end; and then what it does.
    pub fn usage(self) -> Text<'static> {
        match self {
            Self::Setting(name) => name.usage(),
            Self::Other(name) => name.usage(),
        }
    }

    /// Whether it has a value.
    pub const fn arity(self) -> Arity {
        match self {
            Self::Setting(name) => name.arity(),
            Self::Other(name) => name.arity(),
        }
    }

    /// Takes a name that ends before a `=` or the end.
    fn take(argument: &mut Value) -> Option<Self> {
        if let Some(place) = argument.take_word(Setting::TEXTS, b'=') {
            return Setting::ALL.get(place).map(|&name| Self::Setting(name));
        }
        let place = argument.take_word(Other::TEXTS, b'=')?;
        Other::ALL.get(place).map(|&name| Self::Other(name))
    }
}

/// An option as it was given.
#[derive(Clone, Copy)]
pub struct Given<'s> {
    /// Which one.
    pub name: Name,
    /// Its value: empty where it has none, `0` where it may be left out and was.
    pub value: Text<'s>,
}

/// Reads one argument, `--option` or `--option=value`. The value is None if it must be the next argument.
///
/// # Errors
///
/// [`Step::UnknownOption`], and [`Step::ValueUnexpected`] where there is a value and the option has none.
pub fn parse(argument: Text<'_>) -> Result<(Name, Option<Text<'_>>), Step> {
    let mut rest = Value::new(argument);
    let name = if rest.take_text(b"--") {
        Name::take(&mut rest)
    } else {
        (rest.take_text(b"-h") && rest.finish().is_ok()).then_some(Name::Other(Other::Help))
    };
    let name = name.ok_or(Step::UnknownOption)?;
    let is_given = rest.take(b'=');
    match name.arity() {
        Arity::None if is_given => Err(Step::ValueUnexpected),
        Arity::Optional if !is_given => Ok((name, Some(c"0".into()))),
        Arity::Required if !is_given => Ok((name, None)),
        _ => Ok((name, Some(rest.rest()))),
    }
}

/// Arguments that are taken one by one.
pub struct Arguments<'v, 's> {
    rest: Strings<'v, 's>,
    index: u32,
}

impl<'v, 's> Arguments<'v, 's> {
    /// All of a program's arguments but its name.
    pub fn new(arguments: Strings<'v, 's>) -> Self {
        Self { rest: arguments.split_first().map_or(arguments, |(_, rest)| rest), index: 1 }
    }

    /// The next argument, which stays.
    pub fn first(&self) -> Option<Text<'s>> {
        self.rest.first()
    }

    /// The index of the next argument.
    pub const fn index(&self) -> u32 {
        self.index
    }

    /// Takes the next argument; `missing` is the step that failed where there is none.
    pub fn take(&mut self, missing: Step) -> Result<Text<'s>, Failure> {
        let (first, rest) = self.rest.split_first().ok_or(Failure::without_errno(missing, 0))?;
        (self.rest, self.index) = (rest, self.index + 1);
        Ok(first)
    }

    /// The failure that the argument taken last is.
    pub const fn mistake(&self, step: Step) -> Failure {
        Failure::without_errno(step, self.index - 1)
    }

    /// Takes the next option with its value, as `--option=value` or in two arguments. Nothing at the end of the options,
    /// which is `--`, taken too, or what does not begin with `-`.
    pub fn take_option(&mut self) -> Result<Option<Given<'s>>, Failure> {
        if self.first().is_none_or(|argument| argument.first() != b'-') {
            return Ok(None);
        }
        let argument = self.take(Step::UnknownOption)?;
        let mut rest = Value::new(argument);
        if rest.take_text(b"--") && rest.finish().is_ok() {
            return Ok(None);
        }
        let (name, value) = parse(argument).map_err(|step| self.mistake(step))?;
        let value = value.map_or_else(|| self.take(Step::ValueMissing), Ok)?;
        Ok(Some(Given { name, value }))
    }
}
