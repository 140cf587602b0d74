//! What a user reads names everything that there is.

use std::fs;
use std::path::Path;

use exec_relay::options::Name;
use exec_relay::status::Step;

use crate::host::Host;

fn document(name: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(name)).expect("the document")
}

/// Whether `text` has `--name` as a word of its own: `--keep` is not there where only `--keep-ignored` is.
fn has_option(text: &str, name: &str) -> bool {
    text.split(&format!("--{name}"))
        .skip(1)
        .any(|rest| !rest.starts_with(|next: char| next.is_alphanumeric() || next == '-'))
}

/// The manual page has an entry for each, the README a row of its reference, and `--help` a line.
#[test]
fn each_option_is_documented() {
    let (manual, readme) = (document("man/relay.1"), document("README.md"));
    // An entry of the manual page begins with `.It Fl -name`; one more option in it is `, Fl -name`.
    let entries: String = manual.lines().filter(|line| line.starts_with(".It ")).collect::<Vec<_>>().join("\n");
    let entries = entries.replace("Fl -", "--");
    let synopsis = "relay --help | --version | --report";
    let rows: String = readme.lines().filter(|line| line.starts_with("| `--")).collect::<Vec<_>>().join("\n");
    let help = String::from_utf8(Host::new(["--help"]).run().stdout).expect("UTF-8");
    assert!(has_option("--keep-ignored, --fd=", "fd") && !has_option("--keep-ignored", "keep"), "it tells them apart");
    for name in Name::all() {
        let name = name.text().as_c_str().to_str().expect("UTF-8");
        assert!(has_option(&entries, name), "--{name} has no entry in the manual page");
        assert!(has_option(&help, name), "--{name} is not in --help");
        assert!(has_option(&rows, name) || has_option(synopsis, name), "--{name} is not in the README's reference");
    }
    assert!(readme.contains(synopsis));
}

/// The README's table of steps is the one in the code.
#[test]
fn the_readme_lists_every_step() {
    let readme = document("README.md");
    for (number, step) in Step::ALL.iter().enumerate() {
        let step = format!("{step:?}");
        assert!(readme.contains(&format!("| {number} | `{step}` |")), "step {number}, {step}, is not in the README");
    }
}
