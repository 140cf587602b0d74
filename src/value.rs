//! The value of an option, read from left to right, and the kinds of values that settings have.

use core::fmt;

use linux_raw_sys::errno::EINVAL;

use crate::errno::Errno;
use crate::text::Text;

/// What is wrong with a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mistake {
    /// It is malformed (EINVAL), or asks for a descriptor that cannot be had.
    Value(Errno),
    /// It asks to ignore or block KILL or STOP.
    FixedSignal,
}

impl Mistake {
    /// It is malformed.
    pub const MALFORMED: Self = Self::Value(Errno::new(EINVAL));
}

impl From<Errno> for Mistake {
    fn from(errno: Errno) -> Self {
        Self::Value(errno)
    }
}

/// An option's value, of which part after part is taken.
pub struct Value<'a> {
    rest: Text<'a>,
}

impl<'a> Value<'a> {
    /// All of `text`.
    pub const fn new(text: Text<'a>) -> Self {
        Self { rest: text }
    }

    /// What is still to be read.
    pub const fn rest(&self) -> Text<'a> {
        self.rest
    }

    /// Takes `byte` where that is what comes next; for an upper-case letter its lower-case one too.
    pub fn take(&mut self, byte: u8) -> bool {
        match self.rest.split_first() {
            Some((first, rest)) if first == byte || byte.is_ascii_uppercase() && first == byte | 0x20 => {
                self.rest = rest;
                true
            }
            _ => false,
        }
    }

    /// Takes `text` where that is what comes next.
    #[inline(never)]
    pub fn take_text(&mut self, text: &[u8]) -> bool {
        let mut value = Self { rest: self.rest };
        let is_next = text.iter().all(|&byte| value.take(byte));
        if is_next {
            self.rest = value.rest;
        }
        is_next
    }

    /// Takes what comes before the next `end`, or all. Returns how many bytes that were.
    #[inline(never)]
    pub fn take_until(&mut self, end: u8) -> usize {
        let mut taken = 0;
        while let Some((first, rest)) = self.rest.split_first()
            && first != end
        {
            (self.rest, taken) = (rest, taken + 1);
        }
        taken
    }

    /// Takes one of the words in `words`, each ended by a NUL, where what comes next is that word and then `end` or
    /// nothing. Returns its place.
    #[inline(never)]
    pub fn take_word(&mut self, words: &'static str, end: u8) -> Option<usize> {
        let (mut place, mut word) = (0, Some(Self { rest: self.rest }));
        for &byte in words.as_bytes() {
            if byte != 0 {
                word = word.and_then(|mut word| word.take(byte).then_some(word));
                continue;
            }
            if let Some(word) = word
                && (word.rest.first() == 0 || word.rest.first() == end)
            {
                self.rest = word.rest;
                return Some(place);
            }
            (place, word) = (place + 1, Some(Self { rest: self.rest }));
        }
        None
    }

    /// Takes a number from 0 to `most` in digits below `radix`, which is 10 at the most.
    #[inline(never)]
    pub fn large_number(&mut self, radix: u8, most: u64) -> Result<u64, Mistake> {
        let mut number = None;
        while let Some((byte, rest)) = self.rest.split_first()
            && byte.wrapping_sub(b'0') < radix
        {
            let shifted = number.unwrap_or(0_u64).checked_mul(radix.into());
            let longer = shifted.and_then(|shifted| shifted.checked_add((byte - b'0').into()));
            let longer = longer.filter(|&longer| longer <= most).ok_or(Mistake::MALFORMED)?;
            (number, self.rest) = (Some(longer), rest);
        }
        number.ok_or(Mistake::MALFORMED)
    }

    /// The same for what fits into 32 bits.
    #[inline(never)]
    pub fn number(&mut self, radix: u8, most: u32) -> Result<u32, Mistake> {
        self.large_number(radix, most.into()).map(|number| number as u32)
    }

    /// Takes a number from 0 to 2,147,483,647 in decimal.
    pub fn decimal(&mut self) -> Result<i32, Mistake> {
        self.number(10, i32::MAX as u32).map(|number| number as i32)
    }

    /// Takes a number from `low` to `high` in decimal, with a minus sign where it is negative.
    #[inline(never)]
    pub fn signed(&mut self, low: i32, high: i32) -> Result<i32, Mistake> {
        let is_negative = low < 0 && self.take(b'-');
        let number = self.decimal()?;
        let number = if is_negative { -number } else { number };
        require(low <= number && number <= high)?;
        Ok(number)
    }

    /// Takes a list of numbers and ranges of them, `5,7-9`, and hands the first and the last number of each to `add` until
    /// that fails.
    pub fn ranges(&mut self, mut add: impl FnMut(i32, i32) -> Result<(), Mistake>) -> Result<(), Mistake> {
        loop {
            let first = self.decimal()?;
            let last = if self.take(b'-') { self.decimal()? } else { first };
            require(first <= last)?;
            add(first, last)?;
            if !self.take(b',') {
                return Ok(());
            }
        }
    }

    /// Nothing may be left.
    pub fn finish(&self) -> Result<(), Mistake> {
        require(self.rest.first() == 0)
    }
}

/// EINVAL unless `met`.
pub fn require(met: bool) -> Result<(), Mistake> {
    if met { Ok(()) } else { Err(Mistake::MALFORMED) }
}

/// A number from 0 to 2,147,483,647 in decimal digits and nothing else: no sign, no space, no suffix.
#[inline(never)]
pub fn decimal(text: Text) -> Option<i32> {
    let mut value = Value::new(text);
    let number = value.decimal().ok()?;
    value.finish().is_ok().then_some(number)
}

/// Whether an option has a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arity {
    /// It has none.
    None,
    /// It may have one, after `=`. One that is left out is `0`.
    Optional,
    /// It must have one, after `=` or as the next argument.
    Required,
}

/// A kind of setting: how one is read from the option's value and written as the option.
///
/// What is too long to be held by value borrows the option's text for `'s`.
pub trait Kind<'s>: Sized {
    /// Whether the option has a value.
    const ARITY: Arity;

    /// Takes the option's value. Where the option is given again, a single value replaces the one before and lists add
    /// up.
    fn read(&mut self, value: &mut Value<'s>) -> Result<(), Mistake>;

    /// Hands the arguments that make this setting out of nothing to `add`: none where it is as it is by default.
    ///
    /// relay never calls it, so it is not in its file.
    fn write(&self, option: &str, add: &mut dyn FnMut(fmt::Arguments));

    /// Any setting of this kind, chosen by the numbers that `next` gives. For tests of what must hold for all settings.
    fn any(next: &mut dyn FnMut() -> u32) -> Self;
}

/// Whether something is to be done.
impl Kind<'_> for bool {
    const ARITY: Arity = Arity::None;

    fn read(&mut self, _: &mut Value) -> Result<(), Mistake> {
        *self = true;
        Ok(())
    }

    fn write(&self, option: &str, add: &mut dyn FnMut(fmt::Arguments)) {
        if *self {
            add(format_args!("{option}"));
        }
    }

    fn any(next: &mut dyn FnMut() -> u32) -> Self {
        next().is_multiple_of(2)
    }
}

/// A single value, whose [`fmt::Display`] is what [`Single::take`] reads.
pub trait Single<'s>: Copy + fmt::Display {
    /// Whether it can be left out.
    const ARITY: Arity = Arity::Required;

    /// Takes it.
    fn take(value: &mut Value<'s>) -> Result<Self, Mistake>;

    /// Any one; see [`Kind::any`].
    fn any(next: &mut dyn FnMut() -> u32) -> Self;
}

/// What is not asked for is left as it is.
impl<'s, T: Single<'s>> Kind<'s> for Option<T> {
    const ARITY: Arity = T::ARITY;

    fn read(&mut self, value: &mut Value<'s>) -> Result<(), Mistake> {
        *self = Some(T::take(value)?);
        Ok(())
    }

    fn write(&self, option: &str, add: &mut dyn FnMut(fmt::Arguments)) {
        if let Some(value) = self {
            add(format_args!("{option}={value}"));
        }
    }

    fn any(next: &mut dyn FnMut() -> u32) -> Self {
        bool::any(next).then(|| T::any(next))
    }
}

/// A number from `LOW` to `HIGH`, in decimal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Number<const LOW: i32, const HIGH: i32>(i32);

impl<const LOW: i32, const HIGH: i32> Number<LOW, HIGH> {
    /// Nothing where it is out of range.
    pub const fn new(number: i32) -> Option<Self> {
        if LOW <= number && number <= HIGH { Some(Self(number)) } else { None }
    }

    /// The same where it is known to be in range; else the lowest.
    pub const fn fixed(number: i32) -> Self {
        match Self::new(number) {
            Some(number) => number,
            None => Self(LOW),
        }
    }

    /// The number.
    pub const fn get(self) -> i32 {
        self.0
    }
}

impl<const LOW: i32, const HIGH: i32> Single<'_> for Number<LOW, HIGH> {
    fn take(value: &mut Value) -> Result<Self, Mistake> {
        value.signed(LOW, HIGH).map(Self)
    }

    fn any(next: &mut dyn FnMut() -> u32) -> Self {
        let count = HIGH.abs_diff(LOW).saturating_add(1);
        Self(LOW.wrapping_add_unsigned(next() % count))
    }
}

impl<const LOW: i32, const HIGH: i32> fmt::Display for Number<LOW, HIGH> {
    fn fmt(&self, out: &mut fmt::Formatter) -> fmt::Result {
        self.0.fmt(out)
    }
}

/// A process group: one of the program's own, or the one with this number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProcessGroup(u32);

impl ProcessGroup {
    /// From its identifier; 0 is one of the program's own. Nothing where it is too large for one.
    pub const fn new(id: u32) -> Option<Self> {
        if id <= i32::MAX as u32 { Some(Self(id)) } else { None }
    }

    /// Its identifier; 0 for one of the program's own.
    pub const fn id(self) -> u32 {
        self.0
    }
}

impl Single<'_> for ProcessGroup {
    const ARITY: Arity = Arity::Optional;

    fn take(value: &mut Value) -> Result<Self, Mistake> {
        value.decimal().map(|id| Self(id as u32))
    }

    fn any(next: &mut dyn FnMut() -> u32) -> Self {
        Self(next() % 3)
    }
}

impl fmt::Display for ProcessGroup {
    fn fmt(&self, out: &mut fmt::Formatter) -> fmt::Result {
        self.0.fmt(out)
    }
}

/// A number from 0 to `HIGH`, in octal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Octal<const HIGH: u32>(u32);

impl<const HIGH: u32> Octal<HIGH> {
    /// Nothing where it is out of range.
    pub const fn new(number: u32) -> Option<Self> {
        if number <= HIGH { Some(Self(number)) } else { None }
    }

    /// The number.
    pub const fn get(self) -> u32 {
        self.0
    }
}

impl<const HIGH: u32> Single<'_> for Octal<HIGH> {
    fn take(value: &mut Value) -> Result<Self, Mistake> {
        value.number(8, HIGH).map(Self)
    }

    fn any(next: &mut dyn FnMut() -> u32) -> Self {
        Self(next() % (HIGH + 1))
    }
}

impl<const HIGH: u32> fmt::Display for Octal<HIGH> {
    fn fmt(&self, out: &mut fmt::Formatter) -> fmt::Result {
        write!(out, "{:o}", self.0)
    }
}

/// The process that a program is to die with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parent {
    /// Whichever it is.
    Any,
    /// The one with this identifier, 1 or above.
    Process(u32),
}

impl Parent {
    /// From its identifier; 0 is whichever it is.
    pub const fn from_id(id: u32) -> Self {
        if id == 0 { Self::Any } else { Self::Process(id) }
    }

    /// Its identifier; 0 for whichever it is.
    pub const fn id(self) -> u32 {
        match self {
            Self::Any => 0,
            Self::Process(id) => id,
        }
    }
}

impl Single<'_> for Parent {
    const ARITY: Arity = Arity::Optional;

    fn take(value: &mut Value) -> Result<Self, Mistake> {
        value.decimal().map(|id| Self::from_id(id as u32))
    }

    fn any(next: &mut dyn FnMut() -> u32) -> Self {
        Self::from_id(next() % 3)
    }
}

impl fmt::Display for Parent {
    fn fmt(&self, out: &mut fmt::Formatter) -> fmt::Result {
        self.id().fmt(out)
    }
}
