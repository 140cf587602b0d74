//! What a launch says of itself.

use std::ffi::{CString, OsStr};
use std::fmt;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use crate::launch::Launch;

impl Launch<'_> {
    /// The program, as it was given to [`Self::new`].
    ///
    /// ```
    /// # use exec_relay_launcher::Launch;
    /// let mut launch = Launch::new("/bin/ls");
    /// launch.arg("-l").env("LANG", "C").env_remove("TZ").current_dir("/tmp");
    /// assert_eq!(launch.get_program(), "/bin/ls");
    /// assert!(launch.get_args().eq(["-l"]));
    /// assert!(launch.get_envs().eq([("LANG".as_ref(), Some("C".as_ref())), ("TZ".as_ref(), None)]));
    /// assert_eq!(launch.get_current_dir(), Some("/tmp".as_ref()));
    /// ```
    pub fn get_program(&self) -> &OsStr {
        text(&self.program)
    }

    /// The arguments, without `argv[0]`.
    pub fn get_args(&self) -> impl ExactSizeIterator<Item = &OsStr> + Clone {
        self.arguments.iter().map(text)
    }

    /// The variables that were set, and those that were removed, which have no value: each name once, in the order in which
    /// the names were first given since [`Self::env_clear`] or [`Self::env_exactly`]. Not what is inherited or passed on
    /// exactly.
    pub fn get_envs(&self) -> impl ExactSizeIterator<Item = (&OsStr, Option<&OsStr>)> + Clone {
        let edits = self.environment.edits().iter();
        edits.map(|edit| (OsStr::from_bytes(edit.name()), edit.value().map(OsStr::from_bytes)))
    }

    /// The directory, where one was asked for.
    pub fn get_current_dir(&self) -> Option<&Path> {
        self.directory.as_ref().map(|directory| Path::new(text(directory)))
    }
}

/// A line that sh(1) would take: program, arguments, directory and environment. All other settings, descriptors and `argv[0]`
/// are not in it. Values of variables are, passwords among them.
///
/// ```
/// # use exec_relay_launcher::Launch;
/// let mut launch = Launch::new("/bin/ls");
/// launch.args(["-l", "it's"]).env("LANG", "C").env_remove("TZ").current_dir("/tmp");
/// assert_eq!(format!("{launch:?}"), r"cd -P /tmp && env -u TZ LANG=C /bin/ls -l 'it'\''s'");
/// ```
impl fmt::Debug for Launch<'_> {
    fn fmt(&self, out: &mut fmt::Formatter) -> fmt::Result {
        if let Some(directory) = self.get_current_dir() {
            // Not what cd makes of `-`, and of names that CDPATH has.
            let prefix = if directory.is_absolute() { "" } else { "./" };
            write!(out, "cd -P {prefix}{} && ", Word(directory.as_os_str().as_bytes()))?;
        }
        self.fmt_environment(out)?;
        write!(out, "{}", Word(self.program.as_bytes()))?;
        self.arguments.iter().try_for_each(|argument| write!(out, " {}", Word(argument.as_bytes())))
    }
}

impl Launch<'_> {
    /// What env(1) is told, where it is needed.
    fn fmt_environment(&self, out: &mut fmt::Formatter) -> fmt::Result {
        let is_cleared = self.environment.is_cleared();
        if !is_cleared && self.environment.edits().is_empty() {
            return Ok(());
        }
        out.write_str("env ")?;
        if is_cleared {
            out.write_str("-i ")?;
        } else {
            let mut removed = self.get_envs().filter(|(_, value)| value.is_none());
            removed.try_for_each(|(name, _)| write!(out, "-u {} ", Word(name.as_bytes())))?;
        }
        // What has no name cannot be said by env, nor by any other command.
        let variables = self.environment.strings(None).into_iter().flatten().map(|text| text.as_c_str().to_bytes());
        let set = self.environment.edits().iter().filter(|edit| !edit.is_removed).count();
        let variables = variables.take(if is_cleared { usize::MAX } else { set });
        let variables = variables.filter(|variable| variable.iter().position(|&byte| byte == b'=') > Some(0));
        if variables.clone().any(|variable| variable.starts_with(b"-")) {
            out.write_str("-- ")?;
        }
        for variable in variables {
            let (name, value) = variable.split_at(variable.iter().position(|&byte| byte == b'=').unwrap_or(0));
            write!(out, "{}={} ", Word(name), Word(&value[1..]))?;
        }
        // Which env would take for a variable. A shell would not hand on all that env has set.
        if self.program.as_bytes().contains(&b'=') { out.write_str("nice -n 0 ") } else { Ok(()) }
    }
}

fn text(string: &CString) -> &OsStr {
    OsStr::from_bytes(string.as_bytes())
}

/// A word of a shell's line that stands for these bytes.
struct Word<'a>(&'a [u8]);

impl fmt::Display for Word<'_> {
    fn fmt(&self, out: &mut fmt::Formatter) -> fmt::Result {
        let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"_@%+:,./-".contains(byte);
        if !self.0.is_empty() && self.0.iter().all(is_plain) {
            return out.write_str(&String::from_utf8_lossy(self.0));
        }
        out.write_str("'")?;
        for chunk in self.0.utf8_chunks() {
            for char in chunk.valid().chars() {
                match char {
                    '\'' => out.write_str(r"'\''")?,
                    // Not so that a terminal would do what they say. A line feed cannot be written as the others.
                    _ if char.is_ascii_control() && char != '\n' => {
                        write!(out, r#"'"$(printf '\{:03o}')"'"#, char as u8)?
                    }
                    _ => write!(out, "{char}")?,
                }
            }
            // A text cannot hold them.
            chunk.invalid().iter().try_for_each(|byte| write!(out, r#"'"$(printf '\{byte:03o}')"'"#))?;
        }
        out.write_str("'")
    }
}
