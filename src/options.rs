//! relay's own arguments, and the options among them.
//!
//! Not by a crate: what the records need, the index of each argument, getargs does not tell, and has not been released
//! since 2022; the larger parsers want an allocator. It is a table and one function.

use core::ffi::CStr;
use core::slice;

use linux_raw_sys::errno::EINVAL;

use crate::status::{Failure, Step};
use crate::sys::{Errno, Strings, after};
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
    /// Its value; empty where it has none.
    pub value: &'a CStr,
}

impl<'a> Arguments<'a> {
    /// All of a program's arguments but its name.
    pub fn new(mut arguments: Strings<'a>) -> Self {
        arguments.next();
        Self { rest: arguments, index: 1 }
    }

    /// Takes the next argument; `missing` is the step that failed where there is none.
    pub fn take(&mut self, missing: Step) -> Result<&'a CStr, Failure> {
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
        let Some([b'-', ..]) = self.rest.first().map(CStr::to_bytes) else { return Ok(None) };
        let argument = self.take(Step::UNKNOWN_OPTION)?;
        // What remains of a lone "-", or of one that another character follows, is the name of no option.
        let long = if argument.to_bytes().starts_with(b"--") { after(argument, 2) } else { c"-" };
        if long.is_empty() {
            return Ok(None);
        }
        let length = long.to_bytes().iter().take_while(|&&byte| byte != b'=').count();
        let name = long.to_bytes().get(..length).unwrap_or_default();
        let option = words::place_of(NAMES, name).ok_or(self.mistake(Step::UNKNOWN_OPTION))? as u8;
        let value = match long.to_bytes().get(length) {
            Some(_) if option < DIE_WITH_PARENT => return Err(self.mistake(Step::VALUE_UNEXPECTED)),
            Some(_) => after(long, length + 1),
            None if option < DIE_WITH_PARENT => c"",
            // Whichever the parent is.
            None if option == DIE_WITH_PARENT => c"0",
            None => self.take(Step::VALUE_MISSING)?,
        };
        Ok(Some(Given { option, value }))
    }
}

/// An option's value, read from left to right. The first mistake stays until the end, so that what reads it need not
/// look after each part.
pub struct Value<'a> {
    rest: slice::Iter<'a, u8>,
    mistake: Option<Errno>,
}

impl<'a> Value<'a> {
    /// All of `text`.
    pub fn new(text: &'a [u8]) -> Self {
        Self { rest: text.iter(), mistake: None }
    }

    /// Takes `byte` where that is what comes next.
    #[inline(never)]
    pub fn take(&mut self, byte: u8) -> bool {
        let is_next = self.rest.as_slice().first() == Some(&byte);
        if is_next {
            self.rest.next();
        }
        is_next
    }

    /// Takes `text` where that is what comes next.
    #[inline(never)]
    pub fn take_text(&mut self, text: &[u8]) -> bool {
        let mut rest = self.rest.clone();
        let is_next = text.iter().all(|byte| rest.next() == Some(byte));
        if is_next {
            self.rest = rest;
        }
        is_next
    }

    /// Takes what comes before the next `end`, or all.
    pub fn take_until(&mut self, end: u8) -> &'a [u8] {
        let text = self.rest.as_slice();
        let length = text.iter().take_while(|&&byte| byte != end).count();
        let (taken, rest) = text.split_at_checked(length).unwrap_or_default();
        self.rest = rest.iter();
        taken
    }

    /// Takes a number from 0 to 2,147,483,647 in digits below `radix`, which is 10 at the most.
    #[inline(never)]
    pub fn number(&mut self, radix: u8) -> i32 {
        let mut number = None;
        while let Some(digit) = self.rest.as_slice().first().map(|byte| byte.wrapping_sub(b'0'))
            && digit < radix
        {
            let shifted = number.unwrap_or(0_i32).checked_mul(radix.into());
            number = shifted.and_then(|shifted| shifted.checked_add(digit.into()));
            if number.is_none() {
                break;
            }
            self.rest.next();
        }
        self.require(number.is_some());
        number.unwrap_or(0)
    }

    /// Takes a number in decimal.
    pub fn decimal(&mut self) -> i32 {
        self.number(10)
    }

    /// Notes EINVAL unless `met`.
    pub fn require(&mut self, met: bool) {
        self.check(if met { Ok(()) } else { Err(Errno::new(EINVAL)) });
    }

    /// Notes a failure.
    #[inline(never)]
    pub fn check(&mut self, outcome: Result<(), Errno>) {
        self.mistake = self.mistake.or(outcome.err());
    }

    /// The first mistake, where there was one or something is left.
    pub fn finish(mut self) -> Result<(), Errno> {
        self.require(self.rest.as_slice().is_empty());
        self.mistake.map_or(Ok(()), Err)
    }
}

/// A number from 0 to 2,147,483,647 in decimal digits and nothing else: no sign, no space, no suffix.
#[inline(never)]
pub fn decimal(text: &[u8]) -> Option<i32> {
    let mut value = Value::new(text);
    let number = value.decimal();
    value.finish().ok().map(|()| number)
}
