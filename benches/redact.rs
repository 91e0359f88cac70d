//! Taking secrets out of an inventory of 0.5 MB, where none, one thousand and ten thousand of them are known.
//!
//! `cargo bench --bench redact`

use std::hint::black_box;

use criterion::{Criterion, Throughput};
use rmm::access::Redactor;

fn inventory() -> String {
    let mut text = String::new();
    for n in 0.. {
        if text.len() >= 500_000 {
            break;
        }
        text.push_str(&format!(
            "{{\"name\":\"lib-example{n}\",\"version\":\"{}.{}-1ubuntu{}\",\"path\":\"C:\\\\Program Files\\\\Example {n}\\\\bin\"}},\n",
            n % 40,
            n % 7,
            n % 3
        ));
    }
    text
}

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    let text = inventory();
    let mut group = criterion.benchmark_group("redact");
    group.throughput(Throughput::Bytes(text.len() as u64)).sample_size(10);
    for secrets in [0, 1_000, 10_000] {
        let redactor = Redactor::new();
        for n in 0..secrets {
            redactor.learn(&format!("device-{n}"), &format!("{:016x}!aB", (n as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15)).into());
        }
        group.bench_function(format!("{secrets} secrets"), |bench| bench.iter(|| redactor.redact_from(black_box(&text), 12).len()));
    }
    group.finish();
    criterion.final_summary();
}
