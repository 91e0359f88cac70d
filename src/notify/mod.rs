//! Notifications leave here: one file for each type of channel behind [`Channel`], and the [`Worker`] that empties the
//! queue of the database. What is sent to whom, and when, is decided in `alert/`; the daemon runs the worker.
//!
//! Every message has a key that is the same in every try. It is marked as being sent before it leaves; after a crash it
//! goes again with the same key. What devices say is data: escaped for each form, bounded, without control characters.

mod backoff;
mod channel;
mod email;
mod error;
mod eventlog;
mod http;
mod lane;
mod letter;
mod merge;
mod outcome;
mod pagerduty;
mod rate;
mod setup;
mod slack;
mod sms;
mod smtp;
mod syslog;
mod taken;
mod teams;
mod text;
mod webhook;
mod worker;

pub use channel::{Answer, Channel, Missed, Parcel, Surroundings};
pub use error::SendError;
pub use lane::ChannelCounts;
pub use outcome::ALERT_KIND;
pub use setup::{Opener, open};
pub use webhook::{KEY_HEADER, SIGNATURE_HEADER, TIME_HEADER};
pub use worker::{Parts, Worker};
