//! The whole daemon on a clock that is played: a real database, real files, simulated devices.

mod day;
mod played;
