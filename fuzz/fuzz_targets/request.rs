//! Arguments to a checked request. An argument a line, without relay's name.

#![no_main]

mod lines;
mod vector;

use std::ffi::{CStr, CString};
use std::fs::File;
use std::os::fd::IntoRawFd;
use std::sync::Once;

use exec_relay::fd_plan::MOST;
use exec_relay::options::Arguments;
use exec_relay::request::{Action, Request};
use exec_relay::slate::Cgroup;
use exec_relay::status::{Concern, Failure, Report, Step};
use exec_relay::sys;
use exec_relay::value::Arity;
use libfuzzer_sys::fuzz_target;
use lines::lines;
use vector::Vector;

fuzz_target!(|input: &[u8]| {
    static OPENED: Once = Once::new();
    OPENED.call_once(open_some);
    let mut arguments = vec![c"relay".to_owned()];
    if !input.is_empty() {
        arguments.extend(lines(input));
    }
    let vector = Vector::new(&arguments);
    let mut request = Request::new();
    let outcome = request.read(vector.strings());
    assert_report_is_usable(&request);
    match outcome {
        Err(failure) => assert_failure_is_told(&request, failure, &vector),
        Ok(()) if request.action == Action::Start => {
            assert_can_be_carried_out(&request, &vector);
            assert_settings_read_back(&request);
            assert_program_is_not_read(&request, &arguments);
            assert_one_form_is_as_good_as_the_other(&request, &arguments);
        }
        Ok(()) => {}
    }
});

/// The same descriptors wherever this runs: 0 to 9 are open.
fn open_some() {
    while File::open("/dev/null").expect("/dev/null").into_raw_fd() < 9 {}
}

/// Even where there was a mistake.
fn assert_report_is_usable(request: &Request) {
    match request.slate.report {
        Report::Message(stderr) => assert_eq!(stderr, 2),
        Report::Records(status) => assert!(status >= 3 && sys::is_open(status).is_ok()),
        Report::Attendant(status) => assert!(status >= 3),
        Report::Returned => panic!("nobody reads it"),
    }
}

fn assert_failure_is_told(request: &Request, failure: Failure, vector: &Vector) {
    let step = failure.step();
    let is_reading = step.number() <= Step::ProgramNotAbsolute.number() && step != Step::Ready && step != Step::Write;
    assert!(is_reading || matches!(step, Step::Listening | Step::Terminal), "{failure:?}");
    match step.concern() {
        Concern::Argument => {
            assert!(failure.detail >= 1 && vector.get(failure.detail).is_some(), "{failure:?}");
        }
        Concern::Descriptor => assert!(i32::try_from(failure.detail).is_ok(), "{failure:?}"),
        _ => assert_eq!(failure.detail, 0, "{failure:?}"),
    }
    if step == Step::ProgramNotAbsolute {
        let program = vector.get(failure.detail).expect("the argument");
        assert_ne!(program.to_bytes().first(), Some(&b'/'));
        assert!(request.mistaken_option(failure).is_none_or(|option| option.arity() == Arity::Optional));
    }
}

fn assert_can_be_carried_out(request: &Request, vector: &Vector) {
    let slate = &request.slate;
    assert_eq!(vector.get(request.program.argument), Some(request.program.path));
    match slate.program {
        Some(program) => sys::is_open(program).expect("an open program"),
        None => assert_eq!(request.program.path.to_bytes().first(), Some(&b'/')),
    }
    for path in slate.directory.iter().chain(match &slate.cgroup {
        Some(Cgroup::Path(path)) => Some(path),
        _ => None,
    }) {
        let argument = vector.get(path.argument).expect("the argument");
        assert!(argument.to_bytes().ends_with(path.path.to_bytes()) && path.argument < request.program.argument);
    }
    for source in slate.descriptors.sources().filter(|&source| !slate.descriptors.keeps(source)) {
        sys::is_open(source).expect("an open source");
    }
    if let Report::Records(status) = slate.report {
        assert!(!slate.descriptors.is_source(status), "the program would have it");
    }
    if let Some(terminal) = slate.settings.terminal {
        assert!(slate.descriptors.has(terminal.get()));
    }
    assert!(request.listening as usize <= MOST);
    assert!((3..3 + request.listening as i32).all(|socket| slate.descriptors.has(socket)));
    let names = request.listening_names.as_c_str().to_bytes();
    let names: Vec<_> = names.split(|&byte| byte == b':').collect();
    if names != [b""] {
        assert_eq!(names.len(), request.listening as usize);
        assert!(names.iter().all(|name| !name.is_empty()));
    }
}

/// What the launcher writes of settings is what relay reads.
fn assert_settings_read_back(request: &Request) {
    let mut arguments = vec![c"relay".to_owned()];
    // Its value is one of the program's descriptors, which are no setting.
    let mut settings = request.slate.settings.clone();
    settings.terminal = None;
    settings.write(&mut |argument| arguments.push(CString::new(argument.to_string()).expect("no NUL")));
    arguments.push(c"/program".to_owned());
    let vector = Vector::new(&arguments);
    let mut again = Request::new();
    again.read(vector.strings()).expect("good settings");
    assert_eq!(again.slate.settings, settings);
}

/// What the program is given has no effect.
fn assert_program_is_not_read(request: &Request, arguments: &[CString]) {
    let own = &arguments[..=request.program.argument as usize];
    for more in [&[][..], &[c"--help", c"--umask=x", c""]] {
        let arguments: Vec<_> = own.iter().cloned().chain(more.iter().copied().map(CStr::to_owned)).collect();
        assert_reads_as(request, &arguments);
    }
}

/// `--option VALUE` and `--option=VALUE`, and `--` before the program or not.
fn assert_one_form_is_as_good_as_the_other(request: &Request, arguments: &[CString]) {
    if matches!(request.slate.report, Report::Attendant(_)) {
        return;
    }
    let vector = Vector::new(arguments);
    let mut rest = Arguments::new(vector.strings());
    let (mut joined, mut apart) = (vec![c"relay".to_owned()], vec![c"relay".to_owned()]);
    while let Some(given) = rest.take_option().expect("it was read before") {
        let name = [b"--", given.name.text().as_c_str().to_bytes()].concat();
        let value = given.value.as_c_str();
        let with_value = CString::new([&name, &b"="[..], value.to_bytes()].concat()).expect("no NUL");
        let name = CString::new(name).expect("no NUL");
        match given.name.arity() {
            Arity::None => {
                joined.push(name.clone());
                apart.push(name);
            }
            Arity::Optional => {
                joined.push(with_value.clone());
                apart.push(with_value);
            }
            Arity::Required => {
                joined.push(with_value);
                apart.extend([name, value.to_owned()]);
            }
        }
    }
    let program = &arguments[request.program.argument as usize..];
    for mut arguments in [joined, apart] {
        arguments.push(c"--".to_owned());
        arguments.extend_from_slice(program);
        assert_reads_as(request, &arguments);
    }
}

fn assert_reads_as(request: &Request, arguments: &[CString]) {
    let vector = Vector::new(arguments);
    let mut again = Request::new();
    again.read(vector.strings()).expect("the same request");
    let path = |request: &Request| request.slate.directory.map(|directory| directory.path.to_owned());
    let cgroup = |request: &Request| match request.slate.cgroup {
        Some(Cgroup::Path(cgroup)) => Some(cgroup.path.to_owned()),
        _ => None,
    };
    assert_eq!(again.slate.settings, request.slate.settings);
    assert_eq!(again.slate.report, request.slate.report);
    assert_eq!(format!("{:?}", again.slate.descriptors), format!("{:?}", request.slate.descriptors));
    assert_eq!(again.program.path, request.program.path);
    assert_eq!((again.argv0, again.slate.program), (request.argv0, request.slate.program));
    assert_eq!((again.listening, again.listening_names), (request.listening, request.listening_names));
    assert_eq!((path(&again), cgroup(&again)), (path(request), cgroup(request)));
}
