//! How far files that are copied have got, in words: one line for all of them, and where there is no terminal not often.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::style::{clean, count};
use crate::model::Job;
use crate::model::job::JobProgress;

/// How often a line is told where nothing can be drawn.
const EVERY: Duration = Duration::from_secs(5);

/// Those that are under way.
#[derive(Debug, Default)]
pub(super) struct Transfers(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    jobs: BTreeMap<String, (String, JobProgress)>,
    told: Option<Instant>,
}

impl Transfers {
    /// A job has got so far. The line for all that are under way.
    pub(super) fn note(&self, job: &str, device: &str, progress: JobProgress) -> String {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.jobs.insert(job.to_owned(), (clean(device), progress));
        known.line()
    }

    /// Whether a line is told now, where each is another one below the last.
    pub(super) fn is_time(&self) -> bool {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        let time = known.told.is_none_or(|told| now - told >= EVERY);
        if time {
            known.told = Some(now);
        }
        time
    }

    /// A job has moved on: how far it had got is of no interest any more. The line for those that are left, where it was one of them.
    pub(super) fn ended(&self, job: &Job) -> Option<String> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.jobs.remove(&job.id).map(|_| known.line())
    }
}

impl Known {
    fn line(&self) -> String {
        match self.jobs.values().next() {
            None => String::new(),
            Some((device, progress)) if self.jobs.len() == 1 => format!("{device}  {}", words(*progress)),
            Some(_) => {
                let all = self.jobs.values().map(|(_, progress)| progress);
                let sum = all.fold(JobProgress { done: 0, total: 0, bytes_per_second: None }, |sum, one| JobProgress {
                    done: sum.done.saturating_add(one.done),
                    total: sum.total.saturating_add(one.total),
                    bytes_per_second: sum.bytes_per_second.into_iter().chain(one.bytes_per_second).reduce(u64::saturating_add),
                });
                format!("{}  {}", count(self.jobs.len(), "file", "files"), words(sum))
            }
        }
    }
}

/// The same for programs.
pub(super) fn transferred(job: &str, device: &str, progress: JobProgress) -> Value {
    let JobProgress { done, total, bytes_per_second } = progress;
    json!({ "event": "progress", "job": job, "device": device, "done": done, "total": total, "bytesPerSecond": bytes_per_second })
}

/// `38% of 1.2 GB, 24 MB/s, 31 s left`
pub(super) fn words(progress: JobProgress) -> String {
    let JobProgress { done, total, bytes_per_second } = progress;
    if done >= total && total > 0 {
        return format!("all of {}, and its SHA-256 is compared", bytes(total));
    }
    let percent = u128::from(done) * 100 / u128::from(total.max(1));
    let mut text = format!("{percent}% of {}", bytes(total));
    if let Some(rate) = bytes_per_second {
        text += &format!(", {}/s", bytes(rate));
        if rate > 0 {
            let left = i64::try_from(total.saturating_sub(done).div_ceil(rate)).unwrap_or(i64::MAX);
            text += &format!(", {} left", super::style::ago(left));
        }
    }
    text
}

/// `1.2 GB`, `24 MB`, `512 bytes`.
fn bytes(n: u64) -> String {
    let mut value = n as f64;
    let mut unit = "bytes";
    for larger in ["kB", "MB", "GB", "TB"] {
        if value < 999.5 {
            break;
        }
        (value, unit) = (value / 1000.0, larger);
    }
    if n < 1000 || value >= 9.95 { format!("{value:.0} {unit}") } else { format!("{value:.1} {unit}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(done: u64, total: u64, rate: Option<u64>) -> JobProgress {
        JobProgress { done, total, bytes_per_second: rate }
    }

    #[test]
    fn progress_is_told_in_percent_with_its_rate_and_what_is_left() {
        assert_eq!(words(at(0, 5_000_000, None)), "0% of 5.0 MB");
        assert_eq!(words(at(380_000_000, 1_000_000_000, Some(24_000_000))), "38% of 1.0 GB, 24 MB/s, 26 s left");
        assert_eq!(words(at(999, 1000, Some(10))), "99% of 1.0 kB, 10 bytes/s, 1 s left");
        assert_eq!(words(at(10, 1000, Some(0))), "1% of 1.0 kB, 0 bytes/s");
        assert_eq!(words(at(1000, 1000, Some(7))), "all of 1.0 kB, and its SHA-256 is compared");
        assert_eq!(words(at(0, 0, None)), "0% of 0 bytes");
        assert_eq!(words(at(u64::MAX - 1, u64::MAX, Some(u64::MAX))), "99% of 18446744 TB, 18446744 TB/s, 1 s left");
    }

    #[test]
    fn several_files_are_one_line_and_lines_do_not_come_often() {
        let all = Transfers::default();
        assert_eq!(all.note("j1", "web-1", at(10, 100, Some(5))), "web-1  10% of 100 bytes, 5 bytes/s, 18 s left");
        assert_eq!(all.note("j2", "web-2", at(90, 100, None)), "2 files  50% of 200 bytes, 5 bytes/s, 20 s left");
        assert!(all.is_time() && !all.is_time());
    }
}
