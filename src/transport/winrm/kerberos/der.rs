//! The little of DER (X.690) that the messages of Kerberos and SPNEGO are made of: elements, numbered fields, four kinds of values. Pure.

use chrono::{DateTime, NaiveDateTime, Utc};

pub(super) const BIT_STRING: u8 = 0x03;
pub(super) const INTEGER: u8 = 0x02;
pub(super) const OCTETS: u8 = 0x04;
pub(super) const OBJECT: u8 = 0x06;
pub(super) const ENUMERATED: u8 = 0x0a;
const TIME: u8 = 0x18;
const TEXT: u8 = 0x1b;
pub(super) const SEQUENCE: u8 = 0x30;
/// Of a message: the number of its kind is added.
pub(super) const APPLICATION: u8 = 0x60;
/// Of a field: its number is added.
pub(super) const FIELD: u8 = 0xa0;

/// How times are written (RFC 4120, 5.2.3).
const WRITTEN: &str = "%Y%m%d%H%M%SZ";

pub(super) fn element(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = content.len();
    let digits = length.to_be_bytes();
    let mut bytes = vec![tag];
    if length < 0x80 {
        bytes.push(length as u8);
    } else {
        let digits: Vec<u8> = digits.into_iter().skip_while(|digit| *digit == 0).collect();
        bytes.push(0x80 | digits.len() as u8);
        bytes.extend(digits);
    }
    bytes.extend_from_slice(content);
    bytes
}

/// A sequence of what is written already.
pub(super) fn sequence(parts: &[Vec<u8>]) -> Vec<u8> {
    element(SEQUENCE, &parts.concat())
}

/// A message of Kerberos, of the kind with that number.
pub(super) fn message(kind: u8, parts: &[Vec<u8>]) -> Vec<u8> {
    element(APPLICATION | kind, &sequence(parts))
}

pub(super) fn field(number: u8, value: &[u8]) -> Vec<u8> {
    element(FIELD | number, value)
}

pub(super) fn integer(value: u32) -> Vec<u8> {
    let digits = value.to_be_bytes();
    let zeros = digits.iter().take_while(|digit| **digit == 0).count().min(3);
    // A first bit that is set would make it negative.
    let sign: &[u8] = if digits[zeros] & 0x80 == 0 { &[] } else { &[0] };
    element(INTEGER, &[sign, &digits[zeros..]].concat())
}

/// 32 flags, the first of which is the highest bit (RFC 4120, 5.2.8).
pub(super) fn flags(flags: u32) -> Vec<u8> {
    element(BIT_STRING, &[&[0], flags.to_be_bytes().as_slice()].concat())
}

pub(super) fn text(text: &str) -> Vec<u8> {
    element(TEXT, text.as_bytes())
}

pub(super) fn time(time: DateTime<Utc>) -> Vec<u8> {
    element(TIME, time.format(WRITTEN).to_string().as_bytes())
}

/// The first element: its tag, its content, and what stands behind it.
pub(super) fn first(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&tag, rest) = bytes.split_first()?;
    let (&length, rest) = rest.split_first()?;
    let (length, rest) = if length < 0x80 {
        (usize::from(length), rest)
    } else {
        let (digits, rest) = rest.split_at_checked(usize::from(length & 0x7f))?;
        // None would leave the end open.
        if digits.is_empty() || digits.len() > 4 {
            return None;
        }
        (digits.iter().fold(0, |length, digit| length << 8 | usize::from(*digit)), rest)
    };
    let (content, rest) = rest.split_at_checked(length)?;
    Some((tag, content, rest))
}

/// The content of the one element that there is, which has this tag.
pub(super) fn only(tag: u8, bytes: &[u8]) -> Option<&[u8]> {
    first(bytes).and_then(|(found, content, rest)| (found == tag && rest.is_empty()).then_some(content))
}

/// The fields of a message of the kind with that number.
pub(super) fn fields_of(kind: u8, bytes: &[u8]) -> Option<&[u8]> {
    only(SEQUENCE, only(APPLICATION | kind, bytes)?)
}

/// The value of a field.
pub(super) fn find(mut fields: &[u8], number: u8) -> Option<&[u8]> {
    loop {
        let (tag, content, rest) = first(fields)?;
        if tag == FIELD | number {
            return Some(content);
        }
        fields = rest;
    }
}

/// Any number that has 32 bits, with or without a sign.
pub(super) fn as_integer(value: &[u8]) -> Option<i64> {
    let digits = only(INTEGER, value)?;
    let begin = if digits.first()? & 0x80 == 0 { 0 } else { -1 };
    (digits.len() <= 5).then(|| digits.iter().fold(begin, |number, digit| number << 8 | i64::from(*digit)))
}

pub(super) fn as_octets(value: &[u8]) -> Option<&[u8]> {
    only(OCTETS, value)
}

pub(super) fn as_text(value: &[u8]) -> Option<String> {
    Some(String::from_utf8_lossy(only(TEXT, value)?).into_owned())
}

pub(super) fn as_time(value: &[u8]) -> Option<DateTime<Utc>> {
    let text = std::str::from_utf8(only(TIME, value)?).ok()?;
    NaiveDateTime::parse_from_str(text, WRITTEN).ok().map(|time| time.and_utc())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_written_is_read(number in any::<u32>(), length in 0..70_000_usize, second in 0_i64..4_000_000_000) {
            let bytes = vec![7; length];
            let time = DateTime::from_timestamp(second, 0).unwrap();
            let written = message(14, &[field(0, &integer(number)), field(2, &element(OCTETS, &bytes)), field(11, &super::time(time))]);
            let fields = fields_of(14, &written).unwrap();
            prop_assert_eq!(find(fields, 0).and_then(as_integer), Some(number.into()));
            prop_assert_eq!(find(fields, 2).and_then(as_octets), Some(bytes.as_slice()));
            prop_assert_eq!(find(fields, 11).and_then(as_time), Some(time));
            prop_assert_eq!(find(fields, 1), None);
            prop_assert!(fields_of(14, &written[..written.len() - 1]).is_none());
        }

        #[test]
        fn nothing_that_is_read_makes_it_fall(bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
            let _ = (as_integer(&bytes), as_octets(&bytes), as_text(&bytes), as_time(&bytes), find(&bytes, 0), fields_of(1, &bytes));
        }
    }

    #[test]
    fn numbers_are_written_as_short_as_they_are_and_never_below_zero() {
        for (number, expected) in
            [(0, vec![2, 1, 0]), (127, vec![2, 1, 127]), (128, vec![2, 2, 0, 128]), (u32::MAX, vec![2, 5, 0, 255, 255, 255, 255])]
        {
            assert_eq!(integer(number), expected);
        }
        assert_eq!(as_integer(&[2, 1, 0xff]), Some(-1));
        assert_eq!((as_integer(&[2, 0]), as_integer(&[2, 6, 0, 0, 0, 0, 0, 0])), (None, None));
    }

    #[test]
    fn a_length_without_an_end_or_beyond_all_bytes_is_refused() {
        for bytes in
            [&[0x30, 0x80, 0, 0][..], &[0x30, 0x84, 0xff, 0xff, 0xff, 0xff, 1], &[0x30, 0x89, 1, 1, 1, 1, 1, 1, 1, 1, 1], &[0x30], &[]]
        {
            assert!(first(bytes).is_none(), "{bytes:?}");
        }
    }
}
