//! From launch to wait of a program that exits at once, by every way, each on its own: `cargo bench --bench launch`. For
//! ratios, see the other bench.

#![allow(unsafe_code)]

use std::os::fd::AsFd;
use std::time::Duration;

use criterion::Criterion;

mod ways;

fn main() {
    let programs = ways::Programs::new();
    ways::raise_limit();
    let mut criterion = Criterion::default()
        .configure_from_args()
        .sample_size(50)
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(3));
    for (megabytes, descriptors) in ways::HOSTS {
        let (_memory, open) = ways::host(megabytes, descriptors);
        let lent = open.last().expect("there is one");
        let mut group = criterion.benchmark_group(format!("{megabytes} MB, {descriptors} descriptors"));
        for (name, way) in ways::all(&programs, lent.as_fd()) {
            group.bench_function(name, |bencher| bencher.iter(&way));
        }
        group.finish();
    }
    criterion.final_summary();
}
