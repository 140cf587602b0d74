//! Vectors of strings as execve(2) takes them.

use std::cell::Cell;
use std::ffi::{CStr, c_char};
use std::marker::PhantomData;
use std::ptr;

use exec_relay::text::{Strings, Text, each_digit};

/// The vectors of one execve(2), in one block of memory: `argv`, and `envp` where nobody else has one. Their strings are
/// borrowed for `'s`.
pub struct Vectors<'s> {
    /// One vector after the other, each ended by a NULL.
    pointers: Vec<*const c_char>,
    /// Where `envp` begins.
    environment: Option<usize>,
    strings: PhantomData<&'s CStr>,
}

impl<'s> Vectors<'s> {
    pub fn new(
        arguments: impl Iterator<Item = Text<'s>> + Clone,
        environment: Option<impl Iterator<Item = Text<'s>> + Clone>,
    ) -> Self {
        // Counted first, so that there is one allocation.
        let variables = environment.clone().map_or(0, |strings| strings.count() + 1);
        let mut pointers = Vec::with_capacity(arguments.clone().count() + 1 + variables);
        let mut add = |strings: &mut dyn Iterator<Item = Text<'s>>| {
            let begin = pointers.len();
            pointers.extend(strings.map(Text::as_ptr).chain([ptr::null()]));
            begin
        };
        add(&mut { arguments });
        let environment = environment.map(|mut strings| add(&mut strings));
        Self { pointers, environment, strings: PhantomData }
    }

    pub fn arguments(&self) -> Strings<'_, 's> {
        // SAFETY: a vector that ends with a NULL (1) and is borrowed (2), of strings that are borrowed (3).
        unsafe { Strings::new(self.pointers.as_ptr()) }
    }

    /// Nothing where it was made without one.
    pub fn environment(&self) -> Option<Strings<'_, 's>> {
        let environment = self.pointers.get(self.environment?..)?;
        // SAFETY: as above: what begins there ends with a NULL of its own.
        Some(unsafe { Strings::new(environment.as_ptr()) })
    }
}

/// One of the variables LISTEN_FDS and LISTEN_PID, whose names are equally long. The second one is written when there is
/// a process whose number it names.
#[derive(Default)]
pub struct Listening([Cell<u8>; Self::SIZE]);

impl Listening {
    /// How long `LISTEN_FDS=` is, and `LISTEN_PID=`.
    const NAME: usize = 11;
    /// The name, the ten digits that a number has at the most, and a NUL, which is never written over.
    const SIZE: usize = Self::NAME + 10 + 1;

    /// The string, empty at first.
    pub fn text(&self) -> Text<'_> {
        // SAFETY: it ends with a NUL (1) and is borrowed (2). Its bytes change while it is borrowed, but only in `set`, which
        // nobody calls while another reads.
        unsafe { Text::new(self.0.as_ptr().cast()) }
    }

    /// Allocates nothing, so that the child can call it.
    pub fn set(&self, name: &[u8; Self::NAME], number: u32) {
        let mut cells = self.0.iter().take(Self::SIZE - 1);
        let mut add = |byte| _ = cells.next().map(|cell| cell.set(byte));
        name.iter().for_each(|&byte| add(byte));
        each_digit(number, &mut add);
    }
}
