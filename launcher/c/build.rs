//! Gives the shared library the name that it is installed under, whatever file it is linked by.

fn main() {
    println!("cargo::rustc-cdylib-link-arg=-Wl,-soname,libexec_relay_launcher.so");
    println!("cargo::rerun-if-changed=build.rs");
}
