//! The header, and the library as C and Python use it, installed as users install it.

use std::collections::BTreeSet;
use std::env;
use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
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

/// What installs the library, as the tests build it.
fn install() -> Command {
    let mut install = Command::new(package().join("install-c"));
    install.env("CARGO_TARGET_DIR", Path::new(env!("CARGO_TARGET_TMPDIR")).join("installed"));
    for name in ["RUSTC_WORKSPACE_WRAPPER", "RUSTFLAGS", "CARGO_ENCODED_RUSTFLAGS", "CARGO_BUILD_TARGET", "DESTDIR"] {
        install.env_remove(name);
    }
    install
}

/// Where the library is installed for these tests, once for all of them.
fn prefix() -> &'static Path {
    static PREFIX: OnceLock<PathBuf> = OnceLock::new();
    PREFIX.get_or_init(|| {
        let prefix = Path::new(env!("CARGO_TARGET_TMPDIR")).join("prefix");
        succeeds(install().arg("--prefix").arg(&prefix).output().expect("install-c"));
        prefix
    })
}

#[track_caller]
fn succeeds(output: Output) -> String {
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{}\n{out}\n{err}", output.status);
    out.into_owned()
}

/// What it says where it fails.
#[track_caller]
fn fails(output: Output) -> String {
    assert!(!output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    String::from_utf8(output.stderr).expect("UTF-8")
}

/// The names of the files and links in a directory, and of those in its directories.
fn files(directory: &Path) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut left = vec![directory.to_owned()];
    while let Some(next) = left.pop() {
        for entry in fs::read_dir(&next).expect("a directory") {
            let entry = entry.expect("an entry");
            if entry.file_type().expect("a type").is_dir() {
                left.push(entry.path());
            } else {
                let path = entry.path();
                found.insert(path.strip_prefix(directory).expect("below it").to_str().expect("UTF-8").to_owned());
            }
        }
    }
    found
}

/// The functions that the header declares.
fn functions() -> BTreeSet<String> {
    let header = fs::read_to_string(package().join("include/exec_relay.h")).expect("the header");
    let declared = declarations(&header).into_iter().filter(|declaration| declaration.contains('('));
    let name = |declaration: String| declaration.split('(').next()?.rsplit([' ', '*']).next().map(str::to_owned);
    declared.map(|declaration| name(declaration).expect("a function")).collect()
}

#[test]
fn the_manual_page_has_the_headers_functions() {
    let header = fs::read_to_string(package().join("include/exec_relay.h")).expect("the header");
    let page = fs::read_to_string(package().join("man/exec_relay.3")).expect("the page");
    let (mut told, mut result, mut parameters) = (String::new(), "", Vec::new());
    for line in page.lines() {
        let (macro_name, argument) = line.split_once(' ').unwrap_or((line, ""));
        match macro_name {
            ".Ft" => result = argument.trim_matches('"'),
            ".Fo" => told += &format!("{result} {argument}("),
            ".Fa" if !result.is_empty() => parameters.push(argument.trim_matches('"')),
            ".Fc" => {
                told += &format!("{});\n", parameters.join(", "));
                parameters.clear();
                result = "";
            }
            _ => {}
        }
    }
    let declared: Vec<_> = declarations(&header).into_iter().filter(|one| one.contains('(')).collect();
    assert_eq!(declarations(&told.replace("* ", "*")), declared);
    // The page is found by each name, and says something of each.
    for name in functions() {
        assert!(page.lines().any(|line| line.trim_end_matches(" ,") == format!(".Nm {name}")), "NAME lacks {name}");
        let lines = page.lines().filter(|line| matches!(line.split_once("Fn "), Some((_, rest)) if rest == name));
        assert!(lines.count() > 0, "the page says nothing of {name}");
    }
}

/// The example in the manual page, in the oldest C and in C++.
#[test]
fn the_manual_pages_example() {
    let page = fs::read_to_string(package().join("man/exec_relay.3")).expect("the page");
    let example = page.split(".Bd -literal\n").nth(1).and_then(|rest| rest.split(".Ed\n").next());
    let directory = tempfile::TempDir::new().expect("a directory");
    let source = directory.path().join("example.c");
    fs::write(&source, example.expect("an example").replace("\\e", "\\")).expect("a file");
    for compiler in [["cc", "-std=c89", "-xc"], ["c++", "-std=c++17", "-xc++"]] {
        let said = run(&source, &compiler, &["-Wpedantic", "-pedantic-errors"], &flags("--print-errors"));
        assert_eq!(said, "hello\nit ended with status 0\n", "{compiler:?}");
    }
}

/// Programs that are linked by it want it by this name, whatever its file is called in the build.
#[test]
fn the_shared_library_has_its_names() {
    let mut objdump = Command::new("objdump");
    objdump.arg("--private-headers").arg(prefix().join("lib/libexec_relay.so"));
    let said = succeeds(objdump.output().expect("objdump"));
    let name = said.lines().find_map(|line| line.trim().strip_prefix("SONAME"));
    assert_eq!(name.map(str::trim), Some("libexec_relay.so.0"), "{said}");
    let link = |name: &str| fs::read_link(prefix().join("lib").join(name)).expect("a link");
    assert_eq!(link("libexec_relay.so"), Path::new("libexec_relay.so.0"));
    let version = env!("CARGO_PKG_VERSION");
    assert_eq!(link("libexec_relay.so.0"), Path::new(&format!("libexec_relay.so.{version}")));
}

/// Nothing of Rust can get in the way of another library.
#[test]
fn the_shared_library_exports_the_headers_functions_alone() {
    let mut nm = Command::new("nm");
    nm.args(["--dynamic", "--defined-only", "--format=just-symbols"]).arg(prefix().join("lib/libexec_relay.so"));
    let exported: BTreeSet<_> = succeeds(nm.output().expect("nm, of binutils")).lines().map(str::to_owned).collect();
    assert_eq!(exported, functions());
}

#[test]
fn install_c_does_nothing_that_it_is_not_told() {
    let directory = tempfile::TempDir::new().expect("a directory");
    let install = || {
        let mut install = install();
        install.current_dir(&directory);
        install
    };
    assert!(succeeds(install().arg("--help").output().expect("install-c")).contains("--prefix=DIR"));
    let said = fails(install().arg("--prefix=usr").output().expect("install-c"));
    let directory = directory.path();
    let absolute = directory.join("usr").to_str().expect("UTF-8").to_owned();
    assert!(said.contains(&format!("--prefix={absolute}")), "{said}");
    let said = fails(install().arg("--bogus").output().expect("install-c"));
    assert_eq!(said, "install-c: what is --bogus? --help shows all options\n");
    let said = fails(install().arg("--libdir").output().expect("install-c"));
    assert_eq!(said, "install-c: --libdir needs a value\n");
    let said = fails(install().env("DESTDIR", "relative").output().expect("install-c"));
    assert!(said.contains("DESTDIR must be an absolute path"), "{said}");
    let said = fails(install().arg("--prefix=/a|b").output().expect("install-c"));
    assert!(said.contains("letters, digits"), "{said}");
    assert_eq!(files(directory), BTreeSet::new());
}

/// As a package is made: twice, and taken away again.
#[test]
fn install_c_installs_below_another_directory_and_uninstalls() {
    let directory = tempfile::TempDir::new().expect("a directory");
    let root = directory.path();
    let install = || {
        let mut install = install();
        install.args(["--prefix=/usr", "--libdir=lib/here", "--mandir=/man"]).env("DESTDIR", root);
        install
    };
    succeeds(install().output().expect("install-c"));
    let version = env!("CARGO_PKG_VERSION");
    let mut expected: BTreeSet<_> = [
        "usr/include/exec_relay.h",
        "usr/lib/here/libexec_relay.a",
        "usr/lib/here/libexec_relay.so",
        "usr/lib/here/libexec_relay.so.0",
        "usr/lib/here/pkgconfig/exec-relay.pc",
        "usr/lib/here/cmake/exec-relay/exec-relay-config.cmake",
        "usr/lib/here/cmake/exec-relay/exec-relay-config-version.cmake",
        "man/man3/exec_relay.3",
    ]
    .map(str::to_owned)
    .into();
    expected.insert(format!("usr/lib/here/libexec_relay.so.{version}"));
    expected.extend(functions().iter().map(|name| format!("man/man3/{name}.3")));
    assert_eq!(files(root), expected);
    let text = |name: &str| fs::read_to_string(root.join("usr/lib/here").join(name)).expect("a file");
    let settings = text("pkgconfig/exec-relay.pc");
    assert!(
        settings.starts_with("prefix=/usr\nlibdir=${prefix}/lib/here\nincludedir=${prefix}/include\n"),
        "{settings}"
    );
    for name in ["pkgconfig/exec-relay.pc", "cmake/exec-relay/exec-relay-config.cmake"] {
        assert!(!text(name).contains(root.to_str().expect("UTF-8")) && !text(name).contains('@'), "{}", text(name));
    }

    fs::write(root.join("usr/lib/here/foreign"), "").expect("a file");
    expected.insert("usr/lib/here/foreign".to_owned());
    succeeds(install().output().expect("install-c"));
    assert_eq!(files(root), expected);
    succeeds(install().arg("--uninstall").output().expect("install-c"));
    assert_eq!(files(root), ["usr/lib/here/foreign".to_owned()].into());
    assert!(!root.join("usr/lib/here/cmake/exec-relay").exists());
}

/// Cargo puts the files elsewhere where there is a target, by the option or by its own variable. What is built is not
/// used, so it is built fast.
#[test]
fn install_c_builds_for_a_target() {
    let directory = tempfile::TempDir::new().expect("a directory");
    let mut rustc = Command::new("rustc");
    let host = succeeds(rustc.args(["--print", "host-tuple"]).output().expect("rustc"));
    let install = || {
        let mut install = install();
        install.env("CARGO_PROFILE_RELEASE_OPT_LEVEL", "0").env("CARGO_PROFILE_RELEASE_LTO", "off");
        install.env("EXEC_RELAY_PROGRAM", "/bin/true").env("DESTDIR", directory.path());
        install
    };
    succeeds(install().arg("--target").arg(host.trim()).output().expect("install-c"));
    assert!(directory.path().join("usr/local/lib/libexec_relay.so").exists());
    succeeds(install().arg("--uninstall").output().expect("install-c"));
    succeeds(install().env("CARGO_BUILD_TARGET", host.trim()).output().expect("install-c"));
    assert!(directory.path().join("usr/local/lib/libexec_relay.so").exists());
}

/// Only where the loader looks by its cache, which the package manager sees to otherwise.
#[test]
fn install_c_tells_of_the_loaders_cache() {
    let directory = tempfile::TempDir::new().expect("a directory");
    let (ldconfig, prefix) = (directory.path().join("ldconfig"), directory.path().join("prefix"));
    let script = format!("#!/bin/sh\necho '{}: (from /etc/ld.so.conf:1)'\n", prefix.join("lib").display());
    fs::write(&ldconfig, script).expect("a file");
    fs::set_permissions(&ldconfig, fs::Permissions::from_mode(0o755)).expect("an executable file");
    let path = format!("{}:{}", directory.path().display(), env::var("PATH").expect("PATH"));
    let said = |install: &mut Command| {
        let output = install.arg("--prefix").arg(&prefix).env("PATH", &path).output().expect("install-c");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        succeeds(output);
        said
    };
    let told = said(&mut install());
    assert!(told.contains("Run ldconfig now"), "{told}");
    assert_eq!(said(install().arg("--libdir=elsewhere")), "");
    assert_eq!(said(install().env("DESTDIR", directory.path())), "");
}

/// What pkg-config says, with this option.
fn flags(option: &str) -> Vec<String> {
    let mut pkg_config = Command::new("pkg-config");
    pkg_config.args([option, "exec-relay"]).env("PKG_CONFIG_PATH", prefix().join("lib/pkgconfig"));
    let said = succeeds(pkg_config.args(["--cflags", "--libs"]).output().expect("pkg-config"));
    said.split_whitespace().map(str::to_owned).collect()
}

/// Compiles `source`, runs it, and returns what it printed.
fn run(source: &Path, compiler: &[&str], options: &[&str], libraries: &[String]) -> String {
    let directory = tempfile::TempDir::new().expect("a directory");
    let program = directory.path().join("program");
    let mut cc = Command::new(compiler[0]);
    cc.args(&compiler[1..]).args(["-Wall", "-Wextra", "-Werror", "-o"]).arg(&program).arg(source).args(options);
    // The language is that of the source alone.
    cc.arg("-xnone").args(libraries);
    succeeds(cc.output().unwrap_or_else(|error| panic!("{}: {error}", compiler[0])));
    succeeds(Command::new(program).env("LD_LIBRARY_PATH", prefix().join("lib")).output().expect("the program"))
}

/// C with what tests and examples use of GNU's.
const GNU_C: [&str; 2] = ["cc", "-std=gnu11"];

#[test]
fn a_c_program_with_the_shared_library() {
    assert_eq!(run(&package().join("tests/c/test.c"), &GNU_C, &[], &flags("--print-errors")), "");
}

/// The archive alone, and with a C library that is static too.
#[test]
fn a_c_program_with_the_static_library() {
    let mut libraries = flags("--static");
    let source = package().join("tests/c/test.c");
    assert_eq!(run(&source, &GNU_C, &["-static"], &libraries), "");
    // The archive, whatever else is in that directory.
    for library in &mut libraries {
        if library == "-lexec_relay" {
            *library = "-l:libexec_relay.a".to_owned();
        }
    }
    assert_eq!(run(&source, &GNU_C, &[], &libraries), "");
}

/// Both targets, from a directory that the files were moved to after they had been written.
#[test]
fn cmake() {
    let directory = tempfile::TempDir::new().expect("a directory");
    let (root, project) = (directory.path().join("root"), directory.path().join("project"));
    let mut made = install();
    made.arg("--prefix=/no/such/prefix").env("DESTDIR", &root);
    succeeds(made.output().expect("install-c"));
    fs::create_dir(&project).expect("a directory");
    let lists = "
        cmake_minimum_required(VERSION 3.13)
        project(host C)
        find_package(exec-relay 1 QUIET)
        if(exec-relay_FOUND)
          message(FATAL_ERROR \"another version than was asked for\")
        endif()
        find_package(exec-relay 0.1 REQUIRED)
        foreach(kind exec-relay exec-relay-static)
          add_executable(${kind} ${SOURCE})
          target_link_libraries(${kind} exec-relay::${kind})
        endforeach()
    ";
    fs::write(project.join("CMakeLists.txt"), lists).expect("a file");
    let (build, mut configure) = (directory.path().join("build"), Command::new("cmake"));
    configure.arg("-S").arg(&project).arg("-B").arg(&build);
    configure.arg(format!("-DSOURCE={}", package().join("tests/c/test.c").display()));
    configure.arg(format!("-DCMAKE_PREFIX_PATH={}", root.join("no/such/prefix").display()));
    succeeds(configure.output().expect("cmake"));
    succeeds(Command::new("cmake").arg("--build").arg(&build).output().expect("cmake"));
    for kind in ["exec-relay", "exec-relay-static"] {
        let mut program = Command::new(build.join(kind));
        // The build's path for libraries is in the program.
        assert_eq!(succeeds(program.env_remove("LD_LIBRARY_PATH").output().expect("the program")), "");
    }
}

/// A plugin in a host that ignores SIGCHLD and forks in 50 threads.
#[test]
fn a_plugin_in_a_hostile_host() {
    let host = package().join("examples/plugin/host.c");
    let said = run(&host, &GNU_C, &["-pthread", "-ldl"], &flags("--print-errors"));
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
