//! Keys of AES, and what is made with them (RFC 3961, RFC 3962), by `picky-krb`. Nothing weaker is taken.

use picky_krb::crypto::CipherSuite;
use rand::RngCore as _;
use sspi::{Error, ErrorKind};
use zeroize::Zeroizing;

use super::der::{self, element, field, integer};

/// What a key is used for, so that nothing can stand in the place of something else (RFC 4120, 7.5.1; RFC 4121, 2).
#[derive(Debug, Clone, Copy)]
pub(super) enum Use {
    /// Of the body of a question for a ticket.
    RequestChecksum = 6,
    Request = 7,
    Reply = 8,
    Authenticator = 11,
    Proof = 12,
    SealedByAcceptor = 22,
    SignedByAcceptor = 23,
    SealedByInitiator = 24,
}

pub(super) struct Key {
    suite: CipherSuite,
    bytes: Zeroizing<Vec<u8>>,
}

impl Key {
    /// `kind` is the number of an encryption type; none of one that is not AES.
    pub(super) fn new(kind: i64, bytes: &[u8]) -> Option<Self> {
        let suite = match kind {
            17 => CipherSuite::Aes128CtsHmacSha196,
            18 => CipherSuite::Aes256CtsHmacSha196,
            _ => return None,
        };
        (bytes.len() == suite.cipher().key_size()).then(|| Self { suite, bytes: Zeroizing::new(bytes.to_vec()) })
    }

    /// A new one, as strong as this.
    pub(super) fn another(&self) -> Self {
        let mut bytes = Zeroizing::new(vec![0; self.bytes.len()]);
        rand::rng().fill_bytes(&mut bytes);
        Self { suite: self.suite.clone(), bytes }
    }

    /// `EncryptionKey` (RFC 4120, 5.2.9)
    pub(super) fn read(value: &[u8]) -> Option<Self> {
        let fields = der::only(der::SEQUENCE, value)?;
        Self::new(der::as_integer(der::find(fields, 0)?)?, der::as_octets(der::find(fields, 1)?)?)
    }

    pub(super) fn written(&self) -> Vec<u8> {
        der::sequence(&[field(0, &integer(self.kind())), field(1, &element(der::OCTETS, &self.bytes))])
    }

    fn kind(&self) -> u32 {
        u32::from(&self.suite)
    }

    pub(super) fn encrypt(&self, what: Use, text: &[u8]) -> Result<Vec<u8>, Error> {
        let cipher = self.suite.cipher().encrypt(&self.bytes, what as i32, text);
        cipher.map_err(|error| Error::new(ErrorKind::EncryptFailure, error.to_string()))
    }

    pub(super) fn decrypt(&self, what: Use, cipher: &[u8]) -> Result<Zeroizing<Vec<u8>>, Error> {
        let text = self.suite.cipher().decrypt(&self.bytes, what as i32, cipher);
        text.map(Zeroizing::new).map_err(|error| Error::new(ErrorKind::MessageAltered, error.to_string()))
    }

    pub(super) fn checksum(&self, what: Use, text: &[u8]) -> Result<Vec<u8>, Error> {
        let sum = self.suite.cipher().checksum_type().hasher().checksum(&self.bytes, what as i32, text);
        sum.map_err(|error| Error::new(ErrorKind::EncryptFailure, error.to_string()))
    }

    /// `Checksum` (RFC 4120, 5.2.9)
    pub(super) fn checksum_of(&self, what: Use, text: &[u8]) -> Result<Vec<u8>, Error> {
        let kind = u32::from(self.suite.cipher().checksum_type());
        Ok(der::sequence(&[field(0, &integer(kind)), field(1, &element(der::OCTETS, &self.checksum(what, text)?))]))
    }

    /// `EncryptedData` (RFC 4120, 5.2.9)
    pub(super) fn sealed(&self, what: Use, text: &[u8]) -> Result<Vec<u8>, Error> {
        Ok(der::sequence(&[field(0, &integer(self.kind())), field(2, &element(der::OCTETS, &self.encrypt(what, text)?))]))
    }

    /// What `EncryptedData` holds.
    pub(super) fn opened(&self, what: Use, value: &[u8]) -> Result<Zeroizing<Vec<u8>>, Error> {
        let fields = der::only(der::SEQUENCE, value);
        let kind = fields.and_then(|fields| der::find(fields, 0)).and_then(der::as_integer);
        let cipher = fields.and_then(|fields| der::find(fields, 2)).and_then(der::as_octets);
        match cipher {
            Some(cipher) if kind == Some(self.kind().into()) => self.decrypt(what, cipher),
            _ => Err(Error::new(ErrorKind::InvalidToken, "it is not encrypted with the key that was agreed on")),
        }
    }
}
