//! Strings and vectors of strings as the kernel hands them on, and tables of texts.
//!
//! A slice of `&str` holds pointers, which a position-independent file must relocate before it can use them. The tables
//! here hold none: their texts stand one after the other, each ended by a NUL.

#![allow(unsafe_code)]

use core::ffi::{CStr, c_char};
use core::fmt::{self, Write};
use core::iter;
use core::marker::PhantomData;
use core::ptr::NonNull;

/// A NUL-terminated string, read byte by byte from the left.
///
/// One pointer, where a `&CStr` is two words, one of them a length that must be counted first.
#[derive(Clone, Copy)]
pub struct Text<'a> {
    first: NonNull<u8>,
    string: PhantomData<&'a CStr>,
}

// SAFETY: a loan of bytes that nobody changes, as a `&CStr` is, which both can be said of.
unsafe impl Send for Text<'_> {}
// SAFETY: the same.
unsafe impl Sync for Text<'_> {}

impl<'a> Text<'a> {
    /// Takes a string that somebody else has.
    ///
    /// # Safety
    ///
    /// 1. `first` must point to bytes that end with a NUL.
    /// 2. They must neither change nor go away during `'a`.
    pub const unsafe fn new(first: *const c_char) -> Self {
        // SAFETY: what points to bytes (1) is not NULL.
        Self { first: unsafe { NonNull::new_unchecked(first.cast_mut().cast()) }, string: PhantomData }
    }

    /// The bytes before the first NUL; nothing where the last one is not a NUL.
    pub fn within(bytes: &'a [u8]) -> Self {
        match bytes {
            // SAFETY: there is a NUL (1), and the loan lasts for 'a (2).
            [.., 0] => unsafe { Self::new(bytes.as_ptr().cast()) },
            _ => Self::default(),
        }
    }

    /// The first byte; at the end, the NUL.
    pub fn first(self) -> u8 {
        // SAFETY: a text begins no further than its NUL, which is readable too.
        unsafe { self.first.read() }
    }

    /// The first byte and what follows it; nothing at the end.
    pub fn split_first(self) -> Option<(u8, Self)> {
        let first = self.first();
        // SAFETY: where the first byte is not the NUL, that stands further on.
        (first != 0).then(|| (first, Self { first: unsafe { self.first.add(1) }, string: PhantomData }))
    }

    /// All bytes before the NUL.
    pub fn bytes(self) -> impl Iterator<Item = u8> + use<'a> {
        let mut rest = self;
        iter::from_fn(move || {
            let first;
            (first, rest) = rest.split_first()?;
            Some(first)
        })
    }

    /// The same string with its length.
    pub fn as_c_str(self) -> &'a CStr {
        // SAFETY: made from a string that lasts for 'a, and still ends with that one's NUL.
        unsafe { CStr::from_ptr(self.as_ptr()) }
    }

    /// As a C function takes it.
    pub fn as_ptr(self) -> *const c_char {
        self.first.as_ptr().cast()
    }
}

impl<'a> From<&'a CStr> for Text<'a> {
    fn from(string: &'a CStr) -> Self {
        // SAFETY: a string (1), and the loan lasts for 'a (2).
        unsafe { Self::new(string.as_ptr()) }
    }
}

impl PartialEq for Text<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.as_c_str() == other.as_c_str()
    }
}

impl Eq for Text<'_> {}

impl fmt::Debug for Text<'_> {
    fn fmt(&self, out: &mut fmt::Formatter) -> fmt::Result {
        self.as_c_str().fmt(out)
    }
}

/// What is not UTF-8 is replaced.
impl fmt::Display for Text<'_> {
    fn fmt(&self, out: &mut fmt::Formatter) -> fmt::Result {
        self.as_c_str().to_bytes().utf8_chunks().try_for_each(|chunk| {
            out.write_str(chunk.valid())?;
            if chunk.invalid().is_empty() { Ok(()) } else { out.write_char(char::REPLACEMENT_CHARACTER) }
        })
    }
}

/// The empty one.
impl Default for Text<'_> {
    #[inline(never)]
    fn default() -> Self {
        c"".into()
    }
}

/// A NULL-terminated vector of pointers to NUL-terminated strings, as `execve` takes it: `argv` or `envp`.
///
/// The vector is borrowed for `'v`; its strings, which may last longer, for `'s`.
#[derive(Clone, Copy)]
pub struct Strings<'v, 's> {
    first: *const *const c_char,
    vector: PhantomData<&'v &'s CStr>,
}

impl<'s> Strings<'_, 's> {
    /// Takes a vector that somebody else laid out.
    ///
    /// # Safety
    ///
    /// 1. `first` must point to pointers, the last of which is NULL.
    /// 2. They must neither change nor go away during `'v`.
    /// 3. The others must point to strings, which neither change nor go away during `'s`.
    pub const unsafe fn new(first: *const *const c_char) -> Self {
        Self { first, vector: PhantomData }
    }

    /// The first string, where there is one.
    pub fn first(self) -> Option<Text<'s>> {
        // SAFETY: a vector has at least its NULL.
        let first = NonNull::new(unsafe { *self.first }.cast_mut())?;
        Some(Text { first: first.cast(), string: PhantomData })
    }

    /// The first string and the vector that begins after it; nothing at the end.
    pub fn split_first(self) -> Option<(Text<'s>, Self)> {
        let first = self.first()?;
        // SAFETY: there is a string, so the NULL stands further on: what begins there is a vector too.
        Some((first, Self { first: unsafe { self.first.add(1) }, vector: PhantomData }))
    }

    /// The last string, where there is one.
    pub fn last(self) -> Option<Text<'s>> {
        let (mut last, mut rest) = self.split_first()?;
        while let Some(next) = rest.split_first() {
            (last, rest) = next;
        }
        Some(last)
    }

    /// The string at `index`, where there is one.
    pub fn get(self, index: usize) -> Option<Text<'s>> {
        let mut rest = self;
        for _ in 0..index {
            rest = rest.split_first()?.1;
        }
        rest.first()
    }

    /// How many strings there are.
    pub fn count(self) -> usize {
        let (mut count, mut rest) = (0, self);
        while let Some((_, next)) = rest.split_first() {
            (count, rest) = (count + 1, next);
        }
        count
    }

    /// As a system call takes it.
    pub fn as_ptr(self) -> *const *const c_char {
        self.first
    }
}

/// The text at `place` in `texts`, where each ends with a NUL; nothing beyond the last one.
#[inline(never)]
pub fn text_at(texts: &'static str, place: usize) -> Text<'static> {
    let (mut texts, mut place) = (texts.as_bytes(), place);
    while place > 0
        && let Some((&byte, rest)) = texts.split_first()
    {
        place -= usize::from(byte == 0);
        texts = rest;
    }
    Text::within(texts)
}

/// How many texts there are in `texts`, each ended by a NUL.
pub const fn count_texts(texts: &str) -> usize {
    let (mut count, mut index) = (0, 0);
    while index < texts.len() {
        count += (texts.as_bytes()[index] == 0) as usize;
        index += 1;
    }
    count
}

/// An enum each variant of which has a text, all of them in one table without pointers.
///
/// `ALL` has the variants in the order of their places, and `text()` gives the text of one.
#[macro_export]
#[doc(hidden)]
macro_rules! enum_of_texts {
    ($(#[$meta:meta])* $visibility:vis enum $name:ident { $($(#[$doc:meta])* $variant:ident = $text:expr,)* }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(u8)]
        $visibility enum $name { $($(#[$doc])* $variant),* }

        impl $name {
            /// All of them, in the order of their numbers.
            #[doc(hidden)]
            $visibility const ALL: &[Self] = &[$(Self::$variant),*];
            /// Their texts, each ended by a NUL.
            pub(crate) const TEXTS: &'static str = concat!($($text, "\0"),*);

            /// Its text.
            #[doc(hidden)]
            $visibility fn text(self) -> $crate::text::Text<'static> {
                $crate::text::text_at(Self::TEXTS, self as usize)
            }
        }

        // One text for each variant: one that held a NUL would move those after it.
        const _: () = assert!($crate::text::count_texts($name::TEXTS) == $name::ALL.len());
    };
}

/// The place for a number in decimal, as a text: a sign, twenty digits and the NUL.
#[derive(Default)]
pub struct Digits([u8; 22]);

impl Digits {
    /// The digits of `number`, with a minus sign before them where it `is_negative`.
    #[inline(never)]
    pub fn of(&mut self, mut number: u64, is_negative: bool) -> Text<'_> {
        // From the last one; the NUL is there.
        let mut first = self.0.len() - 1;
        let mut put = |byte| {
            first -= 1;
            if let Some(place) = self.0.get_mut(first) {
                *place = byte;
            }
        };
        while {
            put(b'0' + (number % 10) as u8);
            number /= 10;
            number != 0
        } {}
        if is_negative {
            put(b'-');
        }
        Text::within(self.0.get(first..).unwrap_or_default())
    }
}

/// Hands a number's decimal digits to `add`, the highest first.
pub fn each_digit(number: u32, add: &mut impl FnMut(u8)) {
    if number >= 10 {
        each_digit(number / 10, add);
    }
    add(b'0' + (number % 10) as u8);
}
