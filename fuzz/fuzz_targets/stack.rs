//! The editing of the initial stack, against the rules by which relay makes the program's arguments and environment. Relay's
//! arguments, one a line, then an empty line and the environment.

#![no_main]
#![allow(dead_code, reason = "relay's files have more than this needs")]

#[path = "../../src/bin/relay/line.rs"]
mod line;
mod lines;
#[path = "../../src/bin/relay/stack.rs"]
mod stack;
#[path = "../../src/bin/relay/texts.rs"]
mod texts;
mod vector;

use std::collections::BTreeMap;
use std::ffi::CString;
use std::hint::black_box;

use exec_relay::options::{Arguments, Name, Other};
use exec_relay::request::{Action, Request};
use exec_relay::text::Strings;
use libfuzzer_sys::{Corpus, fuzz_target};
use lines::lines;
use stack::InitialStack;
use vector::Vector;

/// What relay is told its own number is.
const PROCESS: u32 = 4711;

/// As long as all strings may be.
const MOST: usize = 1 << 14;

fuzz_target!(|input: &[u8]| -> Corpus {
    if input.len() + 1000 > MOST {
        return Corpus::Reject;
    }
    let mut lines = lines(input);
    let end = lines.iter().position(|line| line.is_empty()).unwrap_or(lines.len());
    let environment: Vec<_> = lines.split_off(end).into_iter().skip(1).collect();
    let arguments: Vec<_> = [c"relay".to_owned()].into_iter().chain(lines).collect();
    let vector = Vector::new(&arguments);
    let mut request = Request::new();
    if request.read(vector.strings()).is_err() || request.action != Action::Start {
        return Corpus::Reject;
    }
    let found = edited(&arguments, &environment);
    let program: Vec<_> = program_arguments(&request, &arguments);
    assert_eq!(found, (program, expected(&request, vector.strings(), &environment)));
    Corpus::Keep
});

type Vectors = (Vec<Vec<u8>>, Vec<Vec<u8>>);

/// Lays a stack out as the kernel does, and has it edited. The strings lie above all of relay's own frames, in the order of
/// the vectors.
#[inline(never)]
fn edited(arguments: &[CString], environment: &[CString]) -> Vectors {
    let mut strings = [0_u8; MOST];
    let (mut length, mut slots) = (0, vec![arguments.len()]);
    for vector in [arguments, environment] {
        for string in vector {
            let bytes = string.to_bytes_with_nul();
            strings[length..][..bytes.len()].copy_from_slice(bytes);
            slots.push(strings.as_ptr() as usize + length);
            length += bytes.len();
        }
        slots.push(0);
    }
    black_box(&mut strings);
    // The auxiliary vector, which must stay.
    slots.extend([0x5a5a, 0]);
    let vectors = run(&mut slots, strings.as_ptr());
    assert_eq!(slots[slots.len() - 2..], [0x5a5a, 0]);
    black_box(&strings);
    vectors
}

#[inline(never)]
fn run(slots: &mut Vec<usize>, strings: *const u8) -> Vectors {
    let range = slots.as_ptr_range();
    // SAFETY: the slots are what the kernel would have laid out (1), and nobody else changes them meanwhile (2).
    let stack = unsafe { InitialStack::new(slots.as_mut_ptr()) };
    let mut request = Request::new();
    request.read(stack.arguments()).expect("it was read before");
    assert!((&raw const request).cast::<u8>() < strings, "the strings lie above");
    let collect = |vector: Strings| {
        assert!(range.contains(&vector.as_ptr().cast()), "a vector elsewhere");
        let (mut rest, mut strings) = (vector, Vec::new());
        while let Some((first, next)) = rest.split_first() {
            strings.push(first.as_c_str().to_bytes().to_vec());
            rest = next;
        }
        strings
    };
    // SAFETY: the request was read from this stack without a mistake (1).
    unsafe {
        stack.with_vectors(&request, PROCESS, |arguments, environment| (collect(arguments), collect(environment)))
    }
}

fn program_arguments(request: &Request, arguments: &[CString]) -> Vec<Vec<u8>> {
    let mut program: Vec<_> =
        arguments[request.program.argument as usize..].iter().map(|argument| argument.to_bytes().to_vec()).collect();
    if let Some(name) = request.argv0 {
        program[0] = name.to_bytes().to_vec();
    }
    program
}

/// The variables that are set, by their names, and then what was inherited and is still there, in its order.
fn expected(request: &Request, arguments: Strings, inherited: &[CString]) -> Vec<Vec<u8>> {
    let mut edits = BTreeMap::new();
    let has_sockets = request.listening > 0;
    if has_sockets {
        let count = request.listening.to_string();
        let names = request.listening_names.as_c_str().to_bytes();
        edits.insert(&b"LISTEN_FDS"[..], Some([b"LISTEN_FDS=", count.as_bytes()].concat()));
        edits.insert(b"LISTEN_PID", Some([b"LISTEN_PID=", PROCESS.to_string().as_bytes()].concat()));
        if !names.is_empty() {
            let names = names.iter().map(|&byte| if byte.is_ascii_control() { b'?' } else { byte });
            edits.insert(b"LISTEN_FDNAMES", Some(b"LISTEN_FDNAMES=".iter().copied().chain(names).collect()));
        }
    }
    let (mut arguments, mut is_cleared) = (Arguments::new(arguments), false);
    while let Ok(Some(given)) = arguments.take_option() {
        let value = given.value.as_c_str().to_bytes();
        match given.name {
            Name::Other(Other::ClearEnv) => is_cleared = true,
            Name::Other(Other::Env | Other::Unset) => {
                let name = name_of(value);
                if has_sockets && matches!(name, b"LISTEN_FDS" | b"LISTEN_PID") {
                    continue;
                }
                // What is unset may be set all the same, whatever the order on the line.
                if value.contains(&b'=') {
                    edits.insert(name, Some(value.to_vec()));
                } else {
                    edits.entry(name).or_insert(None);
                }
            }
            _ => {}
        }
    }
    let of_sockets = |name: &[u8]| has_sockets && matches!(name, b"LISTEN_FDNAMES" | b"LISTEN_PIDFDID");
    let inherited = inherited.iter().map(|variable| variable.to_bytes());
    let stays = |variable: &&[u8]| {
        let name = name_of(variable);
        !variable.contains(&b'=') || !edits.contains_key(name) && !of_sockets(name)
    };
    let inherited: Vec<_> = inherited.filter(|_| !is_cleared).filter(stays).map(<[u8]>::to_vec).collect();
    edits.into_values().flatten().chain(inherited).collect()
}

/// What comes before a `=` or the end.
fn name_of(variable: &[u8]) -> &[u8] {
    variable.split(|&byte| byte == b'=').next().unwrap_or_default()
}
