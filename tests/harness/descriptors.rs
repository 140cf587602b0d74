//! Options that arrange descriptors: what the program's are is what the options say, as if all happened at once.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::process::Command;

use exec_relay::fd_plan::MOST;
use exec_relay::status::Record;
use proptest::prelude::*;
use tempfile::{TempDir, tempfile};

use crate::host::{Host, Outcome, mark_a_range, output, path_only, probe, relay_line};
use crate::sandbox;

/// A file's device and inode.
type Identity = (u64, u64, u64);

fn identity(file: &File) -> Identity {
    let metadata = file.metadata().expect("metadata");
    let device = metadata.dev();
    (libc::major(device).into(), libc::minor(device).into(), metadata.ino())
}

/// A host with a file of its own at each of `open`, and which file that is.
fn host_with(open: &[i32], options: &[String]) -> (Host, BTreeMap<i32, Identity>) {
    let mut files = BTreeMap::new();
    let path = TempDir::new().expect("a directory");
    let mut host = Host::new(options.iter().cloned().chain([probe().to_str().expect("UTF-8").to_owned()]));
    for &descriptor in open {
        // On disk: all memory files of one kind share a device, and so do these, but not their inodes.
        let file = File::create_new(path.path().join(descriptor.to_string())).expect("a file");
        files.insert(descriptor, identity(&file));
        host = host.descriptor(descriptor, file);
    }
    (host, files)
}

/// Runs relay with files at `open`, and compares the program's descriptors, but for standard output, with `expected`:
/// which one each is.
#[track_caller]
fn assert_arranged(open: &[i32], options: &[&str], expected: &[(i32, i32)]) {
    let options: Vec<String> = options.iter().map(ToString::to_string).collect();
    let (host, files) = host_with(open, &options);
    let outcome = host.run();
    let slate = outcome.slate();
    let numbers = expected.iter().map(|&(number, _)| number).chain([0, 1, 2]);
    slate.assert_clean(numbers.filter(|number| !options.contains(&format!("--close={number}"))));
    for (number, from) in expected {
        assert_eq!(slate.file(*number), Some(files[from]), "{number} is not what {from} was: {options:?}");
        let found = slate.descriptors.iter().find(|descriptor| descriptor.number == *number);
        assert!(found.is_some_and(|descriptor| !descriptor.close_on_exec));
    }
}

#[track_caller]
fn assert_refused(outcome: &Outcome, message: &str) {
    assert_eq!(outcome.status.code(), Some(125), "{outcome:?}");
    assert_eq!(outcome.stdout, b"");
    assert_eq!(outcome.stderr, format!("relay: {message}\n"));
}

#[test]
fn one_renamed() {
    assert_arranged(&[5, 6], &["--fd=9=5"], &[(9, 5)]);
    assert_arranged(&[5, 6], &["--fd", "9=5"], &[(9, 5)]);
    assert_arranged(&[5, 6], &["--fd=3=5", "--keep=6"], &[(3, 5), (6, 6)]);
}

#[test]
fn the_six_permutations_of_three() {
    for [a, b, c] in [[5, 6, 7], [5, 7, 6], [6, 5, 7], [6, 7, 5], [7, 5, 6], [7, 6, 5]] {
        let options = [format!("--fd=5={a}"), format!("--fd=6={b}"), format!("--fd=7={c}")];
        assert_arranged(&[5, 6, 7, 8], &options.each_ref().map(String::as_str), &[(5, a), (6, b), (7, c)]);
    }
}

/// What procex gives as [5, -1, 7]: 0 is 5, 1 is closed, 2 is 7.
#[test]
fn procex_s_shape() {
    let directory = TempDir::new().expect("a directory");
    let to = format!("probe:to={}", directory.path().join("slate").display());
    let (five, seven) = (tempfile().expect("a file"), tempfile().expect("a file"));
    let expected = [identity(&five), identity(&seven)];
    let arguments =
        ["--fd", "0=5", "--close", "1", "--fd", "2=7", probe().to_str().expect("UTF-8"), &to].map(String::from);
    let outcome = Host::new(arguments).descriptor(5, five).open(6).descriptor(7, seven).run();
    assert!(outcome.status.success(), "{outcome:?}");
    let printed = std::fs::read(directory.path().join("slate")).expect("the slate");
    let slate: crate::slate::Slate = serde_json::from_slice(&printed).expect("a slate");
    slate.assert_clean([0, 2]);
    assert_eq!([slate.file(0), slate.file(2)], expected.map(Some));
}

#[test]
fn one_source_for_several_targets() {
    assert_arranged(&[5], &["--fd=6=5", "--fd=7=5", "--fd=500=5"], &[(6, 5), (7, 5), (500, 5)]);
    // A target that is a source twice, and in a cycle.
    assert_arranged(&[5, 6], &["--fd=5=6", "--fd=6=5", "--fd=7=5", "--fd=8=6"], &[(5, 6), (6, 5), (7, 5), (8, 6)]);
}

#[test]
fn a_source_that_is_its_own_target_stays() {
    assert_arranged(&[5, 6], &["--fd=5=5", "--fd=7=5"], &[(5, 5), (7, 5)]);
}

#[test]
fn standard_descriptors_as_sources_and_targets() {
    assert_arranged(&[5], &["--fd=0=5"], &[(0, 5)]);
    let (host, files) = host_with(&[0, 5], &["--fd=0=5", "--fd=5=0", "--fd=7=2"].map(String::from));
    let slate = host.run().slate();
    slate.assert_clean([0, 1, 2, 5, 7]);
    assert_eq!((slate.file(0), slate.file(5)), (Some(files[&5]), Some(files[&0])));
    assert_eq!(slate.file(7), slate.file(2));
}

#[test]
fn a_target_above_every_open_descriptor() {
    assert_arranged(&[5], &["--fd=19999=5"], &[(19_999, 5)]);
    let (host, _) = host_with(&[5], &["--fd=20000=5".to_owned()]);
    assert_refused(&host.run(), "cannot make descriptor 20000: too many or too high descriptors (EMFILE)");
}

/// A descriptor opened by path only, and one that the last way of the sweep must not close.
#[test]
fn renaming_in_every_sandbox() {
    let calls = [libc::SYS_close_range];
    for root in [None, Some(sandbox::bare_root())] {
        let program = if root.is_some() { "/probe".into() } else { probe().to_str().expect("UTF-8").to_owned() };
        let host = Host::new(["--fd=3=4", "--fd=4=3", "--keep=100", &program]).descriptor(3, path_only("/"));
        let host = host.open(4).open(100).open(101).descriptor(102, path_only("/"));
        let host = match &root {
            Some(root) => host.relay_at("/relay").root(root.path()),
            None => host,
        };
        host.filter(sandbox::refuse(&calls, libc::EPERM)).run().slate().assert_clean([0, 1, 2, 3, 4, 100]);
    }
}

/// A swap needs one free number; where there is none, that is told, and the program is not started.
#[test]
fn a_swap_in_a_full_table() {
    let host = Host::new(["--fd=3=4", "--fd=4=3", "/bin/echo", "started"]).nofile(300, 300).full_table();
    assert_refused(&host.run(), "cannot make descriptor 3: too many or too high descriptors (EMFILE)");
    // What needs none works.
    let host = Host::new(["--fd=3=4", "--fd=4=5", probe().to_str().expect("UTF-8")]).nofile(300, 300).full_table();
    host.run().slate().assert_clean([0, 1, 2, 3, 4]);
}

#[test]
fn kept() {
    assert_arranged(&[5, 6, 7, 8, 9], &["--keep=5"], &[(5, 5)]);
    assert_arranged(&[5, 6, 7, 8, 9], &["--keep", "5,9"], &[(5, 5), (9, 9)]);
    assert_arranged(&[5, 6, 7, 8, 9], &["--keep=5-7,9"], &[(5, 5), (6, 6), (7, 7), (9, 9)]);
    assert_arranged(&[5, 6], &["--keep=5", "--keep=6,5-6"], &[(5, 5), (6, 6)]);
    // As they are: one that is closed stays closed.
    assert_arranged(&[5], &["--keep=4-6,1"], &[(5, 5)]);
}

/// 0 to 2 close like all others where they are to, whichever way descriptors are found.
#[test]
fn closed() {
    let no_close_range = || sandbox::refuse(&[libc::SYS_close_range], libc::EPERM);
    for descriptor in [0, 2] {
        let close = format!("--close={descriptor}");
        let host = || Host::new([&close, probe().to_str().expect("UTF-8")]);
        let root = sandbox::bare_root();
        let bare = Host::new([&close, "/probe"]).relay_at("/relay").root(root.path());
        for host in [host(), host().closed(descriptor), host().filter(no_close_range()), bare.filter(no_close_range())]
        {
            host.run().slate().assert_clean((0..3).filter(|&number| number != descriptor));
        }
    }
}

/// Until the program starts relay needs 2 itself.
#[test]
fn a_failure_is_told_on_a_standard_error_that_is_to_be_closed() {
    for options in [&["--close=2"][..], &["--close=2", "--chdir=/"], &["--close=2", "--close=0", "--chdir=/"]] {
        let outcome = Host::new(options.iter().chain(&["/no/such"])).run();
        assert_eq!(outcome.stderr, "relay: cannot start /no/such: no such file (ENOENT)\n", "{options:?}");
        assert_eq!(outcome.status.code(), Some(127));
    }
    let host = Host::new(["--close=2", "--chdir=/", probe().to_str().expect("UTF-8")]);
    host.run().slate().assert_clean([0, 1]);
}

/// Where 2 is renamed, relay's messages still go to its own standard error, and the program sees nothing of that.
#[test]
fn a_failure_is_told_on_relay_s_own_standard_error() {
    for options in [&["--fd=2=5"][..], &["--fd=2=5", "--chdir=/"], &["--fd=2=1", "--fd=1=2", "--fd=3=5"]] {
        let (mut theirs, other) = std::io::pipe().expect("a pipe");
        let outcome = Host::new(options.iter().chain(&["/no/such"])).descriptor(5, OwnedFd::from(other)).run();
        assert_eq!(outcome.stderr, "relay: cannot start /no/such: no such file (ENOENT)\n", "{options:?}");
        let mut told = String::new();
        theirs.read_to_string(&mut told).expect("what the program's standard error was told");
        assert_eq!((told.as_str(), outcome.stdout.as_slice()), ("", &b""[..]), "{options:?}");
    }
    assert_arranged(&[5], &["--fd=2=5"], &[(2, 5)]);
    assert_arranged(&[5], &["--fd=2=5", "--chdir=/", "--fd=3=5"], &[(2, 5), (3, 5)]);
    // Where there is none, or no free number, the launch does not fail for it.
    let host = Host::new(["--fd=2=5", "/no/such"]).open(5);
    let outcome = host.nofile(300, 300).full_table().run();
    assert_eq!((outcome.status.code(), outcome.stderr.as_str()), (Some(127), ""));
    let (mut theirs, other) = std::io::pipe().expect("a pipe");
    let host = Host::new(["--fd=2=5", "/no/such"]).descriptor(5, OwnedFd::from(other)).closed(2);
    assert_eq!(host.run().status.code(), Some(127));
    let mut told = String::new();
    theirs.read_to_string(&mut told).expect("what the program's standard error was told");
    assert_eq!(told, "relay: cannot start /no/such: no such file (ENOENT)\n");
}

/// A sandbox that says something was done which was not.
#[test]
fn copies_that_were_not_made() {
    for (options, injection) in [
        (&["--fd=10=5"][..], "dup3:retval=0"),
        (&["--fd=10=5"], "dup3:retval=9"),
        (&["--fd=5=6", "--fd=6=5"], "fcntl:retval=0:when=3"),
        (&["--fd=5=6", "--fd=6=5"], "fcntl:retval=2:when=3"),
    ] {
        if injection.starts_with("fcntl") && mark_a_range().is_err() {
            // Before Linux 5.11 relay marks each descriptor by that call, so the third one is another.
            continue;
        }
        let script = "exec 5</dev/null 6</dev/null; exec \"$@\"";
        let mut command = Command::new("bash");
        command.args(["-c", script, "bash", "strace", "-qq", "-o", "/dev/null", "--inject", injection]);
        let outcome = output(command.args(relay_line()).args(options).args(["/bin/echo", "started"]));
        assert_eq!(
            (outcome.status.code(), outcome.stdout.as_slice()),
            (Some(125), &b""[..]),
            "{options:?} {injection}"
        );
        let message = String::from_utf8_lossy(&outcome.stderr);
        assert!(message.ends_with("no such system call (ENOSYS)\n"), "{message}");
    }
}

#[test]
fn malformed_values() {
    for option in [
        "--fd=",
        "--fd=5",
        "--fd=5=",
        "--fd==5",
        "--fd=5=5=5",
        "--fd=a=5",
        "--fd=-1=5",
        "--fd=5=5x",
        "--fd=2147483648=5",
        "--keep=",
        "--keep=5-",
        "--keep=-5",
        "--keep=7-5",
        "--keep=5,",
        "--keep=,5",
        "--keep=5;6",
        "--keep=all",
        "--close=",
        "--close=x",
        "--close=1,2",
        "--close=-1",
        "--close=2147483648",
        "--pulse=",
        "--pulse=x",
        "--listen-fds=0",
        "--listen-fds=331",
        "--listen-fds=",
        "--listen-fds=1=",
        "--listen-fds=1=a:b",
        "--listen-fds=2=a",
        "--listen-fds=2=a:",
        "--listen-fds=2=:a",
        "--listen-fds=2:a:b",
    ] {
        let outcome = Host::new([option, "/bin/echo"]).open(5).run();
        outcome.assert_misused(option);
    }
    let outcome = Host::new(["--fd", "3", "4", "/bin/echo"]).run();
    assert_refused(&outcome, "bad value 3, use --fd TO=FROM, as 3=4");
    assert_refused(&Host::new(["--keep", "", "/bin/echo"]).run(), "bad value , use --keep LIST, as 3,5-7");
    assert_refused(&Host::new(["--umask=0", "--chdir"]).run(), "--chdir lacks its value");
}

#[test]
fn what_contradicts_itself() {
    for [first, second] in [
        ["--fd=9=5", "--fd=9=6"],
        ["--fd=9=5", "--fd=9=5"],
        ["--keep=5", "--fd=5=6"],
        ["--fd=5=6", "--keep=5"],
        ["--fd=0=5", "--close=0"],
        ["--keep=0", "--fd=0=5"],
        ["--fd=0=5", "--keep=0"],
        ["--keep=0", "--close=0"],
        ["--pulse=1", "--close=1"],
        ["--pulse=2", "--fd=2=5"],
        ["--close=2", "--keep=2"],
        ["--keep=3-9", "--fd=5=6"],
        ["--fd=5=6", "--keep=3-9"],
        ["--keep=0-9", "--close=2"],
        ["--close=2", "--keep=0-9"],
        ["--fd=0=5", "--keep=0-3"],
    ] {
        let outcome = Host::new([first, second, "/bin/echo"]).open(5).open(6).run();
        assert_refused(&outcome, &format!("bad value {second}: asked for twice (EEXIST)"));
    }
}

#[test]
fn closed_sources() {
    for option in ["--fd=5=7", "--pulse=7", "--fd=7=7"] {
        assert_refused(
            &Host::new([option, "/bin/echo"]).run(),
            &format!("bad value {option}: not open for this (EBADF)"),
        );
    }
}

#[test]
fn as_many_as_there_can_be_and_one_more() {
    // Each by itself: a range would count as one.
    let keep = |count: usize| {
        let numbers: Vec<_> = (0..count).map(|index| (300 + 2 * index).to_string()).collect();
        format!("--keep={}", numbers.join(","))
    };
    let last = 300 + 2 * MOST as i32;
    let host =
        |option: &str| (300..=last).fold(Host::new([option, probe().to_str().expect("UTF-8")]), |h, d| h.copy(2, d));
    host(&keep(MOST)).run().slate().assert_clean((0..3).chain((300..last).step_by(2)));
    let many = keep(MOST + 1);
    assert_refused(&host(&many).run(), &format!("bad value {many}: too many or too high descriptors (EMFILE)"));
}

/// However wide a range is, and however it is that all else is found.
#[test]
fn wide_ranges() {
    let filters =
        || [None, Some(libc::ENOSYS)].map(|errno| errno.map(|errno| sandbox::refuse(&[libc::SYS_close_range], errno)));
    for filter in filters() {
        let options = ["--keep=6-19000,100000-2147483647,9-15,15-16", "--fd=5=7", "/probe"];
        let host = Host::new(options).relay_at("/relay").open(3).open(7).copy(7, 15).copy(7, 1000).copy(7, 18_999);
        let root = sandbox::bare_root();
        let outcome = filter.into_iter().fold(host.copy(7, 19_001), Host::filter).root(root.path()).run();
        outcome.slate().assert_clean([0, 1, 2, 5, 7, 15, 1000, 18_999]);
    }
    for filter in filters() {
        let host = Host::new(["--keep=3-100000", probe().to_str().expect("UTF-8")]).open(5);
        filter.into_iter().fold(host, Host::filter).run().slate().assert_clean([0, 1, 2, 5]);
    }
}

/// What is not close-on-exec stays, beside what is asked for.
#[test]
fn what_is_inherited_is_kept() {
    let inherited = |options: &[&str]| {
        let options = ["--keep-inherited"].into_iter().chain(options.iter().copied());
        Host::new(options.chain([probe().to_str().expect("UTF-8")])).open(5).copy(5, 900)
    };
    inherited(&[]).run().slate().assert_clean([0, 1, 2, 5, 900]);
    let slate = inherited(&["--fd=7=0", "--fd=900=2", "--keep=8", "--close=0", "--chdir=/"]).run().slate();
    slate.assert_clean([1, 2, 5, 7, 900]);
    assert_eq!(slate.file(900), slate.file(2));
    // One that is open and one that is not, after they were renamed from.
    let slate = inherited(&["--close=5", "--fd=6=5", "--close=800"]).run().slate();
    slate.assert_clean([0, 1, 2, 6, 900]);
    // A cycle, for which a number is needed that nobody has.
    inherited(&["--fd=5=900", "--fd=900=5"]).run().slate().assert_clean([0, 1, 2, 5, 900]);
    // The launcher's own descriptor is not for the program.
    let outcome = inherited(&["--status=9"]).status(9).run();
    assert_eq!(outcome.records, Record::READY.encode().as_flattened());
    outcome.slate().assert_clean([0, 1, 2, 5, 900]);
    let outcome = inherited(&["--status=9", "--fd=9=5"]).status(9).run();
    outcome.slate().assert_clean([0, 1, 2, 5, 9, 900]);
}

#[test]
fn the_launcher_sees_the_pulse_stop() {
    let (mut reader, writer) = std::io::pipe().expect("a pipe");
    let outcome = Host::new(["--pulse=8", probe().to_str().expect("UTF-8")]).descriptor(8, OwnedFd::from(writer)).run();
    outcome.slate().assert_clean([0, 1, 2, 8]);
    let mut rest = Vec::new();
    assert_eq!(reader.read_to_end(&mut rest).expect("the hang-up"), 0);
}

#[test]
fn listening_sockets() {
    let host = Host::new(["--listen-fds=2", probe().to_str().expect("UTF-8")]).open(3).open(4).open(5);
    let running = host.environment(["LISTEN_PID=1", "LISTEN_FDS=9", "A=b"]).spawn();
    let pid = running.child.id();
    let slate = running.finish().slate();
    slate.assert_clean([0, 1, 2, 3, 4]);
    let mut environment = slate.environment;
    environment.sort_unstable();
    assert_eq!(environment, ["A=b".to_owned(), "LISTEN_FDS=2".to_owned(), format!("LISTEN_PID={pid}")]);
    // From elsewhere, and the other way round.
    assert_arranged(&[8, 9], &["--listen-fds=2", "--fd=3=9", "--fd=4=8"], &[(3, 9), (4, 8)]);
    let outcome = Host::new(["--listen-fds", "2", "/bin/echo"]).open(3).run();
    assert_refused(&outcome, "cannot pass on listening socket 4: not open for this (EBADF)");
    // To be kept or closed is not to be open.
    let outcome = Host::new(["--listen-fds=1", "--keep=3", "/bin/echo"]).run();
    assert_refused(&outcome, "cannot pass on listening socket 3: not open for this (EBADF)");
    let slate = Host::new(["--listen-fds=1", "--keep=3", probe().to_str().expect("UTF-8")]).open(3).run().slate();
    slate.assert_clean([0, 1, 2, 3]);
}

/// Names of other sockets would be given to these.
#[test]
fn inherited_names_of_listening_sockets() {
    let host = |options: &[&str]| {
        let probe = probe();
        let arguments = options.iter().copied().chain([probe.to_str().expect("UTF-8")]);
        let host = Host::new(arguments.map(str::to_owned).collect::<Vec<_>>()).open(3);
        host.environment(["LISTEN_FDNAMES=http:https", "LISTEN_PIDFDID=7", "A=b"]).run().slate().environment
    };
    let named = |environment: &[String]| environment.iter().any(|variable| variable.starts_with("LISTEN_FDNAMES"));
    assert!(!named(&host(&["--listen-fds=1"])));
    assert!(host(&["--listen-fds=1=web"]).contains(&"LISTEN_FDNAMES=web".to_owned()));
    let given = |own: &str, name: &str| {
        let environment = host(&["--listen-fds=1=web", &format!("--env={own}")]).into_iter();
        environment.filter(|variable| variable.split('=').next() == Some(name)).collect::<Vec<_>>()
    };
    // What the caller says of the sockets counts for more than what relay would say.
    for (own, name) in [("LISTEN_FDNAMES=mine", "LISTEN_FDNAMES"), ("LISTEN_PIDFDID=8", "LISTEN_PIDFDID")] {
        assert_eq!(given(own, name), [own]);
    }
    // But for what only relay can know.
    assert_eq!(given("LISTEN_FDS=9", "LISTEN_FDS"), ["LISTEN_FDS=1"]);
    let process = given("LISTEN_PID=5", "LISTEN_PID");
    assert!(process.len() == 1 && process != ["LISTEN_PID=5"], "{process:?}");
    assert!(host(&[]).contains(&"LISTEN_PIDFDID=7".to_owned()), "without sockets it is a variable like others");
    assert!(!host(&["--listen-fds=1"]).contains(&"LISTEN_PIDFDID=7".to_owned()));
    assert!(host(&["--listen-fds=1", "--env=LISTEN_FDNAMES=mine"]).contains(&"LISTEN_FDNAMES=mine".to_owned()));
    assert!(named(&host(&[])), "without sockets it is a variable like others");
}

/// The real libsystemd accepts what relay hands over.
#[test]
fn sd_listen_fds() {
    let directory = TempDir::new().expect("a directory");
    let program = directory.path().join("sd_listen_fds");
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/harness/sd_listen_fds.c");
    let compiled = output(Command::new("cc").arg("-o").arg(&program).args([source, "-lsystemd"]));
    assert!(compiled.status.success(), "libsystemd-dev is needed: {}", String::from_utf8_lossy(&compiled.stderr));
    let socket = || std::net::TcpListener::bind(("127.0.0.1", 0)).expect("a listening socket");
    let program = program.to_str().expect("UTF-8");
    let outcome =
        Host::new(["--fd=3=7", "--fd=4=6", "--listen-fds=2", program]).descriptor(6, socket()).descriptor(7, socket());
    let outcome = outcome.run();
    assert!(outcome.status.success(), "{outcome:?}");
    assert_eq!(outcome.stdout, b"2 listening\nunknown\nunknown\n");
    let host = Host::new(["--fd=3=7", "--fd=4=6", "--listen-fds=2=web:admin", program]);
    let host = host.environment(["LISTEN_FDNAMES=other"]).descriptor(6, socket()).descriptor(7, socket());
    assert_eq!(host.run().stdout, b"2 listening\nweb\nadmin\n");
}

/// The variables of sockets take the places of argc, relay's name and the option: there are no more.
#[test]
fn names_of_many_sockets() {
    for given in ["--listen-fds=32=", "--listen-fds 32="] {
        let names: Vec<_> = (0..32).map(|number| format!("a name of {number:03}")).collect();
        let names = names.join(":");
        let probe = probe();
        let option = format!("{given}{names}");
        let (first, second) =
            option.split_once("fds ").map_or((option.as_str(), None), |(_, value)| ("--listen-fds", Some(value)));
        let arguments = [first].into_iter().chain(second).chain([probe.to_str().expect("UTF-8")]);
        let host = (3..35).fold(Host::new(arguments), Host::open).environment(["A=b"]);
        let slate = host.run().slate();
        assert_eq!(slate.environment.len(), 4);
        assert!(slate.environment.contains(&format!("LISTEN_FDNAMES={names}")), "{:?}", slate.environment);
        assert_eq!(slate.arguments, [probe.to_str().expect("UTF-8")]);
    }
    // Longer ones can be given by --env.
    let long = format!("--listen-fds=1={}", "x".repeat(4096));
    let outcome = Host::new([&long, "/bin/echo"]).open(3).run();
    assert_eq!(outcome.status.code(), Some(125));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    /// Any arrangement, carried out by the real program, against the map that it says.
    #[test]
    fn any_arrangement(renames in prop::collection::btree_map(3..16_i32, 3..14_i32, 0..12)) {
        let open: Vec<i32> = (3..14).collect();
        let options: Vec<String> = renames.iter().map(|(target, source)| format!("--fd={target}={source}")).collect();
        let (host, files) = host_with(&open, &options);
        let slate = host.run().slate();
        prop_assert_eq!(slate.numbers(), renames.keys().copied().chain(0..3).collect());
        for (target, source) in renames {
            prop_assert_eq!(slate.file(target), Some(files[&source]), "{} from {}", target, source);
        }
    }
}
