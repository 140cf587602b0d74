//! The initial stack, as the kernel lays it out for a new program:
//!
//! ```text
//! stack pointer -> argc
//!                  argv[0] .. argv[argc - 1]   pointers to strings further up
//!                  NULL
//!                  envp[0] ..
//!                  NULL
//!                  auxv ..
//! ```
//!
//! and the editing of the two vectors in place. Edits of the environment are kept in the first slots, in the place of what
//! has been read: argc, relay's name, its options. There is always room, and nothing is copied elsewhere: each `--env` and
//! `--unset` has a slot, and the three variables of `--listen-fds` have its own and those of argc and relay's name.
//!
//! What all this costs grows little faster than their number: the edits are sorted, and each variable that was inherited is
//! looked up among them.

#![allow(unsafe_code)]

use core::cmp::Ordering;
use core::ffi::{CStr, c_char};
use core::ptr::{null, swap};

use exec_relay::options::{Arguments, Name, Other};
use exec_relay::request::Request;
use exec_relay::text::{Strings, Text};

use crate::line::Line;
use crate::texts::Phrase;

/// The two vectors on the initial stack, and the right to change them.
pub struct InitialStack {
    /// argc, and behind it `argv`.
    slots: *mut *const c_char,
    environment: *mut *const c_char,
    /// How many edits stand in the first slots: `NAME=VALUE` for a variable that is set, `NAME` for one that is removed.
    edits: usize,
}

impl InitialStack {
    /// Finds the vectors.
    ///
    /// # Safety
    ///
    /// 1. `stack_pointer` must be the stack pointer at the program's entry.
    /// 2. Nobody else may change what lies above it.
    pub unsafe fn new(stack_pointer: *mut usize) -> Self {
        let slots = stack_pointer.cast::<*const c_char>();
        // SAFETY: the picture above is the contract of execve(2), and argc counts the pointers before the first NULL (1).
        Self { slots, environment: unsafe { slots.add(1 + *stack_pointer + 1) }, edits: 0 }
    }

    /// `argv`. Empty where the launcher gave none, not even a name for the program (Linux before 5.18).
    pub fn arguments(&self) -> Strings<'_, 'static> {
        // SAFETY: the vector ends with its NULL (1). Its slots change in `with_vectors` alone, which ends this loan (2).
        // The strings stay as long as the process (3): nobody writes to them.
        unsafe { Strings::new(self.slots.add(1)) }
    }

    /// `envp`.
    pub fn environment(&self) -> Strings<'_, 'static> {
        // SAFETY: as above.
        unsafe { Strings::new(self.environment) }
    }

    /// Edits both vectors as the request asks, and calls `exec` with those of the program. `process` is the number of this
    /// process, for listening sockets.
    ///
    /// This is the end of the stack: where `exec` returns, the vectors hold pointers to what is gone.
    ///
    /// # Safety
    ///
    /// 1. `request` must have been read, without a mistake, from the arguments of this stack.
    pub unsafe fn with_vectors<T>(
        mut self,
        request: &Request,
        process: u32,
        exec: impl FnOnce(Strings, Strings) -> T,
    ) -> T {
        // SAFETY: as in `arguments`, but for the slots that change below: those that this reading has left behind (2).
        let mut arguments = Arguments::new(unsafe { Strings::new(self.slots.add(1)) });
        let has_sockets = request.listening > 0;
        while let Ok(Some(given)) = arguments.take_option() {
            match given.name {
                // SAFETY: the vector has at least its NULL.
                Name::Other(Other::ClearEnv) => unsafe { *self.environment = null() },
                Name::Other(Other::Unset | Other::Env) => {
                    if !has_sockets || !tells_of_sockets(given.value) {
                        self.add(given.value);
                    }
                }
                Name::Setting(_)
                | Name::Other(
                    Other::Help
                    | Other::Version
                    | Other::Report
                    | Other::Fd
                    | Other::Keep
                    | Other::Close
                    | Other::Pulse
                    | Other::ListenFds
                    | Other::Chdir
                    | Other::Cgroup
                    | Other::ExecFd
                    | Other::Argv0
                    | Other::Status,
                ) => {}
            }
        }
        if has_sockets { self.with_sockets(request, process, exec) } else { self.with_edits(request, exec) }
    }

    /// Adds the variables that tell of listening sockets. Out of line, so that only who asks for them has this line on the
    /// stack.
    #[inline(never)]
    fn with_sockets<T>(mut self, request: &Request, process: u32, exec: impl FnOnce(Strings, Strings) -> T) -> T {
        let mut line = Line::about(request.listening, request.listening_names);
        line.add_string(Phrase::ListenFds);
        let second = line.length();
        line.set_number(process);
        line.add_string(Phrase::ListenPid);
        let third = line.length();
        line.add_string(Phrase::ListenNames);
        self.add(line.text_from(0));
        self.add(line.text_from(second));
        if request.listening_names.first() != 0 {
            self.add(line.text_from(third));
        }
        self.with_edits(request, exec)
    }

    /// Applies the edits, and calls `exec`.
    #[inline(never)]
    fn with_edits<T>(mut self, request: &Request, exec: impl FnOnce(Strings, Strings) -> T) -> T {
        self.apply(request.listening > 0);
        let first = 1 + request.program.argument as usize;
        // SAFETY: the program's arguments begin at `first`, no more than argc further than argc; what is before that is
        // relay's own, and has at least as many slots as there are edits (see the top of this file).
        unsafe {
            if let Some(name) = request.argv0 {
                *self.slots.add(first) = name.as_ptr();
            }
            self.insert(first);
            let arguments = Strings::new(self.slots.add(first).sub(self.edits));
            exec(arguments, Strings::new(self.environment.sub(self.edits)))
        }
    }

    /// Notes an edit. It stands in one of the first slots until the end; the top of this file says why there are enough of
    /// them.
    fn add(&mut self, edit: Text) {
        // SAFETY: this slot has been read.
        unsafe { *self.slots.add(self.edits) = edit.as_ptr() };
        self.edits += 1;
    }

    /// The edit in a slot.
    fn edit(&self, slot: usize) -> Text<'static> {
        // SAFETY: the slots before `edits` hold strings (1), which stay until exec (2).
        unsafe { Text::new(*self.slots.add(slot)) }
    }

    /// Makes the edits what is to be added to the environment, and takes from that what they replace or remove.
    fn apply(&mut self, has_sockets: bool) {
        if self.edits == 0 {
            return;
        }
        self.sort();
        self.strip_inherited(has_sockets);
        let edits = self.edits;
        // Of those with one name, the last that sets it.
        self.edits = 0;
        for slot in 0..edits {
            let edit = self.edit(slot);
            if !is_variable(edit) {
                continue;
            }
            if self.edits > 0 && compare_names(self.edit(self.edits - 1), edit).is_eq() {
                self.edits -= 1;
            }
            self.add(edit);
        }
    }

    /// Sorts the edits by their names, and those with one name as they were given.
    ///
    /// A shellsort: it needs no memory and next to no code. With gaps that shrink by 4/9 it takes about n to the power of
    /// 1.25 steps, 40,000 edits less than a million.
    ///
    /// The order in which arguments were given is that of their addresses: execve(2) lays the strings of a vector out one
    /// behind the other. What relay itself has made lies below them all, so what the caller gives counts for more.
    fn sort(&mut self) {
        let mut gap = self.edits;
        while gap > 1 {
            gap = (gap * 4 / 9).max(1);
            for end in gap..self.edits {
                let mut slot = end;
                while slot >= gap {
                    let (left, right) = (self.edit(slot - gap), self.edit(slot));
                    if compare_names(left, right).then(left.as_ptr().cmp(&right.as_ptr())).is_le() {
                        break;
                    }
                    // SAFETY: both slots are before `edits`.
                    unsafe { swap(self.slots.add(slot - gap), self.slots.add(slot)) };
                    slot -= gap;
                }
            }
        }
    }

    /// Whether one of the sorted edits has the name of `variable`.
    fn has_edit(&self, variable: Text) -> bool {
        let (mut first, mut end) = (0, self.edits);
        while first < end {
            let middle = first + (end - first) / 2;
            match compare_names(self.edit(middle), variable) {
                Ordering::Less => first = middle + 1,
                Ordering::Equal => return true,
                Ordering::Greater => end = middle,
            }
        }
        false
    }

    /// Takes from what was inherited what the sorted edits replace or remove, and what names the sockets of another launch.
    /// What has no `=` stays: it is no variable.
    fn strip_inherited(&mut self, has_sockets: bool) {
        let (mut from, mut to) = (self.environment, self.environment);
        // SAFETY: `from` stops at the NULL that ends the vector, once that is moved too; `to` never overtakes it. What
        // comes before the NULL are strings, which stay.
        unsafe {
            loop {
                *to = *from;
                if (*from).is_null() {
                    return;
                }
                let text = Text::new(*from);
                let of_sockets = |name: &'static CStr| compare_names(text, name.into()).is_eq();
                let is_gone = self.has_edit(text)
                    || has_sockets && (of_sockets(c"LISTEN_FDNAMES") || of_sockets(c"LISTEN_PIDFDID"));
                to = to.add(usize::from(!is_gone || !is_variable(text)));
                from = from.add(1);
            }
        }
    }

    /// Moves the edits between the program's arguments, which begin at the slot `first`, and the environment.
    ///
    /// # Safety
    ///
    /// 1. `self.edits` must be no more than `first`.
    /// 2. `first` must be no more than argc + 1.
    #[inline(never)]
    unsafe fn insert(&mut self, first: usize) {
        if self.edits == 0 {
            return;
        }
        // SAFETY: all slots are those from the first (1) to the NULL after the program's arguments (2), behind which the
        // environment begins.
        unsafe {
            let program = self.slots.add(first);
            let mut end = program;
            while !(*end).is_null() {
                end = end.add(1);
            }
            // From "edits, free, program" to "free, edits, program" to "free, program, edits".
            reverse(self.slots, program);
            reverse(program, end.add(1));
            reverse(program.sub(self.edits), end.add(1));
        }
    }
}

/// Whether an edit is of a variable that nobody but relay can know.
fn tells_of_sockets(edit: Text) -> bool {
    compare_names(edit, c"LISTEN_FDS".into()).is_eq() || compare_names(edit, c"LISTEN_PID".into()).is_eq()
}

/// Whether a string of the environment is a variable, `NAME=VALUE`.
fn is_variable(text: Text) -> bool {
    text.bytes().any(|byte| byte == b'=')
}

/// Compares the names of two variables, what comes before a `=` or the end.
#[inline(never)]
fn compare_names(mut left: Text, mut right: Text) -> Ordering {
    loop {
        match (split_name(left), split_name(right)) {
            (Some((first, left_rest)), Some((other, right_rest))) if first == other => {
                (left, right) = (left_rest, right_rest);
            }
            (first, other) => return first.map(|(first, _)| first).cmp(&other.map(|(other, _)| other)),
        }
    }
}

/// The first byte of a name and what follows it; nothing at its end.
fn split_name(name: Text<'_>) -> Option<(u8, Text<'_>)> {
    name.split_first().filter(|&(first, _)| first != b'=')
}

/// Reverses the slots from `first` to before `end`.
///
/// # Safety
///
/// 1. They must be in one vector, which nobody else reads or changes.
unsafe fn reverse(mut first: *mut *const c_char, mut end: *mut *const c_char) {
    // SAFETY: the two stay in the vector (1), since they go towards each other and stop where they meet.
    unsafe {
        while first < end {
            end = end.sub(1);
            swap(first, end);
            first = first.add(1);
        }
    }
}
