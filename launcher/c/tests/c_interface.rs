//! The header, and the library as C and Python use it, installed as users install it.

use std::env;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;

fn package() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// What a header declares, without comments, directives and blanks, sorted: the order says nothing.
fn declarations(header: &str) -> Vec<String> {
    let mut cc = Command::new("cc");
    cc.args(["-E", "-P", "-x", "c", "-"]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::inherit());
    let mut cc = cc.spawn().expect("a C compiler");
    // What these declare is no declaration of ours.
    let own: String =
        header.lines().filter(|line| !line.starts_with("#include")).map(|line| format!("{line}\n")).collect();
    cc.stdin.take().expect("it is piped").write_all(own.as_bytes()).expect("the compiler reads it");
    let text = succeeds(cc.wait_with_output().expect("a C compiler"));
    let (mut depth, mut all, mut one) = (0, Vec::new(), String::new());
    for character in text.split_whitespace().collect::<Vec<_>>().join(" ").chars() {
        match character {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        one.push(character);
        if character == ';' && depth == 0 {
            let plain =
                one.trim().replace(", }", " }").replace("(void)", "()").replace("struct ExecRelay", "ExecRelay");
            all.push(plain);
            one.clear();
        }
    }
    all.sort();
    all
}

/// It is written by hand, for C programmers; what it declares is what the library has.
#[test]
fn the_header_declares_what_the_library_exports() {
    let mut made = Vec::new();
    cbindgen::Builder::new()
        .with_config(cbindgen::Config::from_file(package().join("cbindgen.toml")).expect("cbindgen.toml"))
        .with_src(package().join("src/lib.rs"))
        .generate()
        .expect("a header")
        .write(&mut made);
    let made = declarations(&String::from_utf8(made).expect("UTF-8"));
    let header = fs::read_to_string(package().join("include/exec_relay.h")).expect("the header");
    assert_eq!(declarations(&header), made);
    assert!(made.len() > 30, "{made:#?}");
    let version = format!("#define EXEC_RELAY_VERSION \"{}\"\n", env!("CARGO_PKG_VERSION"));
    assert!(header.contains(&version), "the header's version is not that of Cargo.toml: {version}");
}

/// Where the library is installed for these tests, once for all of them.
fn prefix() -> &'static Path {
    static PREFIX: OnceLock<PathBuf> = OnceLock::new();
    PREFIX.get_or_init(|| {
        let directory = Path::new(env!("CARGO_TARGET_TMPDIR"));
        let prefix = directory.join("prefix");
        let mut install = Command::new(package().join("install-c"));
        install.arg("--prefix").arg(&prefix).env("CARGO_TARGET_DIR", directory.join("installed")).env_remove("DESTDIR");
        for name in ["RUSTC_WORKSPACE_WRAPPER", "RUSTFLAGS", "CARGO_ENCODED_RUSTFLAGS"] {
            install.env_remove(name);
        }
        succeeds(install.output().expect("install-c"));
        prefix
    })
}

#[track_caller]
fn succeeds(output: Output) -> String {
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{}\n{out}\n{err}", output.status);
    out.into_owned()
}

/// Programs that are linked by it want it by this name, whatever its file is called in the build.
#[test]
fn the_shared_library_knows_its_name() {
    let mut objdump = Command::new("objdump");
    objdump.arg("--private-headers").arg(prefix().join("lib/libexec_relay.so"));
    let said = succeeds(objdump.output().expect("objdump"));
    let name = said.lines().find_map(|line| line.trim().strip_prefix("SONAME"));
    assert_eq!(name.map(str::trim), Some("libexec_relay.so.0"), "{said}");
}

/// What pkg-config says, with this option.
fn flags(option: &str) -> Vec<String> {
    let mut pkg_config = Command::new("pkg-config");
    pkg_config.args([option, "exec-relay"]).env("PKG_CONFIG_PATH", prefix().join("lib/pkgconfig"));
    let said = succeeds(pkg_config.args(["--cflags", "--libs"]).output().expect("pkg-config"));
    said.split_whitespace().map(str::to_owned).collect()
}

/// Compiles `source`, runs it by `wrapper`, and returns what it printed.
fn run(source: &Path, compiler: &[&str], libraries: &[String]) -> String {
    let directory = tempfile::TempDir::new().expect("a directory");
    let program = directory.path().join("program");
    let mut cc = Command::new("cc");
    cc.args(["-std=gnu11", "-Wall", "-Wextra", "-Werror", "-o"]).arg(&program).arg(source).args(compiler);
    succeeds(cc.args(libraries).output().expect("a C compiler"));
    succeeds(Command::new(program).env("LD_LIBRARY_PATH", prefix().join("lib")).output().expect("the program"))
}

#[test]
fn a_c_program_with_the_shared_library() {
    assert_eq!(run(&package().join("tests/c/test.c"), &[], &flags("--print-errors")), "");
}

#[test]
fn a_c_program_with_the_static_library() {
    let mut libraries = flags("--static");
    // The archive, whatever else is in that directory.
    for library in &mut libraries {
        if library == "-lexec_relay" {
            *library = "-l:libexec_relay.a".to_owned();
        }
    }
    assert_eq!(run(&package().join("tests/c/test.c"), &[], &libraries), "");
}

/// A plugin in a host that ignores SIGCHLD and forks in 50 threads.
#[test]
fn a_plugin_in_a_hostile_host() {
    let host = package().join("examples/plugin/host.c");
    let said = run(&host, &["-pthread", "-ldl"], &flags("--print-errors"));
    assert_eq!(said, "100 launches by the plugin, each with what it was given and nothing else\n");
}

#[test]
fn python() {
    let mut python = Command::new("python3");
    python.arg(package().join("examples/launch.py")).env("LD_LIBRARY_PATH", prefix().join("lib"));
    let said = succeeds(python.output().expect("python3"));
    assert_eq!(
        said,
        "the program said: hello from a clean slate\nit ended with status 0\n\
         cannot start /no/such/program: no such file (ENOENT)\n"
    );
}
