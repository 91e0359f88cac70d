//! Keytabs as MIT and Windows write them: the newest key of a principal. Pure.

use zeroize::Zeroizing;

use super::big_endian::Reader;

/// A key, and whose it is.
#[derive(Debug)]
pub(super) struct Key {
    /// Such as `svc-fleet` or `HTTP/ws-1`, without the realm.
    pub(super) account: String,
    pub(super) realm: String,
    /// Number of the encryption type: 18 is AES-256, 17 is AES-128.
    pub(super) kind: u16,
    pub(super) version: u32,
    pub(super) bytes: Zeroizing<Vec<u8>>,
}

/// The strongest of the newest keys of `account`; of the first account in the file where `None`.
pub(super) fn choose(file: &[u8], account: Option<&str>) -> Result<Key, String> {
    let keys = read(file).ok_or("it is no keytab")?;
    let wanted = account.map(str::to_owned).or_else(|| keys.first().map(|key| key.account.clone()));
    let wanted = wanted.ok_or("it holds no key")?;
    // AES alone: nothing older is accepted by those who are looked after.
    let usable = |key: &Key| key.account.eq_ignore_ascii_case(&wanted) && matches!(key.kind, 17 | 18);
    let newest = keys.into_iter().filter(usable).max_by_key(|key| (key.version, key.kind));
    newest.ok_or_else(|| format!("it holds no AES key of {wanted}"))
}

/// A text behind its length.
fn text(entry: &mut Reader<'_>) -> Option<String> {
    let length = entry.short()?;
    Some(String::from_utf8_lossy(entry.take(length.into())?).into_owned())
}

fn read(file: &[u8]) -> Option<Vec<Key>> {
    let mut file = Reader(file);
    if file.take(2)? != [5, 2] {
        return None;
    }
    let mut keys = Vec::new();
    while !file.0.is_empty() {
        let length = file.long()?.cast_signed();
        // A negative length is a hole that an entry has left.
        let entry = file.take(usize::try_from(length.unsigned_abs()).ok()?)?;
        if length > 0 {
            keys.push(one(Reader(entry))?);
        }
    }
    Some(keys)
}

fn one(mut entry: Reader<'_>) -> Option<Key> {
    let parts = entry.short()?;
    let realm = text(&mut entry)?;
    let names: Option<Vec<String>> = (0..parts).map(|_| text(&mut entry)).collect();
    // Kind of name, and when it was written.
    entry.take(8)?;
    let short_version = entry.byte()?;
    let kind = entry.short()?;
    let length = entry.short()?;
    let bytes = Zeroizing::new(entry.take(length.into())?.to_vec());
    let version = entry.long().filter(|version| *version > 0).unwrap_or(short_version.into());
    Some(Key { account: names?.join("/"), realm, kind, version, bytes })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(account: &str, kind: u16, version: u8, key: &[u8]) -> Vec<u8> {
        let text = |out: &mut Vec<u8>, text: &str| {
            out.extend((text.len() as u16).to_be_bytes());
            out.extend(text.bytes());
        };
        let mut out = Vec::new();
        out.extend(1_u16.to_be_bytes());
        text(&mut out, "EXAMPLE.COM");
        text(&mut out, account);
        out.extend([0, 0, 0, 1, 0, 0, 0, 0, version]);
        out.extend(kind.to_be_bytes());
        out.extend((key.len() as u16).to_be_bytes());
        out.extend(key);
        [(out.len() as u32).to_be_bytes().to_vec(), out].concat()
    }

    #[test]
    fn the_newest_and_strongest_key_of_the_account_is_chosen() {
        let hole = [(-4_i32).to_be_bytes().to_vec(), vec![0; 4]].concat();
        let file = [
            vec![5, 2],
            entry("kim", 18, 1, &[1; 32]),
            hole,
            entry("kim", 17, 2, &[2; 16]),
            entry("kim", 18, 2, &[3; 32]),
            entry("kim", 23, 3, &[4; 16]),
            entry("lee", 18, 9, &[5; 32]),
        ]
        .concat();
        let key = choose(&file, Some("KIM")).unwrap();
        assert_eq!((key.kind, key.version, key.realm.as_str(), key.bytes[0]), (18, 2, "EXAMPLE.COM", 3));
        assert_eq!(choose(&file, None).unwrap().account, "kim");
        assert_eq!(choose(&file, Some("lee")).unwrap().bytes[0], 5);
        assert!(choose(&file, Some("ann")).unwrap_err().contains("no AES key of ann"));
        assert!(choose(b"\x05\x01", None).unwrap_err().contains("no keytab"));
        assert!(choose(&file[..file.len() - 3], None).is_err());
    }
}
