//! `--report`: the slate that relay itself was started on, a fact a line.
//!
//! A line is `name: value`. Where a fresh process has another value, that follows, as ` (default VALUE)` or ` (of ALL)`. What
//! cannot be told here is `unknown`; only where descriptors or signals cannot be listed is that a failure.

use exec_relay::attribute::Attribute;
use exec_relay::capability;
use exec_relay::errno::Errno;
use exec_relay::scheduling::{
    IoClass, MOST_PROCESSORS, NO_PROCESSORS, ProcessorMask, Processors, io_class_name, policy_name,
};
use exec_relay::signal::{self, SignalSet};
use exec_relay::status::{Failure, Step};
use exec_relay::steps::is_io_flusher;
use exec_relay::sweep::{self, Listed};
use exec_relay::sys::{self, Descriptor, EntryBuffer, FREE_LINK, OwnedFile};
use exec_relay::text::{Strings, Text, text_at};
use exec_relay::{limit, own_file};
use linux_raw_sys::errno::{EBADF, EINVAL, ENXIO};
use linux_raw_sys::general::{O_NONBLOCK, O_RDONLY, RLIMIT_NOFILE, SCHED_RESET_ON_FORK};
use linux_raw_sys::prctl::{
    PR_CAP_AMBIENT_IS_SET, PR_CAPBSET_READ, PR_GET_CHILD_SUBREAPER, PR_GET_IO_FLUSHER, PR_GET_MDWE,
    PR_GET_MEMORY_MERGE, PR_GET_NO_NEW_PRIVS, PR_GET_PDEATHSIG, PR_GET_SECCOMP, PR_GET_SECUREBITS, PR_GET_THP_DISABLE,
    PR_GET_TIMERSLACK, PR_GET_TSC, PR_MCE_KILL_DEFAULT, PR_MCE_KILL_GET, PR_TSC_ENABLE,
};

use crate::line::Line;
use crate::texts::{Fact, OwnFile, Phrase};

/// Prints it. `arguments` and `environment` are relay's own.
#[inline(never)]
pub fn print(arguments: Strings, environment: Strings) -> Result<(), Failure> {
    let mut report = Report { outcome: Ok(()), line: Line::about(0, Text::default()) };
    report.facts(arguments, environment)?;
    report.outcome
}

/// How a fact that is a number is found out.
#[derive(Clone, Copy)]
enum Question {
    /// By prctl(2), which returns it.
    Returned(u8),
    /// By prctl(2), which writes it.
    Written(u8),
    /// The state of a speculation feature.
    Speculation(u8),
    SoftLimit,
    HardLimit,
    Process,
    Parent,
    Group,
    Session,
    Terminal,
    Keyring,
    Umask,
    MemoryPolicy,
    Personality,
    CoreCookie,
    Nice,
    ResetOnFork,
    /// No kernel tells.
    Nobody,
}

/// Where no default is known.
const NONE: u16 = u16::MAX;

/// How each of [`Fact`] is found out, and what a fresh process has.
const QUESTIONS: [(Question, u16); Fact::ALL.len()] = [
    (Question::SoftLimit, NONE),
    (Question::HardLimit, NONE),
    (Question::Process, NONE),
    (Question::Parent, NONE),
    (Question::Group, NONE),
    (Question::Session, NONE),
    (Question::Terminal, NONE),
    (Question::Umask, NONE),
    (Question::Keyring, NONE),
    (Question::Returned(PR_GET_NO_NEW_PRIVS as u8), 0),
    (Question::Returned(PR_GET_SECUREBITS as u8), 0),
    (Question::Returned(PR_GET_SECCOMP as u8), 0),
    (Question::Nobody, NONE),
    (Question::Returned(PR_GET_MDWE as u8), 0),
    (Question::CoreCookie, 0),
    (Question::Written(PR_GET_PDEATHSIG as u8), 0),
    (Question::Written(PR_GET_CHILD_SUBREAPER as u8), 0),
    (Question::Returned(PR_GET_TIMERSLACK as u8), 50_000),
    (Question::MemoryPolicy, 0),
    (Question::Personality, 0),
    (Question::Returned(PR_GET_THP_DISABLE as u8), 0),
    (Question::Returned(PR_GET_MEMORY_MERGE as u8), 0),
    (Question::Written(PR_GET_TSC as u8), PR_TSC_ENABLE as u16),
    (Question::Returned(PR_MCE_KILL_GET as u8), PR_MCE_KILL_DEFAULT as u16),
    (Question::Returned(PR_GET_IO_FLUSHER as u8), 0),
    (Question::Speculation(0), NONE),
    (Question::Speculation(1), NONE),
    (Question::Speculation(2), NONE),
    (Question::Nice, 0),
    (Question::ResetOnFork, 0),
];

fn ask(question: Question) -> Result<i64, Errno> {
    let answer = match question {
        Question::Returned(attribute) => {
            // It may be more than 32 bits.
            return match sys::attribute(attribute.into(), 0) {
                // Where it is a privilege to ask.
                Err(errno) if u32::from(attribute) == PR_GET_IO_FLUSHER => is_io_flusher().map(i64::from).ok_or(errno),
                told => told.map(|told| told as i64),
            };
        }
        Question::Written(attribute) => sys::written_attribute(attribute.into()),
        Question::Speculation(feature) => sys::speculation(feature.into()),
        Question::SoftLimit => sys::limit(RLIMIT_NOFILE).map(|limit| limit.rlim_cur as u32),
        Question::HardLimit => sys::limit(RLIMIT_NOFILE).map(|limit| limit.rlim_max as u32),
        Question::Process => sys::process(),
        Question::Parent => sys::parent(),
        Question::Group => sys::process_group(),
        Question::Session => sys::session(),
        Question::Terminal => match sys::open(c"/dev/tty", O_RDONLY | O_NONBLOCK) {
            Err(errno) if errno.is(ENXIO) => Ok(0),
            opened => opened.map(|_| 1),
        },
        Question::Keyring => sys::session_keyring(),
        // As it is written, in octal. This process has no more use for it.
        Question::Umask => sys::set_umask(0).map(|mask| mask / 64 * 100 + mask / 8 % 8 * 10 + mask % 8),
        Question::MemoryPolicy => sys::memory_policy(),
        Question::Personality => sys::set_personality(u32::MAX),
        Question::CoreCookie => return sys::core_cookie().map(|cookie| cookie as i64),
        Question::Nice => return sys::nice().map(i64::from),
        Question::ResetOnFork => sys::policy().map(|policy| u32::from(policy & SCHED_RESET_ON_FORK != 0)),
        Question::Nobody => return Err(Errno::new(ENXIO)),
    };
    answer.map(i64::from)
}

/// The report in the making.
struct Report {
    /// What became of the lines that are printed.
    outcome: Result<(), Failure>,
    /// The line in the making, one after the other.
    line: Line<'static>,
}

impl Report {
    #[inline(never)]
    fn facts(&mut self, arguments: Strings, environment: Strings) -> Result<(), Failure> {
        self.descriptors()?;
        self.signals()?;
        for (&fact, &(question, default)) in Fact::ALL.iter().zip(&QUESTIONS) {
            self.number(fact.text(), ask(question), default);
        }
        self.scheduling();
        self.limits();
        self.identity();
        OwnFile::ALL.iter().for_each(|&file| self.own_file(file));
        self.directory();
        self.number(Phrase::Environment.text(), Ok(environment.count() as i64), NONE);
        self.begin(Phrase::Argv0.text());
        self.foreign(arguments.first());
        self.end();
        Ok(())
    }

    /// Begins a line.
    #[inline(never)]
    fn begin(&mut self, name: Text<'static>) {
        self.line.add(name);
        self.line.add_byte(b':');
    }

    /// Prints the line, unless one before it could not be printed.
    #[inline(never)]
    fn end(&mut self) {
        if self.outcome.is_ok() {
            self.outcome = self.line.tell(1);
        }
        self.line.clear();
    }

    #[inline(never)]
    fn unknown(&mut self) {
        self.line.add(Phrase::Unknown.text());
    }

    /// Adds one of several values, or the only one.
    #[inline(never)]
    fn value(&mut self, number: i64) {
        self.line.add_byte(b' ');
        self.line.add_number(number);
    }

    /// Adds what somebody else has written.
    #[inline(never)]
    fn foreign(&mut self, text: Option<Text>) {
        match text.filter(|text| text.first() != 0) {
            None => self.unknown(),
            Some(text) => {
                self.line.add_byte(b' ');
                self.line.add_foreign(text);
            }
        }
    }

    #[inline(never)]
    fn number(&mut self, name: Text<'static>, number: Result<i64, Errno>, default: u16) {
        self.begin(name);
        match number {
            Err(_) => self.unknown(),
            Ok(number) => {
                self.value(number);
                if default != NONE && number != default.into() {
                    self.line.add(Phrase::Default.text());
                    self.line.add_number(default.into());
                    self.line.add_byte(b')');
                }
            }
        }
        self.end();
    }

    /// Adds the name of a number, or where it has none, the number.
    #[inline(never)]
    fn name(&mut self, number: u32, name_of: fn(u32) -> Text<'static>) {
        let name = name_of(number);
        if name.first() == 0 {
            self.line.add_number(number.into());
        }
        self.line.add(name);
    }

    /// Prints what is in a set, a bit each, by the names of their numbers; the lowest bit has the number `first`.
    #[inline(never)]
    fn set(&mut self, name: Phrase, set: Option<u64>, first: u32, name_of: fn(u32) -> Text<'static>) {
        self.begin(name.text());
        if set.is_none() {
            self.unknown();
        }
        let set = set.unwrap_or_default();
        for bit in (0..u64::BITS).filter(|&bit| set.wrapping_shr(bit) & 1 != 0) {
            self.line.add_byte(b' ');
            self.name(bit + first, name_of);
        }
        self.end();
    }

    fn descriptors(&mut self) -> Result<(), Failure> {
        match sweep::open_own_directory() {
            Ok(directory) => self.listed(&directory)?,
            Err(_) => {
                (0..sweep::end_of_numbers().map_err(failed)?).try_for_each(|descriptor| self.descriptor(descriptor))?;
            }
        }
        let is_nonblocking = |descriptor| Ok((sys::status_flags(descriptor as Descriptor)? & O_NONBLOCK != 0).into());
        self.set(Phrase::NonBlocking, bits(3, is_nonblocking), 0, |_| Text::default());
        Ok(())
    }

    /// Those that /proc/self/fd lists.
    #[inline(never)]
    fn listed(&mut self, directory: &OwnedFile) -> Result<(), Failure> {
        let mut buffer = EntryBuffer::new();
        let mut listed = Listed::new(directory, &mut buffer);
        while let Some(descriptor) = listed.next_descriptor().map_err(failed)? {
            self.descriptor(descriptor)?;
        }
        Ok(())
    }

    /// Prints a descriptor that is open, and what it is too, where /proc is there.
    #[inline(never)]
    fn descriptor(&mut self, descriptor: Descriptor) -> Result<(), Failure> {
        let flags = match sys::descriptor_flags(descriptor) {
            Err(errno) if errno.is(EBADF) => return Ok(()),
            flags => flags.map_err(failed)?,
        };
        self.line.set_number(descriptor as u32);
        self.line.add_string(Phrase::DescriptorPath);
        let mut buffer = FREE_LINK;
        let target = sys::read_link(self.line.text_from(0), &mut buffer);
        self.line.clear();
        self.line.add(if flags == 0 { Phrase::DescriptorOpen } else { Phrase::DescriptorCloseOnExec }.text());
        if target.first() != 0 {
            self.foreign(Some(target));
        }
        self.end();
        Ok(())
    }

    fn signals(&mut self) -> Result<(), Failure> {
        let mut ignored = SignalSet::default();
        for signal in signal::ALL {
            if sys::is_ignored(signal).map_err(failed)? {
                ignored.add(signal);
            }
        }
        let blocked = sys::blocked().map_err(failed)?;
        let pending = sys::pending().map_err(failed)?;
        for (name, set) in [(Phrase::Ignored, ignored), (Phrase::Blocked, blocked), (Phrase::Pending, pending)] {
            self.set(name, Some(set.0), 1, signal::name);
        }
        let armed = bits(3, |timer| sys::is_armed(timer).map(usize::from));
        self.set(Phrase::Timers, armed, 0, |timer| text_at(concat!("real\0", "virtual\0", "prof\0"), timer as usize));
        Ok(())
    }

    fn scheduling(&mut self) {
        let policy = sys::policy().map(|policy| policy & !SCHED_RESET_ON_FORK);
        let level = sys::priority().ok().filter(|&priority| priority != 0);
        self.kind(Attribute::Scheduling, policy, policy_name, level);
        let class = sys::io_priority().map(IoClass::from_number);
        let level = class.ok().and_then(IoClass::level);
        self.kind(Attribute::IoClass, class.map(IoClass::class), io_class_name, level);
        self.processors();
    }

    /// Prints what has a name and perhaps a level. The default is 0.
    #[inline(never)]
    fn kind(
        &mut self,
        fact: Attribute,
        kind: Result<u32, Errno>,
        name_of: fn(u32) -> Text<'static>,
        level: Option<u32>,
    ) {
        self.begin(fact.text());
        match kind {
            Err(_) => self.unknown(),
            Ok(kind) => {
                self.line.add_byte(b' ');
                self.name(kind, name_of);
                if let Some(level) = level {
                    self.line.add_byte(b':');
                    self.line.add_number(level.into());
                }
                if kind != 0 {
                    self.line.add(Phrase::Default.text());
                    self.name(0, name_of);
                    self.line.add_byte(b')');
                }
            }
        }
        self.end();
    }

    /// Prints the processors, and where these are fewer, those that the cpuset allows. What that is, the kernel tells who
    /// asks for all of them: this process ends here.
    #[inline(never)]
    fn processors(&mut self) {
        self.begin(Attribute::Processors.text());
        let mut own = NO_PROCESSORS;
        let mut all = NO_PROCESSORS;
        if sys::processors(&mut own).is_err() {
            self.unknown();
        } else {
            self.ranges(&own);
            Processors::All.add_to(&mut all);
            let tried = sys::set_processors(&all);
            all.fill(0);
            if tried.and_then(|()| sys::processors(&mut all)).is_ok() && all != own {
                self.line.add(Phrase::Of.text());
                self.ranges(&all);
                self.line.add_byte(b')');
            }
        }
        self.end();
    }

    /// Adds a list of processors as `--cpus` takes it.
    #[inline(never)]
    fn ranges(&mut self, mask: &ProcessorMask) {
        let has = |processor: usize| {
            mask.get(processor / usize::BITS as usize).is_some_and(|word| word.wrapping_shr(processor as u32) & 1 != 0)
        };
        let (mut processor, mut separator) = (0, b' ');
        while processor < MOST_PROCESSORS {
            let first = processor;
            while has(processor) {
                processor += 1;
            }
            if processor > first {
                self.line.add_byte(separator);
                separator = b',';
                self.line.add_number(first as i64);
            }
            if processor > first + 1 {
                self.line.add_byte(b'-');
                self.line.add_number(processor as i64 - 1);
            }
            processor += 1;
        }
    }

    fn limits(&mut self) {
        for resource in 0..limit::RESOURCES as u32 {
            self.line.add(Phrase::Limit.text());
            self.begin(limit::name(resource));
            match sys::limit(resource) {
                Err(_) => self.unknown(),
                Ok(limit) => {
                    self.line.add_byte(b' ');
                    self.limit(limit.rlim_cur);
                    self.line.add_byte(b':');
                    self.limit(limit.rlim_max);
                }
            }
            self.end();
        }
    }

    #[inline(never)]
    fn limit(&mut self, limit: u64) {
        match i64::try_from(limit) {
            Ok(limit) => self.line.add_number(limit),
            Err(_) => self.line.add(Phrase::Unlimited.text()),
        }
    }

    #[inline(never)]
    fn identity(&mut self) {
        for (name, ids) in [(Phrase::User, sys::user_ids()), (Phrase::GroupIds, sys::group_ids())] {
            self.ids(name, ids.ok().as_ref().map(|ids| &ids[..]));
        }
        let mut buffer = sys::GroupBuffer::new();
        self.ids(Phrase::Groups, sys::groups(&mut buffer).ok());
        let sets = sys::capabilities().map_or([None; 3], |sets| sets.map(|set| Some(set.0)));
        for (name, set) in [Phrase::CapsEffective, Phrase::CapsPermitted, Phrase::CapsInheritable].into_iter().zip(sets)
        {
            self.set(name, set, 0, capability::name);
        }
        let bounding = bits(64, |capability| sys::attribute(PR_CAPBSET_READ, capability));
        self.set(Phrase::CapsBounding, bounding, 0, capability::name);
        let ambient =
            bits(64, |capability| sys::ambient_set(PR_CAP_AMBIENT_IS_SET, capability).map(|is_set| is_set as usize));
        self.set(Phrase::CapsAmbient, ambient, 0, capability::name);
    }

    #[inline(never)]
    fn ids(&mut self, name: Phrase, ids: Option<&[u32]>) {
        self.begin(name.text());
        match ids {
            None => self.unknown(),
            Some(ids) => ids.iter().for_each(|&id| self.value(id.into())),
        }
        self.end();
    }

    /// Prints what a file or a link of /proc/self tells.
    #[inline(never)]
    fn own_file(&mut self, file: OwnFile) {
        self.line.add(Phrase::OwnFile.text());
        self.line.add(file.text());
        self.line.add_byte(0);
        let mut buffer = FREE_LINK;
        let path = self.line.text_from(0);
        let text = match own_file::open_to_read(path.as_c_str()) {
            Ok(file) => sys::read_text(&file, &mut buffer),
            // A link.
            Err(_) => sys::read_link(path, &mut buffer),
        };
        self.line.clear();
        for byte in file.text().bytes() {
            self.line.add_byte(match byte {
                b'_' => b'-',
                b'/' => b' ',
                _ => byte,
            });
        }
        self.begin(Text::default());
        // Several lines become one.
        let (mut rest, default) = (text, text_at(DEFAULT_TEXTS, file as usize));
        if text.first() == 0 {
            self.unknown();
        } else {
            self.line.add_byte(b' ');
        }
        let value = self.line.length();
        while let Some((byte, next)) = rest.split_first() {
            rest = next;
            if byte != b'\n' {
                self.line.add_byte(byte);
            } else if next.first() != 0 {
                self.line.add_byte(b' ');
            }
        }
        if default.first() != 0 && text.first() != 0 && self.line.bytes_from(value) != default.as_c_str().to_bytes() {
            self.line.add(Phrase::Default.text());
            self.line.add(default);
            self.line.add_byte(b')');
        }
        self.end();
    }

    #[inline(never)]
    fn directory(&mut self) {
        let mut buffer = FREE_LINK;
        self.begin(Phrase::Directory.text());
        self.foreign(sys::directory(&mut buffer).ok());
        self.end();
    }
}

/// What a fresh process has in the first ones of [`OwnFile`], each ended by a NUL.
const DEFAULT_TEXTS: &str = concat!("0\0", "00000033\0");

/// The set of those numbers below `end`, 64 at the most, for which `told` gives 1. Nothing where it may not be told; what is
/// closed (EBADF), or not known to the kernel (EINVAL), is in no set.
#[inline(never)]
fn bits(end: u32, told: fn(u32) -> Result<usize, Errno>) -> Option<u64> {
    let mut set = 0;
    for number in 0..end {
        match told(number) {
            Ok(1) => set |= 1_u64.wrapping_shl(number),
            Err(errno) if !errno.is(EBADF) && !errno.is(EINVAL) => return None,
            _ => {}
        }
    }
    Some(set)
}

fn failed(errno: Errno) -> Failure {
    Failure::new(Step::Slate, errno, 0)
}
