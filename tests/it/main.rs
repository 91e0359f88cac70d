//! The tests of the whole: real parts, through the public interface.

mod ssh;
mod sshd;
