//! Messages in the envelope of MS-WSMV 2.2.9.1: what is sealed with the keys of the sign-in travels as `multipart/encrypted`. Pure.

/// Beginning of a type that says that a body is sealed.
const KIND: &str = "multipart/encrypted";
/// The same of one that was sealed piece by piece.
const KIND_OF_MANY: &str = "multipart/x-multi-encrypted";
const PROTOCOL: &str = "application/HTTP-SPNEGO-session-encrypted";
const BOUNDARY: &str = "Encrypted Boundary";

/// The type of a sealed body.
pub(super) fn content_type() -> String {
    format!("{KIND};protocol=\"{PROTOCOL}\";boundary=\"{BOUNDARY}\"")
}

/// Whether a body says that it is sealed.
pub(super) fn is_sealed(content_type: &str) -> bool {
    let kind = content_type.split(';').next().unwrap_or_default().trim();
    kind.eq_ignore_ascii_case(KIND) || kind.eq_ignore_ascii_case(KIND_OF_MANY)
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

/// Takes a sealed body apart: one piece as a rule, several where it was sealed piece by piece. A cipher may hold anything, the boundary
/// too: what ends it is the length of its piece, or the end of the body.
pub(super) fn read(content_type: &str, body: &[u8]) -> Result<Vec<Sealed>, String> {
    let lower = content_type.to_ascii_lowercase();
    let boundary = lower.find("boundary=").map_or(BOUNDARY, |at| {
        let value = content_type.get(at + "boundary=".len()..).unwrap_or_default();
        let value = value.split(';').next().unwrap_or_default();
        value.trim().trim_matches(['"', '\''])
    });
    let boundary = boundary.as_bytes();
    let mut pieces = Vec::new();
    let mut rest = body.strip_prefix(b"\r\n").unwrap_or(body);
    loop {
        rest = behind_mark(rest, boundary).ok_or("it does not begin with its boundary")?;
        let (head, after) = to_mark(rest, boundary).ok_or("it has one part only")?;
        let length = length(&String::from_utf8_lossy(head)).ok_or("it does not say how long its content is")?;
        let after = after.strip_prefix(b"\r\n").ok_or("its second part has no head")?;
        // One header, and no empty line behind it.
        let at = find(after, b"\r\n").ok_or("its second part has no head")?;
        if !String::from_utf8_lossy(&after[..at]).to_ascii_lowercase().contains("application/octet-stream") {
            return Err("its second part is not what was sealed".into());
        }
        let after = &after[at + 2..];
        let (size, after) = after.split_at_checked(4).ok_or("it has no signature")?;
        let size = u32::from_le_bytes([size[0], size[1], size[2], size[3]]) as usize;
        let (signature, after) = after.split_at_checked(size).ok_or("its signature is cut off")?;
        if let Some((cipher, more)) = after.split_at_checked(length)
            && behind_mark(more, boundary).is_some_and(|behind| behind.starts_with(b"\r\n"))
        {
            pieces.push(Sealed { length, signature: signature.to_vec(), cipher: cipher.to_vec() });
            rest = more;
            continue;
        }
        let cipher = before_end(after, boundary).ok_or("it does not end with its boundary")?;
        pieces.push(Sealed { length, signature: signature.to_vec(), cipher: cipher.to_vec() });
        return Ok(pieces);
    }
}

/// What stands behind a boundary. Some servers put a blank before its name.
fn behind_mark<'a>(text: &'a [u8], boundary: &[u8]) -> Option<&'a [u8]> {
    text.strip_prefix(b"--")?.trim_ascii_start().strip_prefix(boundary)
}

/// What stands before the next boundary, and behind it.
fn to_mark<'a>(text: &'a [u8], boundary: &[u8]) -> Option<(&'a [u8], &'a [u8])> {
    let mut from = 0;
    loop {
        let at = from + find(&text[from..], b"--")?;
        if let Some(behind) = behind_mark(&text[at..], boundary) {
            return Some((&text[..at], behind));
        }
        from = at + 1;
    }
}

/// What stands before the last boundary, which ends the text.
fn before_end<'a>(text: &'a [u8], boundary: &[u8]) -> Option<&'a [u8]> {
    let text = text.strip_suffix(b"\r\n").unwrap_or(text);
    let text = text.strip_suffix(b"--")?.strip_suffix(boundary)?;
    text.strip_suffix(b"--").or_else(|| text.strip_suffix(b"-- "))
}

/// The number in `OriginalContent: type=...;Length=7`.
fn length(head: &str) -> Option<usize> {
    let line = head.lines().map(|line| line.trim().to_ascii_lowercase()).find(|line| line.starts_with("originalcontent:"))?;
    let (_, after) = line.split_once("length=")?;
    after.trim().split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
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
            prop_assert_eq!(read(&content_type(), &body).unwrap(), [Sealed { length: 7, signature, cipher }]);
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
        assert_eq!(read(kind, body).unwrap(), [Sealed { length: 3, signature: b"SS".to_vec(), cipher: b"abc".to_vec() }]);
        for cut in 0..body.len() - 2 {
            assert!(read(kind, &body[..cut]).is_err(), "{cut}");
        }
    }

    #[test]
    fn a_body_in_pieces_and_boundaries_with_a_blank_are_read() {
        let piece = |mark: &str, text: &str| {
            let head = format!("{mark}\r\n\tContent-Type: x\r\n\tOriginalContent: type=y;Length={}\r\n", text.len());
            format!("{head}{mark}\r\n\tContent-Type: application/octet-stream\r\n\x02\0\0\0SS{text}")
        };
        for mark in ["--Encrypted Boundary", "-- Encrypted Boundary"] {
            let inner = format!("a {mark}\r\n b");
            let body = [piece(mark, &inner), piece(mark, ""), piece(mark, "end"), format!("{mark}--\r\n")].concat();
            let kind = "multipart/x-multi-encrypted;boundary='Encrypted Boundary'";
            assert!(is_sealed(kind));
            let ciphers: Vec<_> = read(kind, body.as_bytes()).unwrap().into_iter().map(|piece| piece.cipher).collect();
            assert_eq!(ciphers, [inner.as_bytes(), b"", b"end"]);
        }
    }
}
