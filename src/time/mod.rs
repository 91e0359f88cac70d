//! Durations, times of day, windows, schedules, and the clock behind a trait.

mod clock;
mod moment;
mod phrase;
mod ran;
mod recurring;
mod schedule;
mod span;
mod window;

pub use clock::{Clock, FixedClock, SystemClock};
pub use moment::{MomentError, moment};
pub use ran::Ran;
pub use recurring::{Recurring, Zone};
pub use schedule::{Schedule, ScheduleError};
pub use span::Span;
pub use window::{Window, zone};
pub(crate) use window::{day, is_usable, local_moment, time_of_day};
