//! Restarts a program whenever it is gone, without ever waiting for a process: by the hang-up of its pulse.
//!
//! That works in a host that ignores SIGCHLD, or whose framework reaps every child itself, and however the program ends.
//!
//! cargo run --example supervise [/program [ARG...]]
//!
//! It stops after three restarts, so that it can be tried.

use std::error::Error;
use std::fs::File;
use std::io::Read;

use exec_relay_launcher::Launch;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args_os().skip(1);
    let program = arguments.next();
    let mut launch = Launch::new(program.as_deref().unwrap_or("/bin/sh".as_ref()));
    match program {
        Some(_) => launch.args(arguments),
        None => launch.args(["-c", "echo \"process $$ is about to be killed\"; kill -9 $$"]),
    };
    launch.pulse();
    for restart in 0..=3 {
        let mut child = launch.launch()?;
        println!("start {restart}: process {}", child.id());
        let mut pulse = File::from(child.take_pulse().ok_or("it was asked for")?);
        // Nobody ever writes to it: this returns at the end of file, when the program is gone.
        pulse.read_to_end(&mut Vec::new())?;
        // Dropping the child reaps it if nobody has done so.
    }
    Ok(())
}
