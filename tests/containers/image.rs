//! The images of examples/container, built by buildah and run by podman.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::host::{Host, alone, probe, relay};
use crate::tools::{command_host, dirty, text, wait_for};

/// The name that the examples have for them.
pub const IMAGE: &str = "registry.example/server:1";

/// What podman finds in place of the machine's own configuration: locks that are nobody else's, and limits that it need
/// not raise, which root itself may not everywhere.
const CONFIGURATION: &str = "
[containers]
default_ulimits = [\"nofile=2048:2048\", \"nproc=4096:4096\"]
[engine]
cgroup_manager = \"cgroupfs\"
events_logger = \"none\"
lock_type = \"file\"
runtime = \"runc\"
";

pub fn example(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/container").join(name)
}

/// An engine with a storage of its own, that has one of the images.
pub struct Engine {
    directory: TempDir,
}

impl Engine {
    /// Builds the image as the example says, with the probe as the server.
    pub fn new() -> Self {
        Self::with("Containerfile", &[])
    }

    /// The same for the image that starts as root.
    pub fn that_drops_root() -> Self {
        let busybox = Path::new("/bin/busybox");
        assert!(busybox.is_file(), "{busybox:?} is missing: these tests need busybox-static");
        Self::with("drop/Containerfile", &[busybox.to_owned(), example("drop/prepare")])
    }

    /// Builds the image of this file, with the files beside relay and the server that it needs.
    fn with(file: &str, others: &[PathBuf]) -> Self {
        let engine = Self { directory: TempDir::with_prefix("relay-").expect("a directory") };
        let context = engine.path("context");
        for directory in [&context, &engine.path("temporary")] {
            fs::create_dir(directory).expect("a directory");
        }
        fs::write(engine.path("containers.conf"), CONFIGURATION).expect("a configuration");
        for (program, name) in [(relay(), "relay"), (probe(), "server")] {
            alone(|| fs::copy(program, context.join(name))).expect("a copy");
        }
        for other in others {
            let name = other.file_name().expect("a name");
            alone(|| fs::copy(other, context.join(name))).expect("a copy");
        }
        let file = example(file);
        let options = ["build", "--isolation", "chroot", "--tag", IMAGE, "--file", text(&file), text(&context)];
        let built = engine.host("buildah", &[], &options).run();
        assert!(built.status.success(), "{built:?}");
        engine
    }

    /// Where this engine's part of that name is.
    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// A host that starts podman or buildah.
    fn host(&self, tool: &str, own_options: &[&str], arguments: &[&str]) -> Host {
        let [storage, state, temporary, configuration] =
            ["storage", "state", "temporary", "containers.conf"].map(|name| self.path(name));
        let options = ["--root", text(&storage), "--runroot", text(&state), "--storage-driver", "vfs"];
        let environment = [("CONTAINERS_CONF", text(&configuration)), ("TMPDIR", text(&temporary))];
        command_host(&[&[tool], &options[..], own_options, arguments].concat(), &environment)
    }

    pub fn podman(&self, arguments: &[&str]) -> Host {
        self.host("podman", &["--tmpdir", text(&self.path("temporary"))], arguments)
    }

    /// A dirty host that runs a container of the image, which the leaks are passed on to.
    pub fn container(&self, options: &[&str], arguments: &[&str]) -> Host {
        let group = format!("/{}", self.group());
        let run = ["run", "--rm", "--network", "none", "--preserve-fds", "3", "--cgroup-parent", &group];
        dirty(self.podman(&[&run, options, &[IMAGE], arguments].concat()))
    }

    /// The control group of this engine's containers, which no other has.
    fn group(&self) -> &str {
        self.directory.path().file_name().and_then(|name| name.to_str()).expect("a name")
    }
}

/// Whatever became of the test, nothing is left, neither running nor in the control groups.
impl Drop for Engine {
    fn drop(&mut self) {
        for what in [&["pod", "rm"][..], &["rm"]] {
            let removed = self.podman(&[what, &["--all", "--force", "--time", "0"]].concat()).run();
            if !removed.status.success() {
                eprintln!("containers may be left: {removed:?}");
            }
        }
        remove(groups(self.group()));
    }
}

/// Removes the control groups of pods, whose parent podman does not let one choose, at its own end. To be made before the
/// engine, so that it ends after it.
pub struct PodGroups {
    /// Those that were there before.
    others: Vec<PathBuf>,
}

impl PodGroups {
    const PARENT: &str = "libpod_parent";

    pub fn new() -> Self {
        Self { others: groups(Self::PARENT) }
    }
}

impl Drop for PodGroups {
    fn drop(&mut self) {
        remove(groups(Self::PARENT).into_iter().filter(|group| !self.others.contains(group)));
    }
}

/// Removes control groups, as soon as they are empty: podman's monitor ends a little after podman.
fn remove(groups: impl IntoIterator<Item = PathBuf>) {
    for group in groups {
        let removed = wait_for(|| match fs::remove_dir(&group) {
            Err(error) if error.kind() == ErrorKind::ResourceBusy => None,
            outcome => Some(outcome),
        });
        if !matches!(removed, Some(Ok(()))) {
            eprintln!("{group:?} is left: {removed:?}");
        }
    }
}

/// The control groups of that name in all hierarchies, each after those in it.
fn groups(name: &str) -> Vec<PathBuf> {
    let mounts = fs::read_to_string("/proc/self/mounts").expect("the mounts");
    let mounts = mounts.lines().map(|mount| mount.split(' ').collect::<Vec<_>>());
    let hierarchies = mounts.filter(|fields| ["cgroup", "cgroup2"].contains(&fields[2]));
    let mut groups = Vec::new();
    for group in hierarchies.map(|fields| Path::new(fields[1]).join(name)).filter(|group| group.exists()) {
        let inner = fs::read_dir(&group).into_iter().flatten().flatten().map(|entry| entry.path());
        groups.extend(inner.filter(|path| path.is_dir()));
        groups.push(group);
    }
    groups
}
