//! Messages sealed with the keys of a sign-in, and counted: the wrap tokens of RFC 4121, 4.2, in the two pieces in which WinRM sends them.

use sspi::{Error, ErrorKind};

use super::super::seal::Sealed;
use super::key::{Key, Use};

/// Bytes of the head of a token. What is sealed ends with the head too.
const HEAD: usize = 16;
/// Bytes that stand before a text when it is encrypted, and behind it.
const CONFOUNDER: usize = 16;
const CHECKSUM: usize = 12;
/// Bytes by which what is encrypted is turned, so that all that is not text stands at its beginning.
const TURN: usize = HEAD + CHECKSUM;

/// Flags of a token: who sent it, that it is encrypted, and whose key was used.
const BY_ACCEPTOR: u8 = 1;
const SEALED: u8 = 2;
const KEY_OF_ACCEPTOR: u8 = 4;

pub(in crate::transport::winrm) struct Wrap {
    key: Key,
    /// `KEY_OF_ACCEPTOR` where it is the device's.
    whose: u8,
    next: u64,
    expected: u64,
}

impl Wrap {
    pub(super) fn new(key: Key, of_acceptor: bool, next: u32, expected: u32) -> Self {
        Self { key, whose: if of_acceptor { KEY_OF_ACCEPTOR } else { 0 }, next: next.into(), expected: expected.into() }
    }

    pub(in crate::transport::winrm) fn seal(&mut self, text: &[u8]) -> Result<Sealed, Error> {
        let mut token = head([5, 4], SEALED | self.whose, [0xff, 0, 0, 0, 0], self.next).to_vec();
        let mut sealed = self.key.encrypt(Use::SealedByInitiator, &[text, &token].concat())?;
        sealed.rotate_right(TURN);
        token[7] = TURN as u8;
        token.extend(sealed);
        self.next += 1;
        let cipher = token.split_off(HEAD + TURN + CONFOUNDER);
        Ok(Sealed { length: text.len(), signature: token, cipher })
    }

    /// Opens what the device has sealed, once and in its turn.
    pub(in crate::transport::winrm) fn open(&mut self, sealed: &Sealed) -> Result<Vec<u8>, Error> {
        let token = [sealed.signature.as_slice(), &sealed.cipher].concat();
        let odd = || Error::new(ErrorKind::MessageAltered, "its signature is none of this sign-in");
        let (shown, turned) = token.split_first_chunk::<HEAD>().ok_or_else(odd)?;
        let [5, 4, flags, 0xff, e0, e1, r0, r1, count @ ..] = *shown else { return Err(odd()) };
        if flags != BY_ACCEPTOR | SEALED | self.whose || turned.len() < CONFOUNDER + TURN {
            return Err(odd());
        }
        let (filler, turn) = (usize::from(u16::from_be_bytes([e0, e1])), usize::from(u16::from_be_bytes([r0, r1])));
        let open = |turn: usize| {
            let mut sealed = turned.to_vec();
            sealed.rotate_left(turn % turned.len());
            self.key.decrypt(Use::SealedByAcceptor, &sealed)
        };
        // Windows turns by the filler too, and does not say so (MS-KILE, 3.4.5.4.1).
        let mut text = open(turn).or_else(|error| if filler == 0 { Err(error) } else { open(turn + filler) })?;
        let inner = head([5, 4], flags, [0xff, e0, e1, 0, 0], u64::from_be_bytes(count));
        let length = text.len().checked_sub(filler + HEAD).filter(|_| text.ends_with(&inner)).ok_or_else(odd)?;
        text.truncate(length);
        let text = std::mem::take(&mut *text);
        self.counted(u64::from_be_bytes(count))?;
        Ok(text)
    }

    /// Checks that the device has signed a text (RFC 4121, 4.2.6.1).
    pub(super) fn verify(&mut self, token: &[u8], text: &[u8]) -> Result<(), Error> {
        let odd = || Error::new(ErrorKind::MessageAltered, "its signature is none of this sign-in");
        let (shown, sum) = token.split_first_chunk::<HEAD>().ok_or_else(odd)?;
        let [4, 4, flags, 0xff, 0xff, 0xff, 0xff, 0xff, count @ ..] = *shown else { return Err(odd()) };
        if flags != BY_ACCEPTOR | self.whose || self.key.checksum(Use::SignedByAcceptor, &[text, shown].concat())? != sum {
            return Err(odd());
        }
        self.counted(u64::from_be_bytes(count))
    }

    fn counted(&mut self, count: u64) -> Result<(), Error> {
        if count != self.expected {
            let words = format!("it has the sequence number {count} and should have {}", self.expected);
            return Err(Error::new(ErrorKind::OutOfSequence, words));
        }
        self.expected += 1;
        Ok(())
    }
}

fn head(id: [u8; 2], flags: u8, filler: [u8; 5], count: u64) -> [u8; HEAD] {
    let mut head = [0; HEAD];
    head[..2].copy_from_slice(&id);
    head[2] = flags;
    head[3..8].copy_from_slice(&filler);
    head[8..].copy_from_slice(&count.to_be_bytes());
    head
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> Key {
        Key::new(18, &[9; 32]).unwrap()
    }

    /// What a device seals: with a filler, and turned in the way that is asked for.
    fn answer(text: &[u8], count: u64, filler: u8, turn: u16, turned: usize) -> Sealed {
        let mut token = head([5, 4], 7, [0xff, 0, filler, 0, 0], count).to_vec();
        let plain = [text, &vec![0; filler.into()], &token].concat();
        let mut sealed = key().encrypt(Use::SealedByAcceptor, &plain).unwrap();
        let length = sealed.len();
        sealed.rotate_right(turned % length);
        token[6..8].copy_from_slice(&turn.to_be_bytes());
        Sealed { length: text.len(), signature: token, cipher: sealed }
    }

    fn wrap(expected: u32) -> Wrap {
        Wrap::new(key(), true, 1, expected)
    }

    #[test]
    fn answers_are_opened_however_they_are_turned() {
        let mut wrap = wrap(40);
        for (at, (filler, turn, turned)) in
            [(0, 28, 28), (16, 28, 44), (16, 28, 28), (0, 0, 0), (0, 65_535, 65_535)].into_iter().enumerate()
        {
            let opened = wrap.open(&answer(b"hello", 40 + at as u64, filler, turn, turned)).unwrap();
            assert_eq!(opened, b"hello", "{filler} {turn} {turned}");
        }
        assert_eq!(wrap.open(&answer(b"", 45, 0, 28, 28)).unwrap(), b"");
    }

    #[test]
    fn an_answer_is_opened_once_and_in_its_turn() {
        let mut wrap = wrap(7);
        let (first, second, third) = (answer(b"a", 7, 0, 28, 28), answer(b"b", 8, 0, 28, 28), answer(b"c", 9, 0, 28, 28));
        assert_eq!(wrap.open(&second).unwrap_err().error_type, ErrorKind::OutOfSequence);
        assert_eq!(wrap.open(&first).unwrap(), b"a");
        let again = wrap.open(&first).unwrap_err();
        assert_eq!(
            (again.error_type, again.description.as_str()),
            (ErrorKind::OutOfSequence, "it has the sequence number 7 and should have 8")
        );
        assert!(wrap.open(&third).is_err());
        assert_eq!(wrap.open(&second).unwrap(), b"b");
    }

    #[test]
    fn nothing_that_was_changed_or_is_our_own_is_opened() {
        let good = answer(b"hello", 7, 16, 28, 44);
        for at in 0..good.signature.len() + good.cipher.len() {
            let mut bad = Sealed { length: 5, signature: good.signature.clone(), cipher: good.cipher.clone() };
            match at.checked_sub(HEAD) {
                None => bad.signature[at] ^= 1,
                Some(at) => bad.cipher[at] ^= 1,
            }
            assert!(wrap(7).open(&bad).is_err(), "{at}");
        }
        for length in 0..60 {
            let (signature, cipher) = (good.signature[..length.min(HEAD)].to_vec(), good.cipher[..length.saturating_sub(HEAD)].to_vec());
            assert!(wrap(7).open(&Sealed { length, signature, cipher }).is_err(), "{length}");
        }
        let mut wrap = wrap(1);
        let own = wrap.seal(b"hello").unwrap();
        assert_eq!((own.length, own.signature.len(), own.cipher.len()), (5, 60, 5));
        assert!(wrap.open(&own).is_err());
    }

    #[test]
    fn a_signature_of_the_device_is_checked_and_counts() {
        let mut wrap = wrap(7);
        let head = head([4, 4], 5, [0xff; 5], 7);
        let sum = key().checksum(Use::SignedByAcceptor, &[b"text".as_slice(), &head].concat()).unwrap();
        let token = [head.as_slice(), &sum].concat();
        assert!(wrap.verify(&token, b"taxt").is_err());
        wrap.verify(&token, b"text").unwrap();
        assert!(wrap.verify(&token, b"text").is_err());
        assert!(wrap.open(&answer(b"x", 8, 0, 28, 28)).is_ok());
    }
}
