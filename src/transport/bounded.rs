//! Output that never grows beyond its limit.

use super::TransportError;

/// What is kept together. Output of fifty devices grows at the same time: one block per device that doubles whenever it
/// is full would need twice the memory.
const PIECE: usize = 32 * 1024;

/// Bytes up to a limit.
#[derive(Debug)]
pub(super) struct Bounded {
    pieces: Vec<Vec<u8>>,
    length: usize,
    limit: u64,
}

impl Bounded {
    pub(super) fn new(limit: u64) -> Self {
        Self { pieces: Vec::new(), length: 0, limit }
    }

    /// Keeps the bytes; once they are too many, everything is forgotten.
    pub(super) fn push(&mut self, more: &[u8]) -> Result<(), TransportError> {
        if (self.length + more.len()) as u64 > self.limit {
            (self.pieces, self.length) = (Vec::new(), 0);
            return Err(TransportError::OutputLimit { limit: self.limit });
        }
        self.length += more.len();
        match self.pieces.last_mut() {
            Some(last) if last.len() + more.len() <= PIECE => last.extend_from_slice(more),
            _ => self.pieces.push(more.to_vec()),
        }
        Ok(())
    }

    pub(super) fn into_bytes(self) -> Vec<u8> {
        match self.pieces.len() {
            1 => self.pieces.into_iter().next().unwrap_or_default(),
            _ => self.pieces.concat(),
        }
    }
}
