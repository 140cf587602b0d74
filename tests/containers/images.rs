//! The image of examples/container, run by podman, and the pod.

use std::fs;
use std::process::Command;

use crate::host::output;
use crate::image::{Engine, PodGroups, example};
use crate::profile;
use crate::slate::Slate;
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
