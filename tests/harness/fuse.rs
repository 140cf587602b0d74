//! A file system that misbehaves: served over /dev/fuse by a thread of this process, without libfuse or fusermount.
//!
//! ```ignore
//! let system = Fuse::mount(&[("self/fd", Node::Endless), ("program", Node::Silent)]);
//! let program = system.path().join("program");
//! ```
//!
//! [`Fuse::mount_at`] puts it into a folder that is there already, such as the root of a chroot.
//!
//! It needs /dev/fuse, and root: without them [`Fuse::mount`] panics and says so.
//!
//! It is mounted in a mount namespace that only the serving thread has, and [`Fuse::path`] leads there by way of /proc, so
//! no mount is left however this process ends. Dropping it ends the thread and the connection; whoever waits for an answer
//! then gets an error. Until then who waits for one cannot even be killed.
//!
//! So do not open its files in this process: a child that another test forks would have a copy, and this process could not
//! end. Have another program do it, which is what these files are for.

#![allow(unsafe_code, dead_code)]

use std::ffi::CString;
use std::fs::File;
use std::io::{self, PipeWriter, Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use tempfile::TempDir;

/// What is at a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Node {
    /// A directory that lists entries without end.
    Endless,
    /// An executable file of a page, whose reads are never answered.
    Silent,
    /// A directory that holds what the paths say: each one on the way to a path is made.
    Directory,
}

/// A file system that is mounted.
pub struct Fuse {
    /// The root of all that the server's mount namespace has.
    namespace: PathBuf,
    at: PathBuf,
    stop: Option<PipeWriter>,
    server: Option<JoinHandle<()>>,
    _directory: Option<TempDir>,
}

impl Fuse {
    /// Mounts one with these nodes, by their paths.
    pub fn mount(nodes: &[(&str, Node)]) -> Self {
        let directory = TempDir::new().expect("a directory");
        let mut system = Self::mount_at(directory.path(), nodes);
        system._directory = Some(directory);
        system
    }

    /// The same in a folder that is there already.
    pub fn mount_at(directory: &Path, nodes: &[(&str, Node)]) -> Self {
        let (reader, writer) = io::pipe().expect("a pipe");
        let (tell, told) = mpsc::channel();
        let tree = Tree::new(nodes);
        let at = directory.to_owned();
        let server = thread::spawn(move || {
            let device = match mount(&at) {
                Ok(device) => device,
                Err(error) => return drop(tell.send(Err(error))),
            };
            // SAFETY: touches no memory and cannot fail.
            let _ = tell.send(Ok(unsafe { libc::gettid() }));
            serve(&tree, device, reader.as_raw_fd());
            // By force: it ends the connection even while a child has a copy of the device.
            let at = CString::new(at.as_os_str().as_bytes()).expect("no NUL");
            // SAFETY: the path ends with a NUL.
            let ended = check(unsafe { libc::umount2(at.as_ptr(), libc::MNT_FORCE | libc::MNT_DETACH) });
            ended.expect("the file system goes");
        });
        let thread = told.recv().expect("the server answers").unwrap_or_else(|error| {
            panic!("{error}: these tests need /dev/fuse (the kernel's module fuse), and root to mount it")
        });
        let namespace = format!("/proc/{}/task/{thread}/root", std::process::id()).into();
        Self { namespace, at: directory.to_owned(), stop: Some(writer), server: Some(server), _directory: None }
    }

    /// Its root, for every process that may look into this one.
    pub fn path(&self) -> PathBuf {
        self.seen(&self.at)
    }

    /// How an absolute path of this process is to be named so that it is seen with this file system mounted.
    pub fn seen(&self, path: &Path) -> PathBuf {
        self.namespace.join(path.strip_prefix("/").expect("an absolute path"))
    }
}

impl Drop for Fuse {
    fn drop(&mut self) {
        // The server sees the end of its pipe, even while a child has a copy of the other end: it is told a byte.
        let _ = self.stop.take().map(|mut stop| stop.write_all(b"."));
        let _ = self.server.take().map(JoinHandle::join);
    }
}

fn check(value: i32) -> io::Result<()> {
    if value == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Mounts at `path`, in a mount namespace that this thread alone has from then on.
fn mount(path: &Path) -> io::Result<File> {
    let device = File::options().read(true).write(true).open("/dev/fuse")?;
    let options = format!("fd={},rootmode=40000,user_id=0,group_id=0,allow_other", device.as_raw_fd());
    let options = CString::new(options).expect("no NUL");
    let path = CString::new(path.as_os_str().as_bytes()).expect("no NUL");
    let none = std::ptr::null();
    // SAFETY: all strings end with a NUL.
    unsafe {
        check(libc::unshare(libc::CLONE_NEWNS))?;
        check(libc::mount(none, c"/".as_ptr(), none, libc::MS_REC | libc::MS_PRIVATE, none.cast()))?;
        check(libc::mount(c"misbehaving".as_ptr(), path.as_ptr(), c"fuse".as_ptr(), 0, options.as_ptr().cast()))?;
    }
    Ok(device)
}

/// The nodes; a node's number is one more than its place.
struct Tree(Vec<Entry>);

struct Entry {
    parent: u64,
    name: String,
    node: Node,
}

const ROOT: u64 = 1;

impl Tree {
    fn new(nodes: &[(&str, Node)]) -> Self {
        let mut tree = Self(vec![Entry { parent: 0, name: String::new(), node: Node::Directory }]);
        for &(path, node) in nodes {
            let mut parent = ROOT;
            for name in path.split('/') {
                parent = tree.lookup(parent, name.as_bytes()).unwrap_or_else(|| {
                    tree.0.push(Entry { parent, name: name.to_owned(), node: Node::Directory });
                    tree.0.len() as u64
                });
            }
            tree.0[parent as usize - 1].node = node;
        }
        tree
    }

    fn lookup(&self, parent: u64, name: &[u8]) -> Option<u64> {
        let place = self.0.iter().position(|entry| entry.parent == parent && entry.name.as_bytes() == name)?;
        Some(place as u64 + 1)
    }

    /// struct fuse_attr of linux/fuse.h.
    fn attributes(&self, number: u64) -> Vec<u8> {
        let is_file = self.0[number as usize - 1].node == Node::Silent;
        let size = if is_file { 4096_u64 } else { 0 };
        let mode = if is_file { libc::S_IFREG | 0o755 } else { libc::S_IFDIR | 0o755 };
        // ino, size, blocks, three times; then their nanoseconds, mode, nlink, uid, gid, rdev, blksize, flags.
        let mut bytes = words64(&[number, size, size / 512, 0, 0, 0]);
        bytes.extend(words32(&[0, 0, 0, mode, 1, 0, 0, 0, 4096, 0]));
        bytes
    }
}

fn words64(words: &[u64]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_ne_bytes()).collect()
}

fn words32(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_ne_bytes()).collect()
}

// The numbers of linux/fuse.h.
const LOOKUP: u32 = 1;
const FORGET: u32 = 2;
const GETATTR: u32 = 3;
const OPEN: u32 = 14;
const READ: u32 = 15;
const STATFS: u32 = 17;
const RELEASE: u32 = 18;
const FLUSH: u32 = 25;
const INIT: u32 = 26;
const OPENDIR: u32 = 27;
const READDIR: u32 = 28;
const RELEASEDIR: u32 = 29;
const ACCESS: u32 = 34;
const INTERRUPT: u32 = 36;
const BATCH_FORGET: u32 = 42;

/// The size of struct fuse_in_header.
const HEADER: usize = 40;

/// Answers until `stop` has a byte, or the file system is gone.
fn serve(tree: &Tree, mut device: File, stop: i32) {
    let mut buffer = vec![0; 1 << 17];
    loop {
        let wait = |descriptor| libc::pollfd { fd: descriptor, events: libc::POLLIN, revents: 0 };
        let mut waited = [wait(device.as_raw_fd()), wait(stop)];
        // SAFETY: two entries, writable.
        let _ = unsafe { libc::poll(waited.as_mut_ptr(), 2, -1) };
        if waited[1].revents != 0 {
            return;
        }
        let request = match device.read(&mut buffer) {
            Ok(length) if length >= HEADER => &buffer[..length],
            // A request that was taken back by an interruption.
            Err(error) if [libc::ENOENT, libc::EINTR].map(Some).contains(&error.raw_os_error()) => continue,
            _ => return,
        };
        let word = |at: usize| u32::from_ne_bytes(request[at..at + 4].try_into().expect("four bytes"));
        let long = |at: usize| u64::from_ne_bytes(request[at..at + 8].try_into().expect("eight bytes"));
        let (call, unique, node) = (word(4), long(8), long(16));
        if [FORGET, BATCH_FORGET, INTERRUPT, READ].contains(&call) {
            // No answer is expected, or none is given: that is what a silent file is for.
            continue;
        }
        let answer = answer(tree, call, node, &request[HEADER..]);
        let (error, body) = answer.map_or_else(|errno| (-errno, Vec::new()), |body| (0, body));
        let mut reply = words32(&[16 + body.len() as u32, error as u32]);
        reply.extend(words64(&[unique]));
        reply.extend(body);
        let _ = device.write(&reply);
    }
}

/// What follows the header of an answer, or an errno.
fn answer(tree: &Tree, call: u32, node: u64, body: &[u8]) -> Result<Vec<u8>, i32> {
    let is_endless = || tree.0[node as usize - 1].node == Node::Endless;
    match call {
        // Version 7.31, read-ahead, flags; then how much is written at once, and the rest.
        INIT => {
            let mut bytes = words32(&[7, 31, 0, 0, 0, 4096]);
            bytes.extend([0; 40]);
            Ok(bytes)
        }
        LOOKUP => {
            let name = body.split(|&byte| byte == 0).next().unwrap_or_default();
            let number = tree.lookup(node, name).ok_or(libc::ENOENT)?;
            // The node and its generation; how long both may be remembered.
            let mut bytes = words64(&[number, 0, 0, 0]);
            bytes.extend(words32(&[0, 0]));
            bytes.extend(tree.attributes(number));
            Ok(bytes)
        }
        GETATTR => {
            let mut bytes = words64(&[0]);
            bytes.extend(words32(&[0, 0]));
            bytes.extend(tree.attributes(node));
            Ok(bytes)
        }
        // A handle, flags, padding. The flag: closing is no question, so a process that closes a copy waits for nobody.
        OPEN => Ok([words64(&[0]), words32(&[1 << 5, 0])].concat()),
        OPENDIR => Ok(vec![0; 16]),
        READDIR if is_endless() => {
            // struct fuse_dirent: inode, where the next one is, the length of the name, the kind; no descriptor's name.
            let at = u64::from_ne_bytes(body[8..16].try_into().expect("eight bytes"));
            let entry = |next: u64| {
                let mut bytes = words64(&[node, next]);
                bytes.extend(words32(&[1, u32::from(libc::DT_REG)]));
                bytes.extend(*b"x\0\0\0\0\0\0\0");
                bytes
            };
            Ok((at + 1..at + 9).flat_map(entry).collect())
        }
        READDIR => Ok(Vec::new()),
        // struct fuse_kstatfs: all of it may be 0.
        STATFS => Ok(vec![0; 80]),
        RELEASE | RELEASEDIR | FLUSH | ACCESS => Ok(Vec::new()),
        _ => Err(libc::ENOSYS),
    }
}

/// The server itself: what it lists, and that nothing is left of it.
#[test]
fn serves_and_goes() {
    let system = Fuse::mount(&[("self/fd", Node::Endless), ("program", Node::Silent)]);
    let directory = system.path().join("self/fd");
    let mut listing = Command::new("find").arg(&directory).stdout(Stdio::piped()).spawn().expect("find");
    let mut listed = vec![0; 100_000];
    listing.stdout.take().expect("a pipe").read_exact(&mut listed).expect("more than that");
    listing.kill().expect("it still runs");
    listing.wait().expect("its end");
    let line = format!("{}/x\n", directory.display());
    assert!(String::from_utf8_lossy(&listed).contains(&line.repeat(100)));
    // A read that is not answered, until the server goes.
    let mut reading =
        Command::new("cat").arg(system.path().join("program")).stderr(Stdio::null()).spawn().expect("cat");
    thread::sleep(Duration::from_millis(300));
    assert!(reading.try_wait().expect("its state").is_none());
    let path = system.path();
    drop(system);
    assert_eq!(reading.wait().expect("its end").code(), Some(1));
    assert!(!path.exists());
    let mounts = std::fs::read_to_string("/proc/self/mounts").expect("the mounts");
    assert!(!mounts.contains("misbehaving"), "{mounts}");
}
