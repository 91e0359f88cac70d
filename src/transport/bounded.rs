//! Output that never grows beyond its limit.

use super::TransportError;

/// Bytes up to a limit.
#[derive(Debug)]
pub(super) struct Bounded {
    bytes: Vec<u8>,
    limit: u64,
}

impl Bounded {
    pub(super) fn new(limit: u64) -> Self {
        Self { bytes: Vec::new(), limit }
    }

    /// Keeps the bytes; once they are too many, everything is forgotten.
    pub(super) fn push(&mut self, more: &[u8]) -> Result<(), TransportError> {
        if (self.bytes.len() + more.len()) as u64 > self.limit {
            self.bytes = Vec::new();
            return Err(TransportError::OutputLimit { limit: self.limit });
        }
        self.bytes.extend_from_slice(more);
        Ok(())
    }

    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }
}
