//! A ticket for a device, asked for with the one that `kinit` got (RFC 4120, 3.3), from realm to realm where the device is in another one.

use chrono::{DateTime, Utc};
use sspi::generator::NetworkRequest;
use sspi::{Error, ErrorKind, NetworkProtocol};

use super::super::kdc;
use super::der::{self, element, field, integer, message, text};
use super::key::{Key, Use};
use super::{Credential, Name, refusal};

/// Realms between that of the user and that of the device, both counted.
const MOST_REALMS: usize = 6;
/// Kinds of names (RFC 4120, 6.2): with the name of a host as its second part.
const HOST_BASED: u32 = 3;
/// Realms may answer with the ticket for another realm (RFC 6806).
const CANONICALIZE: u32 = 1 << 16;

/// A ticket for `HTTP` on the host: the one there is, or a new one. `place` tells where a realm is asked, as an URL.
pub(in crate::transport::winrm) async fn ticket(
    there: Credential,
    host: &str,
    place: impl Fn(&str) -> String,
    now: DateTime<Utc>,
) -> Result<Credential, Error> {
    let mut ticket = there;
    if !ticket.server.grants() {
        return Ok(ticket);
    }
    for _ in 0..MOST_REALMS {
        let realm = ticket.server.parts.get(1).cloned().unwrap_or_default();
        let wanted = Name { kind: HOST_BASED, parts: vec!["HTTP".into(), host.into()], realm };
        let nonce = rand::random::<u32>() >> 1;
        let question = ask(&ticket, &wanted, nonce, now)?;
        let url = place(&wanted.realm);
        let url = url.parse().map_err(|_| Error::new(ErrorKind::NoAuthenticatingAuthority, format!("{url} is no place to ask at")))?;
        let data = [(question.len() as u32).to_be_bytes().to_vec(), question].concat();
        let answer = kdc::ask(&NetworkRequest { protocol: NetworkProtocol::Tcp, url, data }).await?;
        ticket = read(answer.get(4..).unwrap_or_default(), &ticket, &wanted, nonce)?;
        if !ticket.server.grants() {
            return Ok(ticket);
        }
    }
    Err(Error::new(ErrorKind::MaxReferralsExceeded, "one realm names the other without an end"))
}

/// `TGS-REQ` (RFC 4120, 5.4.1)
fn ask(granting: &Credential, wanted: &Name, nonce: u32, now: DateTime<Utc>) -> Result<Vec<u8>, Error> {
    let body = der::sequence(&[
        field(0, &der::flags(CANONICALIZE)),
        field(2, &text(&wanted.realm)),
        field(3, &wanted.written()),
        field(5, &der::time(granting.ends)),
        field(7, &integer(nonce)),
        field(8, &der::sequence(&[integer(18), integer(17)])),
    ]);
    let authenticator = message(
        2,
        &[
            field(0, &integer(5)),
            field(1, &text(&granting.client.realm)),
            field(2, &granting.client.written()),
            field(3, &granting.key.checksum_of(Use::RequestChecksum, &body)?),
            field(4, &integer(now.timestamp_subsec_micros())),
            field(5, &der::time(now)),
        ],
    );
    let shown = granting.shown(0, Use::Request, &authenticator)?;
    let proof = der::sequence(&[field(1, &integer(1)), field(2, &element(der::OCTETS, &shown))]);
    Ok(message(12, &[field(1, &integer(5)), field(2, &integer(12)), field(3, &der::sequence(&[proof])), field(4, &body)]))
}

/// `TGS-REP` (RFC 4120, 5.4.2)
fn read(answer: &[u8], granting: &Credential, wanted: &Name, nonce: u32) -> Result<Credential, Error> {
    if let Some(error) = refusal::read(answer, &wanted.to_string()) {
        return Err(error);
    }
    let odd = || Error::new(ErrorKind::InvalidToken, "the answer of the key distribution centre cannot be read");
    let fields = der::fields_of(13, answer).ok_or_else(odd)?;
    let sealed = granting.key.opened(Use::Reply, der::find(fields, 6).ok_or_else(odd)?)?;
    // Some say that it is one of the other kind.
    let part = der::fields_of(26, &sealed).or_else(|| der::fields_of(25, &sealed)).ok_or_else(odd)?;
    let read = || {
        let client = Name::read(der::find(fields, 4)?, der::as_text(der::find(fields, 3)?)?)?;
        let server = Name::read(der::find(part, 10)?, der::as_text(der::find(part, 9)?)?)?;
        let ends = der::as_time(der::find(part, 7)?)?;
        let answered = der::as_integer(der::find(part, 2)?)?;
        Some((client, server, ends, answered, der::find(part, 0)?, der::find(fields, 5)?.to_vec()))
    };
    let (client, server, ends, answered, key, ticket) = read().ok_or_else(odd)?;
    let of_user = client.same(&granting.client);
    let [service, host] = wanted.parts.as_slice() else { return Err(odd()) };
    // Only on the way to another realm, and not back to the one that was asked.
    let leads_on = matches!(server.parts.as_slice(), [granting, realm] if granting == "krbtgt" && *realm != wanted.realm);
    if answered != i64::from(nonce) || !of_user || !(server.is(service, host) || leads_on) {
        return Err(Error::new(
            ErrorKind::InvalidToken,
            format!("the key distribution centre answers for {server} when asked for {wanted}"),
        ));
    }
    let key = Key::read(key).ok_or_else(|| Error::new(ErrorKind::KdcUnknownEType, format!("the key of {server} is not of AES")))?;
    Ok(Credential { client: granting.client.clone(), server, key, ends, ticket })
}

impl Credential {
    /// `AP-REQ` (RFC 4120, 5.5.1): the ticket, and that whoever shows it has its key.
    pub(super) fn shown(&self, options: u32, what: Use, authenticator: &[u8]) -> Result<Vec<u8>, Error> {
        let sealed = self.key.sealed(what, authenticator)?;
        Ok(message(
            14,
            &[field(0, &integer(5)), field(1, &integer(14)), field(2, &der::flags(options)), field(3, &self.ticket), field(4, &sealed)],
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> DateTime<Utc> {
        DateTime::from_timestamp(1_800_000_000, 0).unwrap()
    }

    fn name(name: &str) -> Name {
        let (parts, realm) = name.split_once('@').unwrap();
        Name { kind: 1, parts: parts.split('/').map(str::to_owned).collect(), realm: realm.into() }
    }

    fn key(kind: i64) -> Key {
        Key::new(kind, &vec![1; if kind == 17 { 16 } else { 32 }]).unwrap()
    }

    fn granting() -> Credential {
        let ticket = message(1, &[field(0, &integer(5))]);
        Credential { client: name("kim@EXAMPLE.COM"), server: name("krbtgt/EXAMPLE.COM@EXAMPLE.COM"), key: key(18), ends: now(), ticket }
    }

    /// `TGS-REP` for a client, with a ticket for a server.
    fn answer(client: &str, server: &str, nonce: u32, under: &Key) -> Vec<u8> {
        let (client, server) = (name(client), name(server));
        let part = [(0, key(17).written()), (2, integer(nonce)), (7, der::time(now())), (9, text(&server.realm)), (10, server.written())];
        let part = message(26, &part.map(|(number, value)| field(number, &value)));
        let sealed = under.sealed(Use::Reply, &part).unwrap();
        let ticket = message(1, &[integer(9)]);
        let fields = [(0, integer(5)), (1, integer(13)), (3, text(&client.realm)), (4, client.written()), (5, ticket), (6, sealed)];
        message(13, &fields.map(|(number, value)| field(number, &value)))
    }

    fn taken(answer: &[u8]) -> Result<Credential, Error> {
        read(answer, &granting(), &name("HTTP/ws-1@EXAMPLE.COM"), 5)
    }

    #[test]
    fn only_the_ticket_that_was_asked_for_is_taken_or_one_that_leads_on() {
        const KIM: &str = "kim@EXAMPLE.COM";
        for server in ["HTTP/ws-1@EXAMPLE.COM", "HTTP/WS-1@EXAMPLE.ORG", "krbtgt/EXAMPLE.ORG@EXAMPLE.COM"] {
            let taken = taken(&answer(KIM, server, 5, &key(18))).unwrap();
            assert_eq!((taken.server.to_string(), taken.ticket), (server.to_owned(), message(1, &[integer(9)])));
        }
        for (client, server, nonce) in [
            (KIM, "HTTP/ws-2@EXAMPLE.COM", 5),
            (KIM, "krbtgt/EXAMPLE.COM@EXAMPLE.COM", 5),
            (KIM, "HTTP/ws-1@EXAMPLE.COM", 6),
            ("lee@EXAMPLE.COM", "HTTP/ws-1@EXAMPLE.COM", 5),
            ("kim@EXAMPLE.ORG", "HTTP/ws-1@EXAMPLE.COM", 5),
        ] {
            assert_eq!(taken(&answer(client, server, nonce, &key(18))).err().unwrap().error_type, ErrorKind::InvalidToken);
        }
        let of_another = Key::new(18, &[2; 32]).unwrap();
        assert_eq!(taken(&answer(KIM, "HTTP/ws-1@EXAMPLE.COM", 5, &of_another)).err().unwrap().error_type, ErrorKind::MessageAltered);
    }

    #[test]
    fn an_answer_that_is_cut_off_or_changed_makes_nothing_fall() {
        let whole = answer("kim@EXAMPLE.COM", "HTTP/ws-1@EXAMPLE.COM", 5, &key(18));
        for at in 0..whole.len() {
            assert!(taken(&whole[..at]).is_err(), "{at}");
            for bit in 0..8 {
                let mut changed = whole.clone();
                changed[at] ^= 1 << bit;
                let _ = taken(&changed);
            }
        }
    }
}
