//! The whole daemon on a clock that is played: a real database, real files, simulated devices. And what starts workflows, without it.

mod day;
mod played;
mod started;
