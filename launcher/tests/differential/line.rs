//! The same request as relay's own command line, with the descriptors put in place here.

#![allow(unsafe_code)]

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{CString, OsStr, OsString};
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use crate::descriptors::{aside, close_on_exec, set_close_on_exec};
use crate::host::{Host, c_string, environment_pointer, vector};
use crate::request::{Ask, Request, Standard, tell_at};

/// A command line, and what the host has of it.
pub struct Line {
    arguments: Vec<CString>,
    /// What relay is to inherit.
    inherited: BTreeSet<RawFd>,
    /// The program's ends of pipes, and the like.
    given: Vec<OwnedFd>,
    /// Where relay reports.
    pub status: OwnedFd,
    /// The host's ends of the pipes by the program's number, that of the pulse included.
    pub pipes: BTreeMap<RawFd, OwnedFd>,
    /// The program's standard output, where it is a pipe.
    pub has_output: bool,
}

impl Line {
    /// Nothing where the request cannot be said so.
    pub fn new(request: &Request, host: &Host) -> io::Result<Option<Self>> {
        let (renames, kept) = (request.renames(), request.kept());
        // What is opened here must not become what the request names.
        let mut named: BTreeSet<RawFd> = renames.iter().flat_map(|&(to, from)| [to, from]).collect();
        named.extend(&kept);
        for ask in &request.asks {
            if let Ask::Execute(file) = ask {
                named.insert(*file);
            }
            if let Ask::Option(text) | Ask::Directory(text) = ask {
                // As in --ctty=5 and /proc/self/fd/5.
                let text = text.to_string_lossy();
                let numbers = text.split(|letter: char| !letter.is_ascii_digit());
                named.extend(numbers.filter_map(|number| number.parse::<RawFd>().ok()));
            }
        }
        let aside = |file: OwnedFd| aside(file, 3, |number| named.contains(&number));

        let (status, writer) = io::pipe()?;
        let (status, writer) = (aside(status.into())?, aside(writer.into())?);
        let told_on = writer.as_raw_fd();
        let mut line = Self {
            arguments: vec![c"relay".to_owned(), c_string(format!("--status={told_on}").as_bytes())],
            inherited: [told_on].into(),
            given: vec![writer],
            status,
            pipes: BTreeMap::new(),
            has_output: false,
        };
        // What the launcher does unasked.
        line.add("--nofile=1024:hard");
        for &(to, from) in &renames {
            line.add(format!("--fd={to}={from}"));
            line.inherited.insert(from);
        }
        if request.listening() > 0 {
            line.add(format!("--listen-fds={}", request.listening()));
        }
        for ask in &request.asks {
            match ask {
                Ask::Standard(number, Standard::Null) => {
                    let null = File::options().read(*number == 0).write(*number != 0).open("/dev/null")?;
                    line.give(*number, aside(null.into())?);
                }
                Ask::Standard(number, Standard::Piped) => {
                    let (reader, writer) = io::pipe()?;
                    let (reader, writer) = (aside(reader.into())?, aside(writer.into())?);
                    let (ours, theirs) = if *number == 0 { (writer, reader) } else { (reader, writer) };
                    line.has_output |= *number == 1;
                    line.pipes.insert(*number, ours);
                    line.give(*number, theirs);
                }
                Ask::Execute(file) => {
                    line.add(format!("--exec-fd={file}"));
                    line.inherited.insert(*file);
                }
                // Below, since their order is another one.
                Ask::Env(..) | Ask::EnvRemove(_) | Ask::EnvClear => {}
                _ => {
                    if let Some(option) = ask.option() {
                        line.add(option);
                    }
                }
            }
        }
        line.inherited.extend(&kept);
        if request.asks.iter().any(|ask| matches!(ask, Ask::Pulse)) {
            let is_open = |number: &RawFd| close_on_exec(*number).is_some();
            let is_taken =
                |number: &RawFd| renames.iter().any(|(to, _)| to == number) || kept.contains(number) && is_open(number);
            let number = (3..).find(|number| !is_taken(number)).expect("an endless supply");
            if kept.contains(&number) {
                // The launcher gives it a number that it was asked to keep closed. relay cannot be told both.
                return Ok(None);
            }
            let (reader, writer) = io::pipe()?;
            line.pipes.insert(number, aside(reader.into())?);
            line.give(number, aside(writer.into())?);
        }
        // relay would have to inherit what it gives to the program under another number, and leave it there too.
        let is_lent = |&number: &RawFd| !kept.contains(&number) && close_on_exec(number) == Some(true);
        if request.asks.iter().any(Ask::keeps_inherited)
            && line.inherited.iter().filter(|&&number| number != told_on).any(is_lent)
        {
            return Ok(None);
        }
        if !line.edit_environment(request) {
            return Ok(None);
        }
        line.add("--");
        line.add(&request.program);
        line.add(tell_at(host));
        for ask in &request.asks {
            if let Ask::Argument(argument) = ask {
                line.add(argument);
            }
        }
        Ok(Some(line))
    }

    fn add(&mut self, argument: impl AsRef<OsStr>) {
        self.arguments.push(c_string(argument.as_ref().as_bytes()));
    }

    fn give(&mut self, number: RawFd, theirs: OwnedFd) {
        self.add(format!("--fd={number}={}", theirs.as_raw_fd()));
        self.inherited.insert(theirs.as_raw_fd());
        self.given.push(theirs);
    }

    /// The launcher edits in the order of its calls, relay clears, removes and sets, so relay is told what is left of the
    /// calls in the end. False where it has no words for that.
    fn edit_environment(&mut self, request: &Request) -> bool {
        let (mut names, mut edits) = (Vec::new(), BTreeMap::new());
        let mut is_cleared = false;
        for ask in &request.asks {
            match ask {
                Ask::Env(name, _) | Ask::EnvRemove(name) => {
                    if name.is_empty() {
                        // A mistake, which the launcher remembers whatever comes after it.
                        self.add(ask.option().expect("it has one"));
                    }
                    if edits.insert(name.clone(), ask.option().expect("it has one")).is_none() {
                        names.push(name.clone());
                    }
                }
                Ask::EnvClear => {
                    is_cleared = true;
                    (names, edits) = (Vec::new(), BTreeMap::new());
                }
                Ask::Option(option) if option.as_bytes().starts_with(b"--env=") && option != "--env=X" => return false,
                _ => {}
            }
        }
        if is_cleared {
            self.add("--clear-env");
        }
        let options: Vec<OsString> = names.iter().filter_map(|name| edits.remove(name)).collect();
        options.into_iter().for_each(|option| self.add(OsString::from_vec(option.into_vec())));
        true
    }

    /// Starts relay in a child that changes nothing first. Its number. What only the child needs is closed here.
    pub fn start(&mut self, host: &Host) -> i32 {
        let program = c_string(host.task.relay.as_os_str().as_bytes());
        let (arguments, environment) = (vector(&self.arguments), environment_pointer());
        // Nobody else starts a process meanwhile.
        let marked: Vec<_> =
            self.inherited.iter().copied().filter(|&number| close_on_exec(number) == Some(true)).collect();
        marked.iter().for_each(|&number| set_close_on_exec(number, false));
        // SAFETY: the child only makes system calls, on memory that was laid out before: the C library's functions for
        // these two are nothing else. The strings live until here, and the vectors end with NULL.
        let id = unsafe {
            let id = libc::fork();
            if id == 0 {
                libc::execve(program.as_ptr(), arguments.as_ptr(), environment);
                libc::_exit(99);
            }
            id
        };
        marked.iter().for_each(|&number| set_close_on_exec(number, true));
        assert!(id > 0, "no child: {}", io::Error::last_os_error());
        self.given.clear();
        id
    }
}
