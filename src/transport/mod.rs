//! Local processes and SSH behind one trait. The only room that opens sessions to devices.

mod session;

pub use session::{Command, Output, Session, TransportError};
