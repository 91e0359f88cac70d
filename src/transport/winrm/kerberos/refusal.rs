//! What a key distribution centre or a device says when it refuses (`KRB-ERROR`, RFC 4120, 5.9.1), for people.

use sspi::{Error, ErrorKind};

use super::der;

/// Longest text of the other side that is shown.
const MOST_TEXT: usize = 200;

/// The error in a message; `None` where it is another message. `server` is what was asked for.
pub(super) fn read(message: &[u8], server: &str) -> Option<Error> {
    let fields = der::fields_of(30, message)?;
    let code = der::find(fields, 6).and_then(der::as_integer)?;
    let (kind, words) = match code {
        6 => (ErrorKind::UnknownCredentials, "the user is not known there".into()),
        7 => {
            let advice = "the address has to be the name under which the device is in the domain";
            (ErrorKind::UnknownCredentials, format!("{server} is not known there: {advice}"))
        }
        14 => (ErrorKind::UnknownCredentials, format!("no support for encryption type: {server} knows no AES")),
        18 => (ErrorKind::LogonDenied, "the account is disabled, locked or expired (revoked)".into()),
        20 => (ErrorKind::LogonDenied, "the ticket was revoked: run kinit".into()),
        32 => (ErrorKind::NoCredentials, "the ticket has expired: run kinit".into()),
        33 => (ErrorKind::TimeSkew, "the ticket is not valid yet: the clocks differ by too much".into()),
        37 => {
            let clock = der::find(fields, 4).and_then(der::as_time);
            let clock = clock.map_or_else(String::new, |clock| format!("; there it is {}", clock.format("%Y-%m-%d %H:%M:%S UTC")));
            (ErrorKind::TimeSkew, format!("the clocks differ by too much{clock}"))
        }
        31 | 35 | 41 | 44 | 45 => {
            let advice = "the name may belong to another account, or the ticket is from before its password was changed: run kinit";
            (ErrorKind::LogonDenied, format!("the ticket for {server} cannot be opened there: {advice}"))
        }
        68 => (ErrorKind::UnknownCredentials, "the user is of another realm".into()),
        _ => (ErrorKind::LogonDenied, format!("error {code} of Kerberos")),
    };
    let text = der::find(fields, 11).and_then(der::as_text).unwrap_or_default();
    let text: String = text.chars().filter(|c| !c.is_control()).take(MOST_TEXT).collect();
    Some(Error::new(kind, if text.is_empty() { words } else { format!("{words} ({text})") }))
}

#[cfg(test)]
mod tests {
    use super::super::der::{field, integer, message, text, time};
    use super::*;

    fn error(code: u32, more: &str) -> Vec<u8> {
        let now = chrono::DateTime::from_timestamp(1_800_000_000, 0).unwrap();
        // With the fraction of a second that some servers give back.
        let fields =
            [(0, integer(5)), (1, integer(30)), (3, integer(7)), (4, time(now)), (5, integer(0)), (6, integer(code)), (11, text(more))];
        message(30, &fields.map(|(number, value)| field(number, &value)))
    }

    #[test]
    fn a_refusal_says_what_to_do() {
        let said = |code, more| read(&error(code, more), "HTTP/ws-1").unwrap();
        assert_eq!(said(32, "").description, "the ticket has expired: run kinit");
        assert_eq!(said(37, "").description, "the clocks differ by too much; there it is 2027-01-15 08:00:00 UTC");
        assert_eq!(said(37, "").error_type, ErrorKind::TimeSkew);
        assert!(said(7, "UNKNOWN_SERVER").description.starts_with("HTTP/ws-1 is not known there: "));
        assert_eq!(said(60, "a\u{1b}[2J\nb").description, "error 60 of Kerberos (a[2Jb)");
        assert!(read(&message(15, &[field(6, &integer(32))]), "").is_none());
        let whole = error(37, "text");
        for cut in 0..whole.len() {
            assert!(read(&whole[..cut], "").is_none());
        }
    }
}
