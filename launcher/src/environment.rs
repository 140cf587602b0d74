//! The program's environment: the host's, to the byte, but for what is edited.

use std::ffi::{CStr, CString};

use exec_relay::text::{Strings, Text};

use crate::sys;
use crate::vector::{ListenPid, Vector};

/// What a program's environment is made of.
#[derive(Debug, Default)]
pub struct Environment {
    base: Base,
    /// By name: `NAME=VALUE`, or nothing to remove it. In the order in which they were first asked for.
    edits: Vec<(Vec<u8>, Option<CString>)>,
}

#[derive(Debug, Default)]
enum Base {
    /// The host's own.
    #[default]
    Inherited,
    /// These strings, whatever they are.
    Exactly(Vec<CString>),
}

/// What tells a program of its sockets, and does not concern those that it starts; see sd_listen_fds(3).
const LISTENING: [&[u8]; 4] = [b"LISTEN_FDS", b"LISTEN_PID", b"LISTEN_FDNAMES", b"LISTEN_PIDFDID"];

impl Environment {
    /// Sets the variable with this name, or removes it.
    pub fn edit(&mut self, name: Vec<u8>, variable: Option<CString>) {
        match self.edits.iter_mut().find(|(edited, _)| *edited == name) {
            Some(edit) => edit.1 = variable,
            None => self.edits.push((name, variable)),
        }
    }

    /// Starts anew from exactly these strings.
    pub fn replace(&mut self, strings: Vec<CString>) {
        *self = Self { base: Base::Exactly(strings), edits: Vec::new() };
    }

    /// The vector for a program that is told of no sockets, or is told of them by relay. Nothing where it is the host's
    /// own, which is handed on unread: another thread may be changing it.
    pub fn vector(&self) -> Option<Vector<'_>> {
        match &self.base {
            Base::Inherited if self.edits.is_empty() => None,
            _ => Some(Vector::new(self.set().map(Text::from).chain(self.kept(&[])))),
        }
    }

    /// The vector for a program that is told of `count`, as `LISTEN_FDS=` and a number, listening sockets.
    pub fn vector_with_sockets<'a>(&'a self, count: &'a CStr, process: &'a ListenPid) -> Vector<'a> {
        let for_sockets = self.set_for_sockets().map(Text::from);
        let told = for_sockets.chain([Text::from(count), process.text()]);
        let set = self.set().filter(|variable| !is_any(variable, &LISTENING)).map(Text::from);
        Vector::new(told.chain(set).chain(self.kept(&LISTENING)))
    }

    /// What is set of what describes the sockets further than LISTEN_FDS and LISTEN_PID do.
    pub fn set_for_sockets(&self) -> impl Iterator<Item = &CStr> {
        self.set().filter(|variable| is_any(variable, &LISTENING[2..]))
    }

    /// What is set beside what is inherited.
    fn set(&self) -> impl Iterator<Item = &CStr> {
        self.edits.iter().filter_map(|(_, variable)| variable.as_deref())
    }

    /// What is inherited and neither edited nor one of `dropped`.
    fn kept<'a>(&'a self, dropped: &'a [&[u8]]) -> impl Iterator<Item = Text<'a>> {
        let (inherited, exactly) = match &self.base {
            Base::Inherited => (Some(sys::environment()), &[][..]),
            Base::Exactly(strings) => (None, &strings[..]),
        };
        let inherited = inherited.into_iter().flat_map(texts);
        inherited.chain(exactly.iter().map(|string| Text::from(&**string))).filter(move |text| {
            !self.edits.iter().any(|(name, _)| is_named(*text, name))
                && !dropped.iter().any(|name| is_named(*text, name))
        })
    }
}

fn texts<'s>(vector: Strings<'s, 's>) -> impl Iterator<Item = Text<'s>> {
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
