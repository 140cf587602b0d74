//! Seccomp profiles of old engines, and of other ones.

use serde_json::{Map, Value, json};

/// What the engines of Debian 12 allow. They come with it.
const PROFILE: &str = "/usr/share/containers/seccomp.json";

/// What engines of the year 2020 did not know.
const UNKNOWN: [&str; 2] = ["close_range", "clone3"];

/// The profile of an old engine, in the form that engines read, which answers `errno` to what it does not know.
///
/// It allows newer calls than those that it refuses, as theirs did too: runc answers ENOSYS, whatever the profile says,
/// to those that are newer than all that the profile names.
pub fn of_old_engine(errno: i32) -> Value {
    refusing(&UNKNOWN, errno)
}

/// What Docker's profile (profiles/seccomp/default.json of moby) refuses, other than the one here, of what relay calls. It
/// allows the first two to who has CAP_SYS_NICE.
const REFUSED_BY_DOCKER: [&str; 3] = ["get_mempolicy", "set_mempolicy", "keyctl"];

/// The profile with what Docker's refuses, in the way of Docker's.
pub fn of_docker() -> Value {
    refusing(&REFUSED_BY_DOCKER, libc::EPERM)
}

/// The profile without these calls, which answers `errno` to them.
fn refusing(calls: &[&str], errno: i32) -> Value {
    let read = std::fs::read(PROFILE).unwrap_or_else(|error| panic!("{PROFILE}: {error}; it comes with podman"));
    let mut profile: Value = serde_json::from_slice(&read).expect("a profile");
    let mut removed = 0;
    for rule in profile["syscalls"].as_array_mut().expect("rules") {
        let names = rule["names"].as_array_mut().expect("names");
        let before = names.len();
        names.retain(|name| !calls.contains(&name.as_str().expect("a name")));
        removed += before - names.len();
    }
    assert_eq!(removed, calls.len(), "{PROFILE} knows them");
    profile["defaultErrnoRet"] = json!(errno);
    profile.as_object_mut().expect("a profile").remove("defaultErrno");
    profile
}

/// The same in the form that runtimes read, for a container with every capability, which only some bundles have.
pub fn for_runtime(profile: &Value) -> Value {
    let rules = profile["syscalls"].as_array().expect("rules").iter();
    // What is refused for want of a capability.
    let rules = rules.filter(|rule| rule["excludes"].as_object().is_none_or(Map::is_empty)).map(|rule| {
        let parts = ["names", "action", "args", "errnoRet"].into_iter();
        parts.filter(|&part| !rule[part].is_null()).map(|part| (part.to_owned(), rule[part].clone())).collect()
    });
    json!({
        "defaultAction": profile["defaultAction"],
        "defaultErrnoRet": profile["defaultErrnoRet"],
        "syscalls": rules.collect::<Vec<Value>>(),
    })
}
