//! The table of the README: `cargo bench --bench ratios`.
//!
//! The ways take turns, one launch each, so that whatever else the machine does meets all of them alike, and what is
//! compared are the medians of one run. Each round has an order of its own, since what a launch leaves for the kernel to
//! clean up is paid for by the next one. Only the one that forks comes by itself, after the others: a fork leaves every
//! page of the host to be copied when it is next written to, which whoever came next would pay for.

#![allow(unsafe_code)]

use std::os::fd::AsFd;
use std::time::{Duration, Instant};

mod ways;

fn median(mut times: Vec<Duration>) -> f64 {
    times.sort();
    times[times.len() / 2].as_secs_f64() * 1e6
}

fn main() {
    let programs = ways::Programs::new();
    ways::raise_limit();
    println!("| host | way | median | to posix_spawn | faster than pre_exec |");
    println!("|---|---|---|---|---|");
    for (megabytes, descriptors) in ways::HOSTS {
        let (_memory, open) = ways::host(megabytes, descriptors);
        let lent = open.last().expect("there is one");
        let ways = ways::all(&programs, lent.as_fd());
        let mut times = [const { Vec::new() }; ways::WAYS];
        let (forking, others): (Vec<_>, Vec<_>) = (0..ways.len()).partition(|&way| ways[way].0 == ways::FORKING);
        // Fewer of the one that takes tens of milliseconds.
        for (mut turn, rounds) in [(others, 1000), (forking, 200)] {
            for round in 0..rounds + 10 {
                fastrand::shuffle(&mut turn);
                for &way in &turn {
                    let began = Instant::now();
                    ways[way].1();
                    // The first ones warm up.
                    if round >= 10 {
                        times[way].push(began.elapsed());
                    }
                }
            }
        }
        let medians = times.map(median);
        for ((name, _), time) in ways.iter().zip(&medians) {
            let (plain, pre_exec) = (time / medians[0], medians[2] / time);
            println!(
                "| {megabytes} MB, {descriptors} descriptors | {name} | {time:.0} µs | {plain:.2} | {pre_exec:.1} |"
            );
        }
    }
}
