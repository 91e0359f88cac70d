//! Messages in the envelope of MS-WSMV 2.2.9.1: what is sealed with the keys of the sign-in travels as `multipart/encrypted`. Pure.

/// Beginning of a type that says that a body is sealed.
const KIND: &str = "multipart/encrypted";
const PROTOCOL: &str = "application/HTTP-SPNEGO-session-encrypted";
const BOUNDARY: &str = "Encrypted Boundary";

/// The type of a sealed body.
pub(super) fn content_type() -> String {
    format!("{KIND};protocol=\"{PROTOCOL}\";boundary=\"{BOUNDARY}\"")
}

/// Whether a body says that it is sealed.
pub(super) fn is_sealed(content_type: &str) -> bool {
    content_type.trim_start().get(..KIND.len()).is_some_and(|head| head.eq_ignore_ascii_case(KIND))
}

/// A sealed body: its signature, and the text in cipher. `length` is that of the text in clear.
pub(super) fn write(length: usize, signature: &[u8], cipher: &[u8]) -> Vec<u8> {
    let head = format!(
        "--{BOUNDARY}\r\n\tContent-Type: {PROTOCOL}\r\n\tOriginalContent: type=application/soap+xml;charset=UTF-8;Length={length}\r\n\
         --{BOUNDARY}\r\n\tContent-Type: application/octet-stream\r\n"
    );
    let mut body = Vec::with_capacity(head.len() + signature.len() + cipher.len() + 64);
    body.extend_from_slice(head.as_bytes());
    body.extend_from_slice(&(signature.len() as u32).to_le_bytes());
    body.extend_from_slice(signature);
    body.extend_from_slice(cipher);
    body.extend_from_slice(format!("--{BOUNDARY}--\r\n").as_bytes());
    body
}

/// What a sealed body holds.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Sealed {
    pub(super) length: usize,
    pub(super) signature: Vec<u8>,
    pub(super) cipher: Vec<u8>,
}

/// Takes a sealed body apart. The cipher may hold anything, the boundary too: what ends it is the end of the body.
pub(super) fn read(content_type: &str, body: &[u8]) -> Result<Sealed, String> {
    let lower = content_type.to_ascii_lowercase();
    let boundary = lower.find("boundary=").map_or(BOUNDARY, |at| {
        let value = &content_type[at + "boundary=".len()..];
        let value = value.split(';').next().unwrap_or_default();
        value.trim().trim_matches('"')
    });
    let mark = format!("--{boundary}");
    let body = body.strip_prefix(b"\r\n").unwrap_or(body);
    let rest = body.strip_prefix(mark.as_bytes()).ok_or("it does not begin with its boundary")?;
    let at = find(rest, mark.as_bytes()).ok_or("it has one part only")?;
    let (head, rest) = rest.split_at(at);
    let head = String::from_utf8_lossy(head);
    let original = head.lines().map(str::trim).find(|line| line.to_ascii_lowercase().starts_with("originalcontent:"));
    let length = original.and_then(|line| {
        let line = line.to_ascii_lowercase();
        let (_, after) = line.split_once("length=")?;
        after.trim().split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
    });
    let length = length.ok_or("it does not say how long its content is")?;
    let rest = rest[mark.len()..].strip_prefix(b"\r\n").ok_or("its second part has no head")?;
    // One header, and no empty line behind it.
    let at = find(rest, b"\r\n").ok_or("its second part has no head")?;
    if !String::from_utf8_lossy(&rest[..at]).to_ascii_lowercase().contains("application/octet-stream") {
        return Err("its second part is not what was sealed".into());
    }
    let rest = &rest[at + 2..];
    let rest = rest.strip_suffix(b"\r\n").unwrap_or(rest);
    let rest = rest.strip_suffix(format!("{mark}--").as_bytes()).ok_or("it does not end with its boundary")?;
    let (size, rest) = rest.split_at_checked(4).ok_or("it has no signature")?;
    let size = u32::from_le_bytes([size[0], size[1], size[2], size[3]]) as usize;
    let (signature, cipher) = rest.split_at_checked(size).ok_or("its signature is cut off")?;
    Ok(Sealed { length, signature: signature.to_vec(), cipher: cipher.to_vec() })
}

fn find(hay: &[u8], needle: &[u8]) -> Option<usize> {
    hay.windows(needle.len()).position(|window| window == needle)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_written_is_read_whatever_the_cipher_holds(
            signature in proptest::collection::vec(any::<u8>(), 0..80),
            cipher in proptest::collection::vec(any::<u8>(), 0..300),
            with_mark in any::<bool>(),
        ) {
            let mut cipher = cipher;
            if with_mark {
                cipher.extend(b"--Encrypted Boundary--\r\n--Encrypted Boundary\r\n\r\n");
            }
            let body = write(7, &signature, &cipher);
            prop_assert_eq!(read(&content_type(), &body).unwrap(), Sealed { length: 7, signature, cipher });
        }

        #[test]
        fn nothing_that_is_read_makes_it_fall(kind in ".{0,60}", body in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = read(&kind, &body);
        }
    }

    #[test]
    fn an_answer_without_tabs_and_with_another_boundary_is_read() {
        let kind = "Multipart/Encrypted; protocol=\"application/HTTP-Kerberos-session-encrypted\"; boundary=\"xyz\"";
        assert!(is_sealed(kind) && !is_sealed("application/soap+xml;charset=UTF-8"));
        let body = b"--xyz\r\nContent-Type: application/HTTP-Kerberos-session-encrypted\r\nOriginalContent: type=application/soap+xml;charset=UTF-8;Length=3\r\n\
                     --xyz\r\nContent-Type: application/octet-stream\r\n\x02\0\0\0SSabc--xyz--\r\n";
        assert_eq!(read(kind, body).unwrap(), Sealed { length: 3, signature: b"SS".to_vec(), cipher: b"abc".to_vec() });
        for cut in 0..body.len() - 2 {
            assert!(read(kind, &body[..cut]).is_err(), "{cut}");
        }
    }
}
