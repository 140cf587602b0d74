//! relay's own arguments, and the options among them.
//!
//! Not by a crate: what the records need, the index of each argument, getargs does not tell, and has not been released
//! since 2022; the larger parsers want an allocator. It is a table and one function.

use linux_raw_sys::errno::EINVAL;

use crate::status::{Failure, Step};
use crate::sys::{Errno, Strings, Text};
use crate::words;

macro_rules! options {
    ($($number:literal $name:ident $text:literal;)*) => {
        $(#[allow(missing_docs, reason = "each is the option of that name; see README.md")]
        pub const $name: u8 = $number;)*
        const NAMES: &str = concat!($($text, "\0"),*);
    };
}

// First those without a value, then the one whose value may be left out, then those with a value.
options! {
    0 HELP "help";
    1 VERSION "version";
    2 REPORT "report";
    3 CLEAR_ENV "clear-env";
    4 SETSID "setsid";
    5 NO_NEW_PRIVS "no-new-privs";
    6 DIE_WITH_PARENT "die-with-parent";
    7 FD "fd";
    8 KEEP "keep";
    9 CLOSE "close";
    10 PULSE "pulse";
    11 LISTEN_FDS "listen-fds";
    12 IGNORE "ignore";
    13 BLOCK "block";
    14 KEEP_IGNORED "keep-ignored";
    15 NOFILE "nofile";
    16 UMASK "umask";
    17 CHDIR "chdir";
    18 CTTY "ctty";
    19 OOM_SCORE_ADJ "oom-score-adj";
    20 UNSET "unset";
    21 ENV "env";
    22 ARGV0 "argv0";
    23 STATUS "status";
}

/// Arguments that are taken one by one.
#[derive(Clone, Copy)]
pub struct Arguments<'a> {
    /// Those that are still to be taken.
    pub rest: Strings<'a>,
    /// The index of the first of them.
    pub index: u32,
}

/// An option as it was given.
#[derive(Clone, Copy)]
pub struct Given<'a> {
    /// Which one.
    pub option: u8,
    /// Its value: empty where it takes none, `0` where it may be left out and was.
    pub value: Text<'a>,
}

impl<'a> Arguments<'a> {
    /// All of a program's arguments but its name.
    pub fn new(mut arguments: Strings<'a>) -> Self {
        arguments.next();
        Self { rest: arguments, index: 1 }
    }

    /// Takes the next argument; `missing` is the step that failed where there is none.
    pub fn take(&mut self, missing: Step) -> Result<Text<'a>, Failure> {
        self.index += 1;
        self.rest.next().ok_or(Failure::without_errno(missing, 0))
    }

    /// The failure that the argument taken last is.
    pub fn mistake(&self, step: Step) -> Failure {
        Failure::without_errno(step, self.index - 1)
    }

    /// Takes the next option with its value, as `--option=value` or in two arguments. Nothing at the end of the options,
    /// which is `--`, taken too, or what does not begin with `-`.
    pub fn take_option(&mut self) -> Result<Option<Given<'a>>, Failure> {
        if self.rest.first().is_none_or(|argument| argument.first() != b'-') {
            return Ok(None);
        }
        let mut name = self.take(Step::UNKNOWN_OPTION)?;
        name.next();
        if name.next() != Some(b'-') {
            return Err(self.mistake(Step::UNKNOWN_OPTION));
        }
        if name.first() == 0 {
            return Ok(None);
        }
        let option = words::take_listed(NAMES, &mut name, b'=').ok_or(self.mistake(Step::UNKNOWN_OPTION))? as u8;
        let value = match name.next() {
            Some(_) if option < DIE_WITH_PARENT => return Err(self.mistake(Step::VALUE_UNEXPECTED)),
            Some(_) => name,
            None if option < DIE_WITH_PARENT => name,
            // Whichever the parent is.
            None if option == DIE_WITH_PARENT => c"0".into(),
            None => self.take(Step::VALUE_MISSING)?,
        };
        Ok(Some(Given { option, value }))
    }
}

/// An option's value, read from left to right. The first mistake stays until the end, so that what reads it need not
/// look after each part.
pub struct Value<'a> {
    /// What is still to be read.
    pub rest: Text<'a>,
    mistake: Option<Errno>,
}

impl<'a> Value<'a> {
    /// All of `text`.
    pub fn new(text: Text<'a>) -> Self {
        Self { rest: text, mistake: None }
    }

    /// Takes `byte` where that is what comes next.
    pub fn take(&mut self, byte: u8) -> bool {
        let is_next = self.rest.first() == byte;
        if is_next {
            self.rest.next();
        }
        is_next
    }

    /// Takes `byte`, which must come next.
    #[inline(never)]
    pub fn expect(&mut self, byte: u8) {
        let is_next = self.take(byte);
        self.require(is_next);
    }

    /// Takes `text` where that is what comes next.
    #[inline(never)]
    pub fn take_text(&mut self, text: &[u8]) -> bool {
        let mut rest = self.rest;
        let is_next = text.iter().all(|&byte| rest.next() == Some(byte));
        if is_next {
            self.rest = rest;
        }
        is_next
    }

    /// Takes what comes before the next `end`, or all.
    #[inline(never)]
    pub fn take_until(&mut self, end: u8) {
        while self.rest.first() != end && self.rest.next().is_some() {}
    }

    /// Takes a number from 0 to `most` in digits below `radix`, which is 10 at the most; 0 where there is none.
    #[inline(never)]
    pub fn number(&mut self, radix: u8, most: u32) -> i32 {
        let mut number = 0_u64;
        let mut is_number = false;
        loop {
            let digit = self.rest.first().wrapping_sub(b'0');
            if digit >= radix {
                break;
            }
            number = number * u64::from(radix) + u64::from(digit);
            is_number = number <= u64::from(most);
            if !is_number {
                break;
            }
            self.rest.next();
        }
        self.require(is_number);
        if is_number { number as i32 } else { 0 }
    }

    /// Takes a number from 0 to 2,147,483,647 in decimal.
    #[inline(never)]
    pub fn decimal(&mut self) -> i32 {
        self.number(10, i32::MAX as u32)
    }

    /// Notes EINVAL unless `met`.
    #[inline(never)]
    pub fn require(&mut self, met: bool) {
        self.check(if met { Ok(()) } else { Err(Errno::new(EINVAL)) });
    }

    /// Notes a failure.
    #[inline(never)]
    pub fn check(&mut self, outcome: Result<(), Errno>) {
        self.mistake = self.mistake.or(outcome.err());
    }

    /// The first mistake, where there was one or something is left.
    pub fn finish(&mut self) -> Result<(), Errno> {
        self.require(self.rest.first() == 0);
        self.mistake.map_or(Ok(()), Err)
    }
}

/// A number from 0 to 2,147,483,647 in decimal digits and nothing else: no sign, no space, no suffix.
#[inline(never)]
pub fn decimal(text: Text) -> Option<i32> {
    let mut value = Value::new(text);
    let number = value.decimal();
    value.finish().ok().map(|()| number)
}
