//! Carrying out a plan: limits first, then device by device and change by change, each journalled before and after.
//!
//! [`survey`] brings facts and plan; [`limits`] refuses; [`Executor`] carries out and resumes. Printing is the faces' task.

mod act;
mod approved;
mod asked;
mod blocking;
mod change;
mod declare;
mod device;
pub mod doctor;
pub mod engine_actions;
mod events;
mod executor;
mod heart;
mod hidden;
mod host;
pub mod limits;
mod once;
mod parts;
mod permit;
mod preview;
mod refreshed;
mod request;
mod retry;
mod revealed;
pub mod sampler;
mod saved;
mod sessions;
mod stages;
pub mod survey;
mod suspended;
#[cfg(test)]
mod tests;
mod together;
mod waiting;

pub use act::act;
pub use approved::{Filled, filled, package};
pub use asked::{Acted, Allowed, Ask, End, Listener, Part, Ran};
pub use blocking::{MOST_SCRIPTS, blocking};
pub use declare::declare;
pub use events::{EVENTS_SCHEMA, Event, OnEvent};
pub use executor::{ApplyError, ApplyOptions, Executor, Finished, Task};
pub use hidden::{hide_in_record, hide_in_sections};
pub use limits::Refused;
pub use parts::Parts;
pub use preview::{Preview, previews};
pub use request::{from_plan, new_run};
pub use saved::{check_fresh, held_now, reassure, stages_of};
pub use sessions::{renewed, sessions};
pub use suspended::{holding_and_over, suspended};
pub use together::act_together;
pub use waiting::{Waiting, waiting};
