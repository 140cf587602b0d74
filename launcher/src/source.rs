//! What a program's descriptors are made of.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::sync::Arc;

use crate::sys::standard_stream;

/// A descriptor for the program: lent, or given away for as long as the [`Launch`](crate::Launch) lives.
///
/// A reference to anything that has a descriptor lends it, `&File` or `&TcpListener`; what owns one gives it away. The
/// standard streams, `io::stdout()` and so on, lend this process's 0, 1 and 2.
///
/// ```
/// # use exec_relay_launcher::Launch;
/// use std::fs::File;
/// use std::io;
///
/// let lent = File::open("/dev/zero")?;
/// let given = File::open("/dev/null")?;
/// let mut launch = Launch::new("/bin/true");
/// launch.fd(3, &lent).fd(4, given).stderr(io::stdout());
/// assert!(launch.status()?.success());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub enum Source<'fd> {
    /// Lent.
    Borrowed(BorrowedFd<'fd>),
    /// Closed here when the [`Launch`](crate::Launch) is dropped, and all clones of it.
    Owned(Arc<OwnedFd>),
}

impl AsRawFd for Source<'_> {
    fn as_raw_fd(&self) -> RawFd {
        match self {
            Self::Borrowed(descriptor) => descriptor.as_raw_fd(),
            Self::Owned(descriptor) => descriptor.as_raw_fd(),
        }
    }
}

impl<'fd> From<BorrowedFd<'fd>> for Source<'fd> {
    fn from(descriptor: BorrowedFd<'fd>) -> Self {
        Self::Borrowed(descriptor)
    }
}

/// Lends it.
impl<'fd, T: AsFd> From<&'fd T> for Source<'fd> {
    fn from(lender: &'fd T) -> Self {
        Self::Borrowed(lender.as_fd())
    }
}

/// What a descriptor can be given away as.
macro_rules! owners {
    ($($owner:ty,)*) => {
        $(impl From<$owner> for Source<'_> {
            fn from(owner: $owner) -> Self {
                Self::Owned(Arc::new(owner.into()))
            }
        })*
    };
}

owners! {
    OwnedFd, std::fs::File, std::net::TcpListener, std::net::TcpStream, std::net::UdpSocket,
    std::os::unix::net::UnixListener, std::os::unix::net::UnixStream, std::os::unix::net::UnixDatagram,
    std::io::PipeReader, std::io::PipeWriter,
    std::process::ChildStdin, std::process::ChildStdout, std::process::ChildStderr,
}

/// The standard streams, which nobody owns.
macro_rules! streams {
    ($($number:literal $stream:ty,)*) => {
        $(impl From<$stream> for Source<'_> {
            fn from(_: $stream) -> Self {
                Self::Borrowed(standard_stream::<$number>())
            }
        })*
    };
}

streams! {
    0 io::Stdin, 1 io::Stdout, 2 io::Stderr,
}

/// What one of the program's descriptors 0, 1 and 2 is.
#[derive(Clone, Debug, Default)]
pub enum Stdio<'fd> {
    /// This process's own, closed where that is closed.
    #[default]
    Inherit,
    /// /dev/null.
    Null,
    /// A pipe, whose other end is in the [`Child`](crate::Child).
    Piped,
    /// Closed.
    Closed,
    /// This descriptor.
    Descriptor(Source<'fd>),
}

impl<'fd, T: Into<Source<'fd>>> From<T> for Stdio<'fd> {
    fn from(source: T) -> Self {
        Self::Descriptor(source.into())
    }
}
