//! A device is shown a ticket, and shows that it could open it (RFC 4121, 4.1), in the tokens of SPNEGO (RFC 4178).

use chrono::{DateTime, Utc};
use md5::{Digest as _, Md5};
use sspi::{Error, ErrorKind};
use zeroize::Zeroizing;

use super::der::{self, FIELD, element, field, integer, message, text};
use super::key::{Key, Use};
use super::wrap::Wrap;
use super::{Credential, refusal};

const SPNEGO: &[u8] = &[0x2b, 6, 1, 5, 5, 2];
const KERBEROS: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x12, 1, 2, 2];
/// The same as Windows has called it since 2000, by mistake.
const KERBEROS_OF_WINDOWS: &[u8] = &[0x2a, 0x86, 0x48, 0x82, 0xf7, 0x12, 1, 2, 2];

/// The device shows who it is (RFC 4120, 5.5.1).
const MUTUAL_REQUIRED: u32 = 1 << 29;
/// That, and replays, order, sealing and signing (RFC 4121, 4.1.1.1).
const WANTED: u32 = 2 | 4 | 8 | 16 | 32;
/// A checksum that holds the flags and the channel (RFC 4121, 4.1.1).
const GSS_CHECKSUM: u32 = 0x8003;

/// What was asked, until the device has answered.
pub(in crate::transport::winrm) struct Asked {
    ticket: Credential,
    own_key: Key,
    sequence: u32,
    now: DateTime<Utc>,
}

/// The first token, for the device.
pub(super) fn ask(ticket: Credential, binding: Option<&[u8]>, now: DateTime<Utc>) -> Result<(Asked, Vec<u8>), Error> {
    let own_key = ticket.key.another();
    // Some take it for a number with a sign.
    let sequence = rand::random::<u32>() >> 2;
    let checksum = [16_u32.to_le_bytes().as_slice(), &channel(binding), &WANTED.to_le_bytes()].concat();
    let authenticator = Zeroizing::new(message(
        2,
        &[
            field(0, &integer(5)),
            field(1, &text(&ticket.client.realm)),
            field(2, &ticket.client.written()),
            field(3, &der::sequence(&[field(0, &integer(GSS_CHECKSUM)), field(1, &element(der::OCTETS, &checksum))])),
            field(4, &integer(now.timestamp_subsec_micros())),
            field(5, &der::time(now)),
            field(6, &own_key.written()),
            field(7, &integer(sequence)),
        ],
    ));
    let shown = ticket.shown(MUTUAL_REQUIRED, Use::Authenticator, &authenticator)?;
    let token = element(der::APPLICATION, &[element(der::OBJECT, KERBEROS), vec![1, 0], shown].concat());
    let offer = der::sequence(&[field(0, &ways()), field(2, &element(der::OCTETS, &token))]);
    let token = element(der::APPLICATION, &[element(der::OBJECT, SPNEGO), field(0, &offer)].concat());
    Ok((Asked { ticket, own_key, sequence, now }, token))
}

/// `MechTypeList`: the one way that is offered.
fn ways() -> Vec<u8> {
    der::sequence(&[element(der::OBJECT, KERBEROS)])
}

/// The hash of a channel that is bound (RFC 4121, 4.1.1.2): addresses that are none, and the name of the channel.
fn channel(binding: Option<&[u8]>) -> [u8; 16] {
    binding.map_or([0; 16], |binding| {
        let numbers = [0, 0, 0, 0, binding.len() as u32].map(u32::to_le_bytes).concat();
        Md5::new().chain_update(numbers).chain_update(binding).finalize().into()
    })
}

impl Asked {
    /// Takes the device's answer; afterwards it is known who it is.
    pub(super) fn agree(self, token: &[u8]) -> Result<Wrap, Error> {
        let odd = || Error::new(ErrorKind::InvalidToken, "the device's answer cannot be read");
        let fields = der::only(FIELD | 1, token).and_then(|resp| der::only(der::SEQUENCE, resp)).ok_or_else(odd)?;
        let inner = der::find(fields, 2).and_then(der::as_octets);
        if let Some((id, rest)) = inner.and_then(kerberos)
            && id == [3, 0]
            && let Some(error) = refusal::read(rest, &self.ticket.server.to_string())
        {
            return Err(error);
        }
        let state = der::find(fields, 0).and_then(|state| der::only(der::ENUMERATED, state));
        let way = der::find(fields, 1).map(|way| der::only(der::OBJECT, way));
        let is_kerberos = way.is_none_or(|way| way == Some(KERBEROS) || way == Some(KERBEROS_OF_WINDOWS));
        if state != Some([0].as_slice()) || !is_kerberos {
            return Err(Error::new(ErrorKind::LogonDenied, "the device does not take the ticket"));
        }
        let (id, rest) = inner.and_then(kerberos).ok_or_else(odd)?;
        let fields_of_proof = der::fields_of(15, rest).filter(|_| id == [2, 0]).ok_or_else(odd)?;
        let proof = self.ticket.key.opened(Use::Proof, der::find(fields_of_proof, 2).ok_or_else(odd)?)?;
        let proof = der::fields_of(27, &proof).ok_or_else(odd)?;
        let second = der::find(proof, 0).and_then(der::as_time).map(|time| time.timestamp());
        let fraction = der::find(proof, 1).and_then(der::as_integer);
        if second != Some(self.now.timestamp()) || fraction != Some(self.now.timestamp_subsec_micros().into()) {
            return Err(Error::new(ErrorKind::MutualAuthFailed, "the device answers somebody else"));
        }
        // Without a number it counts from zero.
        let sequence = der::find(proof, 3).map_or(Some(0), der::as_integer).ok_or_else(odd)? as u32;
        let of_device = der::find(proof, 2).map(|key| Key::read(key).ok_or_else(odd)).transpose()?;
        let by_device = of_device.is_some();
        let mut wrap = Wrap::new(of_device.unwrap_or(self.own_key), by_device, self.sequence, sequence);
        if let Some(signature) = der::find(fields, 3) {
            // Not needed where one way was offered, but it counts.
            wrap.verify(der::as_octets(signature).ok_or_else(odd)?, &ways())?;
        }
        Ok(wrap)
    }
}

/// The kind of a token of Kerberos, and its message (RFC 4121, 4.1).
fn kerberos(token: &[u8]) -> Option<([u8; 2], &[u8])> {
    let (tag, way, rest) = der::first(der::only(der::APPLICATION, token)?)?;
    let (id, rest) = rest.split_first_chunk::<2>()?;
    (tag == der::OBJECT && way == KERBEROS).then_some((*id, rest))
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;

    use super::super::Name;
    use super::*;

    fn now() -> DateTime<Utc> {
        DateTime::from_timestamp_micros(1_800_000_000_123_456).unwrap()
    }

    fn name(kind: u32, parts: &[&str]) -> Name {
        Name { kind, parts: parts.iter().map(ToString::to_string).collect(), realm: "EXAMPLE.COM".into() }
    }

    fn key(byte: u8) -> Key {
        Key::new(18, &[byte; 32]).unwrap()
    }

    fn asked() -> Asked {
        let ticket = message(1, &[field(0, &integer(5))]);
        let ticket = Credential { client: name(1, &["kim"]), server: name(3, &["HTTP", "ws-1"]), key: key(1), ends: now(), ticket };
        ask(ticket, None, now()).unwrap().0
    }

    fn token(state: u8, way: &[u8], id: [u8; 2], message: &[u8]) -> Vec<u8> {
        let inner = element(der::APPLICATION, &[&element(der::OBJECT, KERBEROS), id.as_slice(), message].concat());
        let fields = [element(der::ENUMERATED, &[state]), element(der::OBJECT, way), element(der::OCTETS, &inner)];
        let fields: Vec<_> = fields.iter().zip(0..).map(|(value, number)| field(number, value)).collect();
        element(FIELD | 1, &der::sequence(&fields))
    }

    /// `AP-REP` under this key, for a question of this time.
    fn proof(under: &Key, time: DateTime<Utc>) -> Vec<u8> {
        let micros = integer(time.timestamp_subsec_micros());
        let proof = message(27, &[field(0, &der::time(time)), field(1, &micros), field(2, &key(2).written()), field(3, &integer(77))]);
        message(15, &[field(0, &integer(5)), field(1, &integer(15)), field(2, &under.sealed(Use::Proof, &proof).unwrap())])
    }

    fn why(token: &[u8]) -> Error {
        asked().agree(token).err().unwrap()
    }

    #[test]
    fn a_device_that_opened_the_ticket_is_believed_and_nobody_else() {
        let good = proof(&key(1), now());
        for way in [KERBEROS, KERBEROS_OF_WINDOWS] {
            assert_eq!(asked().agree(&token(0, way, [2, 0], &good)).unwrap().seal(b"x").unwrap().signature[2], 6);
        }
        assert_eq!(why(&token(0, KERBEROS, [2, 0], &proof(&key(3), now()))).error_type, ErrorKind::MessageAltered);
        for other in [now() + chrono::TimeDelta::seconds(1), now() + chrono::TimeDelta::microseconds(1)] {
            assert_eq!(why(&token(0, KERBEROS, [2, 0], &proof(&key(1), other))).error_type, ErrorKind::MutualAuthFailed);
        }
        assert_eq!(why(&token(1, KERBEROS, [2, 0], &good)).error_type, ErrorKind::LogonDenied);
        assert_eq!(why(&token(0, SPNEGO, [2, 0], &good)).error_type, ErrorKind::LogonDenied);
        assert_eq!(why(&token(0, KERBEROS, [1, 0], &good)).error_type, ErrorKind::InvalidToken);
        let expired = message(30, &[field(6, &integer(32))]);
        assert_eq!(why(&token(2, KERBEROS, [3, 0], &expired)).description, "the ticket has expired: run kinit");
    }

    #[test]
    fn what_a_windows_device_has_shown_is_read_up_to_its_seal() {
        let recording = String::from_utf8_lossy(include_bytes!("../samples/windows-10.http"));
        let (_, token) = recording.split_once("WWW-Authenticate: Kerberos ").unwrap();
        let token = STANDARD.decode(token.split_once("\r\n").unwrap().0).unwrap();
        let (id, proof) = kerberos(&token).unwrap();
        assert_eq!(id, [2, 0]);
        let sealed = der::find(der::fields_of(15, proof).unwrap(), 2).unwrap();
        // With a key that nobody has here.
        assert_eq!(key(1).opened(Use::Proof, sealed).unwrap_err().error_type, ErrorKind::MessageAltered);
    }

    #[test]
    fn an_answer_that_is_cut_off_or_changed_makes_nothing_fall() {
        let whole = token(0, KERBEROS, [2, 0], &proof(&key(1), now()));
        for at in 0..whole.len() {
            assert!(asked().agree(&whole[..at]).is_err(), "{at}");
            for bit in 0..8 {
                let mut changed = whole.clone();
                changed[at] ^= 1 << bit;
                let _ = asked().agree(&changed);
            }
        }
    }

    #[test]
    fn the_hash_of_a_channel_is_that_of_other_programs() {
        assert_eq!(channel(None), [0; 16]);
        // Python: md5(struct.pack("<5I", 0, 0, 0, 0, 22) + b"tls-server-end-point:x")
        assert_eq!(hex::encode(channel(Some(b"tls-server-end-point:x"))), "940f5f81c8639abc45436f7fdd8b216d");
    }
}
