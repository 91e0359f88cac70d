//! Ticket caches as MIT and Heimdal write them into files, versions 3 and 4 ("Credential cache file format" in MIT's documentation):
//! whose they are, and the ticket that leads to a device. Pure.

use chrono::{DateTime, Utc};
use zeroize::Zeroizing;

use super::super::big_endian::Reader;
use super::key::Key;
use super::{Credential, Name, PRINCIPAL};

/// What a cache holds.
pub(in crate::transport::winrm) struct Cache {
    /// Who signed in.
    pub(in crate::transport::winrm) user: Name,
    entries: Vec<Entry>,
}

struct Entry {
    client: Name,
    server: Name,
    /// Number of the encryption type.
    kind: u16,
    key: Zeroizing<Vec<u8>>,
    ends: DateTime<Utc>,
    /// Only together with a ticket of somebody else.
    with_another: bool,
    ticket: Vec<u8>,
}

impl Cache {
    pub(in crate::transport::winrm) fn read(file: &[u8]) -> Result<Self, String> {
        match file {
            [5, 3 | 4, ..] => parse(file).ok_or_else(|| "it is cut off, or no ticket cache".into()),
            [5, version, ..] => Err(format!("it is of version {version}; 3 and 4 are read")),
            _ => Err("it is no ticket cache".into()),
        }
    }

    /// The ticket for `HTTP` on the host, else the one with which other tickets are asked for; of several the one that ends last.
    pub(in crate::transport::winrm) fn choose(self, host: &str, now: DateTime<Utc>) -> Result<Credential, String> {
        let Self { user, entries } = self;
        let (mut ready, mut granting) = (None::<Entry>, None::<Entry>);
        for entry in entries.into_iter().filter(|entry| entry.client.same(&user) && !entry.with_another) {
            let place = if entry.server.is("HTTP", host) && entry.ends > now && Key::new(entry.kind.into(), &entry.key).is_some() {
                &mut ready
            } else if entry.server.is("krbtgt", &user.realm) && entry.server.realm == user.realm {
                &mut granting
            } else {
                continue;
            };
            if place.as_ref().is_none_or(|other| other.ends < entry.ends) {
                *place = Some(entry);
            }
        }
        let Some(entry) = ready.or(granting) else {
            return Err(format!("it holds no ticket of {user} for HTTP/{host}, and none to ask for one with: run kinit"));
        };
        if entry.ends <= now {
            return Err(format!("the ticket of {user} ended at {}: run kinit", entry.ends.format("%Y-%m-%d %H:%M:%S UTC")));
        }
        let key = Key::new(entry.kind.into(), &entry.key);
        let key = key.ok_or_else(|| format!("the ticket of {user} has a key of encryption type {}, and only AES is used", entry.kind))?;
        Ok(Credential { client: entry.client, server: entry.server, key, ends: entry.ends, ticket: entry.ticket })
    }
}

fn parse(file: &[u8]) -> Option<Cache> {
    let mut file = Reader(file);
    file.byte()?;
    let version = file.byte()?;
    if version == 4 {
        // How far clocks differ, and what may be said later.
        let length = file.short()?;
        file.take(length.into())?;
    }
    let user = name(&mut file)?;
    let mut entries = Vec::new();
    while !file.0.is_empty() {
        entries.push(one(&mut file, version)?);
    }
    Some(Cache { user, entries })
}

fn one(file: &mut Reader<'_>, version: u8) -> Option<Entry> {
    let (client, server) = (name(file)?, name(file)?);
    let kind = file.short()?;
    if version == 3 {
        // Once more the same.
        file.short()?;
    }
    let key = Zeroizing::new(data(file)?.to_vec());
    // When it was given, when it begins, and later until when it may be renewed.
    file.take(8)?;
    let ends = DateTime::from_timestamp(file.long()?.into(), 0)?;
    file.take(4)?;
    let with_another = file.byte()? != 0;
    let _flags = file.long()?;
    // Addresses, and what restricts it.
    for _ in 0..2 {
        for _ in 0..file.long()? {
            file.short()?;
            data(file)?;
        }
    }
    let ticket = data(file)?.to_vec();
    let _second = data(file)?;
    Some(Entry { client, server, kind, key, ends, with_another, ticket })
}

fn name(file: &mut Reader<'_>) -> Option<Name> {
    let (kind, count) = (file.long()?, file.long()?);
    let realm = text(file)?;
    let mut parts = Vec::new();
    for _ in 0..count {
        parts.push(text(file)?);
    }
    let kind = if kind > i32::MAX.cast_unsigned() { PRINCIPAL } else { kind };
    Some(Name { kind, parts, realm })
}

fn data<'a>(file: &mut Reader<'a>) -> Option<&'a [u8]> {
    let length = file.long()?;
    file.take(usize::try_from(length).ok()?)
}

fn text(file: &mut Reader<'_>) -> Option<String> {
    Some(String::from_utf8_lossy(data(file)?).into_owned())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn counted(bytes: &[u8]) -> Vec<u8> {
        [&(bytes.len() as u32).to_be_bytes(), bytes].concat()
    }

    fn name(name: &str) -> Vec<u8> {
        let (parts, realm) = name.split_once('@').unwrap();
        let parts: Vec<&str> = parts.split('/').collect();
        let head = [1_u32.to_be_bytes(), (parts.len() as u32).to_be_bytes()].concat();
        [head, counted(realm.as_bytes()), parts.iter().flat_map(|part| counted(part.as_bytes())).collect()].concat()
    }

    fn entry(version: u8, client: &str, server: &str, kind: u16, ends: u32, ticket: &[u8]) -> Vec<u8> {
        let kinds = kind.to_be_bytes().repeat(if version == 3 { 2 } else { 1 });
        let key = counted(&vec![7; if kind == 17 { 16 } else { 32 }]);
        let times = [1, 1, ends, 0].map(u32::to_be_bytes).concat();
        let address = [vec![0, 0, 0, 1, 0, 2], counted(&[127, 0, 0, 1])].concat();
        let rest = [vec![0; 4], counted(ticket), counted(b"")].concat();
        [name(client), name(server), kinds, key, times, vec![0, 0x50, 0, 0, 0], address, rest].concat()
    }

    fn file(version: u8, entries: &[Vec<u8>]) -> Vec<u8> {
        let head = if version == 4 { vec![5, 4, 0, 12, 0, 1, 0, 8, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0] } else { vec![5, version] };
        [head, name("kim@EXAMPLE.COM"), entries.concat()].concat()
    }

    const KIM: &str = "kim@EXAMPLE.COM";
    const GRANTING: &str = "krbtgt/EXAMPLE.COM@EXAMPLE.COM";

    fn at(second: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(second, 0).unwrap()
    }

    fn chosen(file: &[u8], now: i64) -> Result<(String, Vec<u8>), String> {
        Cache::read(file)?.choose("ws-1.example.com", at(now)).map(|chosen| (chosen.server.to_string(), chosen.ticket))
    }

    #[test]
    fn the_ticket_of_the_service_goes_before_the_one_to_ask_with_and_what_ended_is_none() {
        for version in [3, 4] {
            let all = [
                entry(version, KIM, "krb5_ccache_conf_data/pa_type@X-CACHECONF:", 0, 0, b"2"),
                entry(version, KIM, GRANTING, 18, 900, b"granting"),
                entry(version, KIM, "HTTP/WS-1.example.com@EXAMPLE.COM", 17, 500, b"service"),
                entry(version, KIM, "HTTP/ws-1.example.com@EXAMPLE.COM", 18, 400, b"older"),
                entry(version, "lee@EXAMPLE.COM", "HTTP/ws-1.example.com@EXAMPLE.COM", 18, 999, b"of somebody else"),
                entry(version, KIM, "HTTP/ws-2.example.com@EXAMPLE.COM", 18, 999, b"of another device"),
                entry(version, KIM, "krbtgt/EXAMPLE.ORG@EXAMPLE.COM", 18, 999, b"of another realm"),
            ];
            let file = file(version, &all);
            assert_eq!(Cache::read(&file).unwrap().user.to_string(), KIM);
            assert_eq!(chosen(&file, 300).unwrap().1, b"service");
            assert_eq!(chosen(&file, 500).unwrap(), (GRANTING.into(), b"granting".to_vec()));
            assert!(chosen(&file, 900).unwrap_err().contains("kim@EXAMPLE.COM ended at 1970-01-01 00:15:00 UTC: run kinit"));
        }
    }

    #[test]
    fn what_is_not_there_or_cannot_be_used_is_told() {
        assert!(chosen(&file(4, &[]), 0).unwrap_err().contains("no ticket of kim@EXAMPLE.COM for HTTP/ws-1.example.com"));
        assert!(chosen(&file(4, &[entry(4, KIM, GRANTING, 23, 900, b"")]), 0).unwrap_err().contains("encryption type 23"));
        assert!(chosen(&file(2, &[]), 0).unwrap_err().contains("version 2"));
        assert_eq!(chosen(b"hello", 0).unwrap_err(), "it is no ticket cache");
    }

    #[test]
    fn the_kind_of_a_name_is_a_hint() {
        let mut granting = entry(4, KIM, GRANTING, 18, 900, b"granting");
        for kind in [0, 10, (-128_i32).cast_unsigned()] {
            granting[..4].copy_from_slice(&kind.to_be_bytes());
            assert_eq!(chosen(&file(4, std::slice::from_ref(&granting)), 0).unwrap().1, b"granting");
        }
    }

    #[test]
    fn a_file_that_is_cut_off_is_none_wherever_that_is() {
        let (head, whole) = (file(4, &[]), file(4, &[entry(4, KIM, GRANTING, 18, 900, b"granting")]));
        for cut in (0..whole.len()).filter(|cut| *cut != head.len()) {
            assert!(Cache::read(&whole[..cut]).is_err(), "{cut}");
        }
    }

    #[test]
    fn a_number_that_is_too_large_costs_nothing() {
        let most = u32::MAX.to_be_bytes();
        for rest in [[[0; 4], most].concat(), [[0; 4], [0, 0, 0, 1], most].concat(), [[0; 4], most, [0; 4]].concat()] {
            assert!(Cache::read(&[vec![5, 4, 0, 0], rest].concat()).is_err());
        }
        let mut whole = file(4, &[entry(4, KIM, GRANTING, 18, 900, b"granting")]);
        let addresses = whole.len() - [4, 8, 4, 4, 4, 2, 4].iter().sum::<usize>() - 4;
        assert_eq!(whole[addresses..addresses + 4], [0, 0, 0, 1]);
        whole[addresses..addresses + 4].copy_from_slice(&most);
        assert!(Cache::read(&whole).is_err());
    }

    proptest! {
        #[test]
        fn nothing_that_is_read_makes_it_fall(place in 0..300_usize, bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
            let mut whole = file(4, &[entry(4, KIM, GRANTING, 18, 900, b"granting"), entry(4, KIM, "HTTP/ws-1@A", 17, 900, b"x")]);
            let place = place.min(whole.len());
            let end = whole.len().min(place + bytes.len());
            whole.splice(place..end, bytes.iter().copied());
            let _ = chosen(&whole, 0);
            let _ = chosen(&[&[5, 4], bytes.as_slice()].concat(), 0);
        }
    }
}
