//! The images of examples/container, run by podman, and the pod.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::Command;

use crate::bundle::{Bundle, Proc, Runtime};
use crate::host::{Host, Outcome, output};
use crate::image::{Engine, PodGroups, example};
use crate::profile;
use crate::slate::{Capabilities, Slate};
use crate::tools::{LEAKS, dirty, text};

/// What the example's server has, whatever leaked.
#[track_caller]
fn assert_as_in_the_example(slate: &Slate, arguments: &[&str]) {
    slate.assert_clean([0, 1, 2]);
    assert_eq!(slate.nofile, [1024, 2048]);
    assert_eq!(slate.arguments, [&["/server"], arguments].concat());
}

/// Without relay the program has what leaked: podman passes on what the descriptors, signals and mask of its own are.
#[test]
fn what_leaks_is_passed_on() {
    let slate = Engine::new().container(&["--entrypoint", "/server"], &[]).run().slate();
    assert_eq!(slate.numbers(), [0, 1, 2].into_iter().chain(LEAKS).collect());
    assert!(slate.not_default.contains(&32), "{:?}", slate.not_default);
    assert!(slate.blocked.contains(&13), "{:?}", slate.blocked);
}

#[test]
fn clean_in_an_image_from_scratch() {
    let slate = Engine::new().container(&[], &["--listen", "8080"]).run().slate();
    assert_as_in_the_example(&slate, &["--listen", "8080"]);
    assert_eq!((slate.pid, slate.parent), (1, 0));
}

/// The one command that README.md gives.
#[test]
fn the_report_tells_what_leaks_into_an_image() {
    let outcome = Engine::new().container(&["--entrypoint", "/relay"], &["--report"]).run();
    assert!(outcome.status.success(), "{outcome:?}");
    let report = String::from_utf8(outcome.stdout).expect("UTF-8");
    for line in ["descriptor 4: open /dev/null\n", "descriptor 5: open /\n", "ignored: 32 ", "process: 1\n"] {
        assert!(report.contains(line), "{line:?} in {report}");
    }
}

/// The names of facts in the manual page: `.It Cm name , "a longer name"`, each with an entry of its own or several in one.
fn documented_facts() -> BTreeSet<String> {
    let manual =
        fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("man/relay.1")).expect("the manual page");
    let (_, report) = manual.split_once(".Ss The report\n").expect("the report's section");
    let report = report.split("\n.S").next().expect("its text");
    let entries = report.lines().filter_map(|line| line.strip_prefix(".It Cm "));
    let names = entries.flat_map(|entry| entry.split(" , ")).map(|name| name.replace('"', ""));
    // An argument of the entry: `descriptor Ar number`.
    names.map(|name| name.split(" Ar ").next().expect("a name").to_owned()).collect()
}

/// What is in the manual page is in the report, and the other way round, with and without /proc.
#[test]
fn the_report_has_every_fact() {
    let report = |outcome: Outcome| {
        assert!(outcome.status.success(), "{outcome:?}");
        let report = String::from_utf8(outcome.stdout).expect("UTF-8");
        let names = report.lines().map(|line| line.split_once(':').expect("name: value").0);
        let is_one_of_many = |name: &str| name.starts_with("descriptor ") || name.starts_with("limit ");
        let name =
            |name: &str| if is_one_of_many(name) { name.split(' ').next().expect("a name") } else { name }.to_owned();
        (names.map(name).collect::<BTreeSet<_>>(), report)
    };
    let (facts, report_in_image) = report(Engine::new().container(&["--entrypoint", "/relay"], &["--report"]).run());
    assert_eq!(facts, documented_facts());
    assert_eq!(report_in_image.lines().filter(|line| line.starts_with("limit ")).count(), 16);
    let (facts, _) = report(Bundle::new(Runtime::Crun, Proc::None).host(&["/relay", "--report"]).run());
    assert_eq!(facts, documented_facts());
}

/// What the image that starts as root is built for: the volume is the server's, which has the key, and no way back.
#[test]
fn an_image_that_drops_root() {
    let engine = Engine::that_drops_root();
    let (data, key) = (engine.path("data"), engine.path("key"));
    fs::create_dir(&data).expect("a volume");
    fs::write(&key, "secret").expect("a key");
    let made = engine.podman(&["secret", "create", "key", text(&key)]).run();
    assert!(made.status.success(), "{made:?}");
    let volume = format!("{}:/data", text(&data));
    let base = ["--volume", &volume, "--secret", "key,mode=0400"];
    let least = ["--cap-drop", "all", "--cap-add", "chown,setuid,setgid,setpcap"];
    for options in [&[][..], &least, &["--group-add", "4,27"], &["--security-opt", "no-new-privileges"]] {
        let slate = engine.container(&[&base, options].concat(), &["probe:root", "--listen"]).run().slate();
        slate.assert_clean([0, 1, 2, 3]);
        assert_eq!(slate.arguments, ["/server", "probe:root", "--listen"]);
        assert_eq!((slate.user, slate.group_ids, slate.groups.len()), ([65532; 3], [65532; 3], 0), "{options:?}");
        let none = Capabilities { effective: 0, permitted: 0, inheritable: 0, bounding: 0, ambient: 0 };
        assert_eq!(slate.capabilities, none, "{options:?}");
        assert_eq!((slate.regains_root, slate.no_new_privileges), (Some(false), true), "{options:?}");
        assert_eq!((slate.pid, slate.nofile), (1, [1024, 2048]));
        // Not what leaked as descriptor 3.
        assert_ne!(slate.file(3), slate.file(0));
        assert_eq!(fs::metadata(&data).expect("the volume").uid(), 65532);
        fs::remove_dir(&data).and_then(|()| fs::create_dir(&data)).expect("a volume that is root's again");
    }
    let without = ["--cap-drop", "all", "--cap-add", "chown,setuid,setgid"];
    let outcome = engine.container(&[&base, &without[..]].concat(), &[]).run();
    assert_eq!(outcome.status.code(), Some(125), "{outcome:?}");
    assert!(outcome.stderr.contains("relay: cannot drop capability CHOWN: not permitted (EPERM)"), "{outcome:?}");
}

/// What a host changed: timer slack, huge pages, and which memory a core dump has.
fn of_changed_host(host: Host) -> Host {
    host.attribute(libc::PR_SET_TIMERSLACK, 1000)
        .attribute(libc::PR_SET_THP_DISABLE, 1)
        .written("/proc/self/coredump_filter", "0x3")
}

/// All attributes have their defaults back under podman's own profile, and where Docker's refuses to set the memory policy,
/// all others. docs/privileges.md has the list.
#[test]
fn reset_under_the_profiles_of_engines() {
    let engine = Engine::new();
    let found = |slate: &Slate| (slate.timer_slack, slate.no_huge_pages, slate.coredump_filter);
    let changed = of_changed_host(engine.container(&["--entrypoint", "/server"], &[])).run().slate();
    assert_eq!(found(&changed), (1000, 1, Some(3)), "it is passed on");
    let run = |options: &[&str], arguments: &[&str]| {
        of_changed_host(engine.container(&[&["--entrypoint", "/relay"], options].concat(), arguments)).run()
    };

    for options in [&[][..], &["--user", "0:0"]] {
        let slate = run(options, &["--reset", "all", "/server"]).slate();
        slate.assert_clean([0, 1, 2]);
        assert_eq!(found(&slate), (50_000, 0, Some(0x33)), "{options:?}");
    }

    let path = engine.path("profile.json");
    fs::write(&path, profile::of_docker().to_string()).expect("a profile");
    let docker = ["--security-opt", &format!("seccomp={}", text(&path))];
    let refused = run(&docker, &["--reset", "all", "/server"]);
    assert_eq!(refused.status.code(), Some(125), "{refused:?}");
    assert!(refused.stderr.contains("relay: cannot reset mempolicy: not permitted (EPERM)\n"), "{refused:?}");
    let refused = run(&docker, &["--new-keyring", "/server"]);
    assert!(refused.stderr.contains("relay: cannot begin a session keyring: not permitted (EPERM)\n"), "{refused:?}");
    let page = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/privileges.md")).expect("the page");
    let list = page.lines().find_map(|line| line.trim().strip_prefix("--reset nice,")).expect("a list in the page");
    let slate = run(&docker, &["--reset", &format!("nice,{list}"), "/server"]).slate();
    slate.assert_clean([0, 1, 2]);
    assert_eq!(found(&slate), (50_000, 0, Some(0x33)));
    let report = run(&docker, &["--report"]);
    assert!(String::from_utf8_lossy(&report.stdout).contains("\nmempolicy: unknown\n"), "{report:?}");
}

#[test]
fn clean_where_all_is_restricted() {
    let options = ["--read-only", "--cap-drop", "all", "--security-opt", "no-new-privileges"];
    let slate = Engine::new().container(&options, &[]).run().slate();
    assert_as_in_the_example(&slate, &[]);
    assert!(slate.no_new_privileges);
}

#[test]
fn clean_behind_a_process_1_that_reaps() {
    let slate = Engine::new().container(&["--init"], &[]).run().slate();
    assert_as_in_the_example(&slate, &[]);
    assert_eq!(slate.parent, 1);
}

#[test]
fn clean_under_an_old_engines_profile() {
    let engine = Engine::new();
    for errno in [libc::EPERM, libc::ENOSYS] {
        let path = engine.path("profile.json");
        fs::write(&path, profile::of_old_engine(errno).to_string()).expect("a profile");
        let option = format!("seccomp={}", text(&path));
        let slate = engine.container(&["--security-opt", &option], &[]).run().slate();
        assert_as_in_the_example(&slate, &[]);
    }
}

/// What Kubernetes accepts, and podman can run: as it is, and with the pod's own process 1, which README.md tells of.
#[test]
fn the_pod_of_the_example() {
    let pod = fs::read_to_string(example("pod.yaml")).expect("the pod");
    let shared = pod.replace("\nspec:\n", "\nspec:\n  shareProcessNamespace: true\n");
    assert_ne!(pod, shared);
    let _groups = PodGroups::new();
    let engine = Engine::new();
    for (pod, is_process_1) in [(pod, true), (shared, false)] {
        let path = engine.path("pod.yaml");
        fs::write(&path, pod).expect("a pod");
        let validated = output(Command::new("kubernetes-validate").arg("--strict").arg(&path));
        assert!(validated.status.success(), "{validated:?}");

        let slate = play(&engine, text(&path));
        assert_as_in_the_example(&slate, &["--listen", "8080"]);
        assert!(slate.no_new_privileges);
        assert_eq!(slate.pid == 1, is_process_1, "{slate:?}");
    }
}

/// Runs the pod, whose report tells of what leaks from a dirty host, and returns what its server sees.
fn play(engine: &Engine, pod: &str) -> Slate {
    // podman removes an init container at its end, unless it is to start with the pod each time.
    let kept = "io.podman.annotations.init.container.type=always";
    let play = ["play", "kube", "--replace", "--network", "none", "--annotation", kept, pod];
    let played = dirty(engine.podman(&play)).run();
    assert!(played.status.success(), "{played:?}");
    let waited = engine.podman(&["wait", "server-server"]).run();
    assert_eq!(waited.stdout, b"0\n", "{waited:?}");
    let report = String::from_utf8(engine.podman(&["logs", "server-slate"]).run().stdout).expect("UTF-8");
    for line in ["descriptor 2: open ", "ignored: 32 ", "blocked: USR1 "] {
        assert!(report.contains(line), "{line:?} in {report}");
    }
    engine.podman(&["logs", "server-server"]).run().slate()
}
