//! OCI bundles: a root that holds relay and the probe, and a config.json that says how a runtime is to run them.

use std::fs;
use std::process::Command;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::host::{Host, alone, output};
use crate::profile;
use crate::sandbox;
use crate::tools::{NOBODY, as_nobody, command_host, dirty, open_to_all, text};

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Runtime {
    Runc,
    Crun,
}

/// What a container has at /proc.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Proc {
    Real,
    None,
    /// Directories in which no descriptor is listed.
    False,
}

/// Each runtime with each /proc.
pub const PLACES: [(Runtime, Proc); 6] = [
    (Runtime::Runc, Proc::Real),
    (Runtime::Runc, Proc::None),
    (Runtime::Runc, Proc::False),
    (Runtime::Crun, Proc::Real),
    (Runtime::Crun, Proc::None),
    (Runtime::Crun, Proc::False),
];

/// crun refuses the mixture of both versions of control groups that some machines have. Where it is there, it is hidden
/// from crun, in a mount namespace of its own.
const WITHOUT_MIXTURE: [&str; 6] = [
    "unshare",
    "--mount",
    "sh",
    "-c",
    "mixture=/sys/fs/cgroup/unified; if mountpoint -q $mixture; then umount $mixture; fi; exec \"$@\"",
    "sh",
];

/// Takes the real /proc away and becomes what follows. runc cannot do without it before the first exec.
const WITHOUT_PROC: [&str; 5] = ["/busybox", "sh", "-c", "umount /proc && exec \"$@\"", "sh"];

pub struct Bundle {
    pub runtime: Runtime,
    pub root: TempDir,
    pub config: Value,
    /// config.json, and the runtime's state.
    directory: TempDir,
    /// What the container starts before relay.
    first: &'static [&'static str],
    unprivileged: bool,
}

impl Bundle {
    /// A container with namespaces of its own and a read-only root that holds little more than relay and the probe.
    pub fn new(runtime: Runtime, proc: Proc) -> Self {
        let root = if proc == Proc::False { sandbox::root_with_false_proc() } else { sandbox::bare_root() };
        // Both want these directories.
        for directory in ["dev", "proc"] {
            fs::create_dir_all(root.path().join(directory)).expect("a directory");
        }
        let namespaces = ["pid", "ipc", "uts", "mount", "network"].map(|kind| json!({ "type": kind }));
        let mut bundle = Self {
            runtime,
            config: json!({
                "ociVersion": "1.0.2",
                "process": { "cwd": "/", "user": { "uid": 0, "gid": 0 } },
                "root": { "path": root.path(), "readonly": true },
                "mounts": [],
                "linux": { "namespaces": namespaces },
            }),
            root,
            directory: TempDir::with_prefix("relay-").expect("a directory"),
            first: &[],
            unprivileged: false,
        };
        if proc == Proc::Real || runtime == Runtime::Runc {
            bundle.config["mounts"] = json!([{ "destination": "/proc", "type": "proc", "source": "proc" }]);
        }
        if proc != Proc::Real && runtime == Runtime::Runc {
            bundle.first = &WITHOUT_PROC;
            let copied = alone(|| fs::copy("/bin/busybox", bundle.root.path().join("busybox")));
            copied.unwrap_or_else(|error| panic!("/bin/busybox: {error}; these tests need busybox-static"));
            let sets = ["bounding", "permitted", "effective"];
            bundle.config["process"]["capabilities"] =
                sets.into_iter().map(|set| (set.to_owned(), json!(["CAP_SYS_ADMIN"]))).collect();
        }
        bundle
    }

    /// With a seccomp profile in the form that engines read.
    pub fn with_profile(mut self, profile: &Value) -> Self {
        self.config["linux"]["seccomp"] = profile::for_runtime(profile);
        self
    }

    /// With these capabilities too, as engines give them: for this process, and for what it starts as root.
    pub fn with_capabilities(mut self, capabilities: &[&str]) -> Self {
        for set in ["bounding", "permitted", "effective"] {
            let sets = &mut self.config["process"]["capabilities"];
            let mut all = sets[set].as_array().cloned().unwrap_or_default();
            all.extend(capabilities.iter().map(|name| json!(name)));
            sets[set] = json!(all);
        }
        self
    }

    pub fn with_limit(mut self, soft: u64, hard: u64) -> Self {
        self.config["process"]["rlimits"] = json!([{ "type": "RLIMIT_NOFILE", "soft": soft, "hard": hard }]);
        self
    }

    /// Run by a user without rights, who is root in a user namespace, and can write to the container's root.
    pub fn unprivileged(mut self) -> Self {
        // It has no rights over the network.
        let namespaces = ["pid", "ipc", "uts", "mount", "user"].map(|kind| json!({ "type": kind }));
        self.config["linux"] = json!({ "namespaces": namespaces });
        for mappings in ["uidMappings", "gidMappings"] {
            self.config["linux"][mappings] = json!([{ "containerID": 0, "hostID": NOBODY, "size": 1 }]);
        }
        self.config["root"]["readonly"] = json!(false);
        let directories = [&self.directory, &self.root];
        directories.into_iter().for_each(open_to_all);
        let owner = format!("{NOBODY}:{NOBODY}");
        let given = output(Command::new("chown").args(["-R", &owner]).args(directories.map(TempDir::path)));
        assert!(given.status.success(), "{given:?}");
        self.unprivileged = true;
        self
    }

    /// The container's name, which no other has.
    pub fn name(&self) -> &str {
        self.directory.path().file_name().and_then(|name| name.to_str()).expect("a name")
    }

    /// A host that starts the runtime with these arguments, and `before` in front of it.
    pub fn runtime_host(&self, before: &[&str], arguments: &[&str]) -> Host {
        let state = self.directory.path().join("state");
        let mut command = before.to_vec();
        if self.runtime == Runtime::Crun {
            command.extend(WITHOUT_MIXTURE);
        }
        if self.unprivileged {
            command.extend(as_nobody());
        }
        match self.runtime {
            Runtime::Runc => command.push("runc"),
            Runtime::Crun => command.extend(["crun", "--cgroup-manager=disabled"]),
        }
        command.extend(["--root", text(&state)]);
        command.extend(arguments);
        command_host(&command, &[])
    }

    /// A dirty host that runs a program in the container, which the leaks are passed on to.
    pub fn host(&mut self, program: &[&str]) -> Host {
        self.host_after(&[], program)
    }

    /// The same, and `traces` is where each process has a file of the calls that show how descriptors are closed.
    pub fn traced_host(&mut self, traces: &TempDir, program: &[&str]) -> Host {
        let file = traces.path().join("calls");
        self.host_after(&["strace", "-ff", "-qq", "--trace=execve,close_range,openat", "-o", text(&file)], program)
    }

    fn host_after(&mut self, before: &[&str], program: &[&str]) -> Host {
        self.config["process"]["args"] = json!([self.first, program].concat());
        let config = serde_json::to_vec(&self.config).expect("JSON");
        fs::write(self.directory.path().join("config.json"), config).expect("config.json");
        let run = ["run", "--bundle", text(self.directory.path()), "--preserve-fds", "3", self.name()];
        dirty(self.runtime_host(before, &run))
    }
}

/// Whatever became of the test, nothing is left running.
impl Drop for Bundle {
    fn drop(&mut self) {
        let deleted = self.runtime_host(&[], &["delete", "--force", self.name()]).run();
        if !deleted.status.success() {
            eprintln!("the container {} may be left: {deleted:?}", self.name());
        }
    }
}
