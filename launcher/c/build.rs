//! Gives the shared library the name that it is installed under, whatever file it is linked by.

use std::env;

fn main() {
    let major = env::var("CARGO_PKG_VERSION_MAJOR").expect("cargo sets it");
    println!("cargo::rustc-cdylib-link-arg=-Wl,-soname,libexec_relay.so.{major}");
    println!("cargo::rerun-if-changed=build.rs");
}
