//! Counters between two readings: how much was counted, in what time, and whether the two belong together at all.

use std::sync::Arc;

use chrono::{DateTime, Utc};

/// Two readings that are farther apart say nothing about now.
const LONGEST: f64 = 3600.0;
/// Device and own clock may disagree by this much, and by a twentieth of the time between readings.
const SLACK: f64 = 3.0;

/// When a reading was taken: by our clock, and by the time since the device's start.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stamp {
    /// Milliseconds since 1970.
    ours: i64,
    /// Seconds since the device's start; `u32::MAX` where unknown.
    uptime: u32,
}

impl Stamp {
    pub(super) fn new(at: DateTime<Utc>, uptime: Option<f64>) -> Self {
        let uptime = uptime.filter(|seconds| (0.0..f64::from(u32::MAX)).contains(seconds)).map_or(u32::MAX, |seconds| seconds as u32);
        Self { ours: at.timestamp_millis(), uptime }
    }
}

/// Seconds between two readings of one device. `None` where their counters cannot be compared: it was started anew
/// in between, or too much or too little time passed.
///
/// The device's own count of seconds cannot be set; ours can. Where ours went back, the device's holds. Where ours went
/// on by more, either it was set or the device was started anew: nobody knows, and the reading is a first one.
pub(super) fn passed(before: Stamp, now: Stamp) -> Option<f64> {
    let ours = now.ours.saturating_sub(before.ours) as f64 / 1000.0;
    let seconds = if before.uptime == u32::MAX || now.uptime == u32::MAX {
        ours
    } else {
        let device = f64::from(now.uptime) - f64::from(before.uptime);
        if device < 0.0 {
            return None;
        }
        if (ours - device).abs() <= SLACK + device * 0.05 {
            // Both agree: ours is the finer one.
            ours
        } else if ours < device {
            device
        } else {
            return None;
        }
    };
    (1.0..=LONGEST).contains(&seconds).then_some(seconds)
}

/// How much was counted. A counter of 32 bits that went round is put right; one that began anew is `None`.
pub(super) fn since(before: u64, now: u64) -> Option<f64> {
    const ROUND: u64 = 1 << 32;
    match now.checked_sub(before) {
        Some(more) => Some(more as f64),
        // Half of the range: a smaller one more likely began anew (a driver that was loaded again).
        None if before < ROUND => Some(now + ROUND - before).filter(|more| *more < ROUND / 2).map(|more| more as f64),
        None => None,
    }
}

/// What is kept of one device.
#[derive(Debug, Default)]
pub(super) struct Before {
    pub(super) processors: Option<Reading<Processor>>,
    pub(super) disks: Option<Reading<Disk>>,
    pub(super) links: Option<Reading<Link>>,
}

impl Before {
    pub(super) fn bytes(&self) -> usize {
        fn of<T>(reading: Option<&Reading<T>>) -> usize {
            reading.map_or(0, |reading| std::mem::size_of_val::<[T]>(&reading.items))
        }
        size_of::<Self>() + of(self.processors.as_ref()) + of(self.disks.as_ref()) + of(self.links.as_ref())
    }
}

/// Counters of one kind, read together.
#[derive(Debug)]
pub(super) struct Reading<T> {
    pub(super) at: Stamp,
    pub(super) items: Box<[T]>,
}

impl<T> Reading<T> {
    pub(super) fn new(at: Stamp, items: Vec<T>) -> Self {
        Self { at, items: items.into_boxed_slice() }
    }
}

/// Time of one processor, in the device's ticks. The lower 32 bits are enough for readings within an hour.
#[derive(Debug, Clone, Copy)]
pub(super) struct Processor {
    busy: u32,
    idle: u32,
}

impl Processor {
    pub(super) const fn new(busy: u64, idle: u64) -> Self {
        Self { busy: busy as u32, idle: idle as u32 }
    }

    /// Share of the time since `before` in which it was busy, in percent.
    pub(super) fn busy_since(self, before: Self) -> Option<f64> {
        const HALF: u32 = u32::MAX / 2;
        let busy = self.busy.wrapping_sub(before.busy);
        // Idle time that includes waiting for disks is known to go back by a tick or two.
        let idle = self.idle.wrapping_sub(before.idle);
        let idle = if idle > HALF && idle.wrapping_neg() < 1000 { 0 } else { idle };
        if busy > HALF || idle > HALF || (busy == 0 && idle == 0) {
            return None;
        }
        Some(f64::from(busy) / (f64::from(busy) + f64::from(idle)) * 100.0)
    }
}

/// A disk.
#[derive(Debug)]
pub(super) struct Disk {
    pub(super) name: Arc<str>,
    pub(super) requests: u64,
    pub(super) milliseconds: u64,
    pub(super) read: u64,
    pub(super) written: u64,
}

/// A network adapter.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) name: Arc<str>,
    pub(super) received: u64,
    pub(super) sent: u64,
    pub(super) errors: u64,
    pub(super) dropped: u64,
}
