//! The program's environment: the host's, to the byte, but for what is edited.

use std::borrow::Cow;
use std::ffi::{CStr, CString};

use exec_relay::text::{Strings, Text};

use crate::sys;

/// What a program's environment is made of.
#[derive(Clone, Debug, Default)]
pub struct Environment<'s> {
    base: Base<'s>,
    /// One for each name, in the order in which they were first asked for.
    edits: Vec<Edit>,
}

/// A variable that is set or removed.
#[derive(Clone, Debug)]
pub struct Edit {
    /// `NAME=VALUE`; of one that is removed, `NAME=`.
    pub variable: CString,
    /// How long the name is.
    pub name: usize,
    pub is_removed: bool,
}

impl Edit {
    pub fn name(&self) -> &[u8] {
        &self.variable.as_bytes()[..self.name]
    }

    /// Nothing where it is removed.
    pub fn value(&self) -> Option<&[u8]> {
        (!self.is_removed).then(|| &self.variable.as_bytes()[self.name + 1..])
    }
}

#[derive(Clone, Debug, Default)]
enum Base<'s> {
    /// The host's own.
    #[default]
    Inherited,
    /// These strings, whatever they are.
    Exactly(Vec<Cow<'s, CStr>>),
}

/// What tells a program of its sockets, and does not concern those that it starts; see sd_listen_fds(3).
const LISTENING: [&[u8]; 4] = [b"LISTEN_FDS", b"LISTEN_PID", b"LISTEN_FDNAMES", b"LISTEN_PIDFDID"];

impl<'s> Environment<'s> {
    /// Sets a variable, or removes it.
    pub fn edit(&mut self, edit: Edit) {
        match self.edits.iter_mut().find(|other| other.name() == edit.name()) {
            Some(other) => *other = edit,
            None => self.edits.push(edit),
        }
    }

    /// Starts anew from exactly these strings.
    pub fn replace(&mut self, strings: Vec<Cow<'s, CStr>>) {
        *self = Self { base: Base::Exactly(strings), edits: Vec::new() };
    }

    /// What is set and removed.
    pub fn edits(&self) -> &[Edit] {
        &self.edits
    }

    /// Whether nothing of the host's own is passed on.
    pub fn is_cleared(&self) -> bool {
        matches!(self.base, Base::Exactly(_))
    }

    /// The strings for a program that is `told` of its listening sockets by these variables. Nothing where it is told of
    /// none, or by relay, and the environment is the host's own: that is handed on unread, since another thread may be
    /// changing it.
    pub fn strings<'a>(&'a self, told: Option<[Text<'a>; 2]>) -> Option<impl Iterator<Item = Text<'a>> + Clone> {
        if matches!(self.base, Base::Inherited) && self.edits.is_empty() && told.is_none() {
            return None;
        }
        let (dropped, first): (&'static [&[u8]], _) = match &told {
            Some(_) => (&LISTENING, Some(self.set_for_sockets())),
            None => (&[], None),
        };
        let first = first.into_iter().flatten().map(Text::from).chain(told.into_iter().flatten());
        let set = self.set().filter(|variable| !is_any(variable, dropped)).map(Text::from);
        Some(first.chain(set).chain(self.kept(dropped)))
    }

    /// What is set of what describes the sockets further than LISTEN_FDS and LISTEN_PID do.
    pub fn set_for_sockets(&self) -> impl Iterator<Item = &CStr> + Clone {
        self.set().filter(|variable| is_any(variable, &LISTENING[2..]))
    }

    /// What is set beside what is inherited.
    fn set(&self) -> impl Iterator<Item = &CStr> + Clone {
        self.edits.iter().filter(|edit| !edit.is_removed).map(|edit| &*edit.variable)
    }

    /// What is inherited and neither edited nor one of `dropped`.
    fn kept<'a>(&'a self, dropped: &'static [&[u8]]) -> impl Iterator<Item = Text<'a>> + Clone {
        let (inherited, exactly) = match &self.base {
            Base::Inherited => (Some(sys::environment()), &[][..]),
            Base::Exactly(strings) => (None, &strings[..]),
        };
        let inherited = inherited.into_iter().flat_map(texts);
        inherited.chain(exactly.iter().map(|string| Text::from(string.as_ref()))).filter(move |text| {
            !self.edits.iter().any(|edit| is_named(*text, edit.name()))
                && !dropped.iter().any(|name| is_named(*text, name))
        })
    }
}

fn texts<'s>(vector: Strings<'s, 's>) -> impl Iterator<Item = Text<'s>> + Clone {
    let mut rest = vector;
    std::iter::from_fn(move || {
        let first;
        (first, rest) = rest.split_first()?;
        Some(first)
    })
}

/// Whether a string is `NAME=` and something. One that has no `=` has no name.
fn is_named(text: Text, name: &[u8]) -> bool {
    let mut bytes = text.bytes();
    name.iter().all(|&byte| bytes.next() == Some(byte)) && bytes.next() == Some(b'=')
}

fn is_any(variable: &CStr, names: &[&[u8]]) -> bool {
    names.iter().any(|name| is_named(Text::from(variable), name))
}
