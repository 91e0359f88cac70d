//! Faults of WS-Management: an answer that says why not, with a number that means the same in every language.

use super::answer::Element;
use crate::transport::TransportError;

/// Nothing happened within the time that the request allowed: ask again.
pub(super) const NOTHING_YET: u32 = 2_150_858_793;
/// The shell is not there: it was idle for too long, or the endpoint was started anew.
const NO_SHELL: u32 = 2_150_858_843;
/// What waited was given up by the endpoint: because the shell or the service was ended.
const ABORTED: u32 = 995;
/// A key of the registry is marked for deletion: the profile of the user is no longer loaded.
const NO_PROFILE: u32 = 2_147_943_418;

/// What a fault says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Fault {
    /// The number of WinRM or of Windows; 0 where there is none.
    pub(super) code: u32,
    /// Such as `w:AccessDenied`, without the prefix.
    pub(super) subcode: String,
    /// In the endpoint's words and language.
    pub(super) words: String,
}

impl Fault {
    /// The fault in an answer, where there is one.
    pub(super) fn of(root: &Element) -> Option<Self> {
        let body = root.find("Body")?;
        let fault = body.children.iter().find(|child| child.name == "Fault")?;
        let detail = fault.find("WSManFault");
        let number = |text: &str| {
            let text = text.trim();
            let number = match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
                Some(digits) => i64::from_str_radix(digits, 16),
                None => text.parse::<i64>(),
            };
            number.ok().and_then(|n| u32::try_from(n & 0xffff_ffff).ok())
        };
        let provider = || fault.find("MSFT_WmiError").and_then(|error| error.find("error_Code")).and_then(|code| number(&code.text));
        let code = detail.and_then(|found| number(found.attribute("Code")?)).or_else(provider).unwrap_or(0);
        let subcode = fault.find("Subcode").and_then(|found| found.find("Value")).map(|value| {
            let text = value.text.trim();
            text.rsplit_once(':').map_or(text, |(_, name)| name).to_owned()
        });
        let reason = fault.find("Reason").map(Element::words).filter(|text| !text.is_empty());
        let message = detail.and_then(|found| found.find("Message")).map(Element::words).filter(|text| !text.is_empty());
        let words: String = message.or(reason).unwrap_or_else(|| "it gives no reason".into()).chars().take(600).collect();
        Some(Self { code, subcode: subcode.unwrap_or_default(), words: words.replace(|c: char| c.is_control(), " ") })
    }

    pub(super) fn is_nothing_yet(&self) -> bool {
        self.code == NOTHING_YET || self.subcode == "TimedOut"
    }

    pub(super) fn is_no_shell(&self) -> bool {
        self.code == NO_SHELL || (self.code == 0 && self.subcode == "InvalidSelectors")
    }

    /// Whether the shell was ended while something ran in it, by the service or by somebody there.
    pub(super) fn ended_shell(&self) -> bool {
        self.is_no_shell() || self.code == ABORTED
    }

    /// As many shells, operations, users or processes as the endpoint's quotas allow.
    fn is_quota(&self) -> bool {
        let numbered = matches!(self.code, 2_150_858_815 | 2_150_859_173..=2_150_859_176 | 2_150_859_179 | 2_150_859_236..=2_150_859_242);
        numbered || self.subcode == "QuotaLimit"
    }

    /// Whether a shell that has served for some time is of no more use: as many operations are under way as are allowed, of which Windows
    /// counts those of a shell until the shell is gone, also those that have ended; or its user's part of the registry was put away.
    pub(super) fn is_used_up(&self) -> bool {
        self.code == NO_PROFILE || matches!(self.code, 2_150_859_174 | 2_150_859_239..=2_150_859_241)
    }

    /// In words, with the number.
    pub(super) fn told(&self) -> String {
        match self.code {
            0 => self.words.clone(),
            code if code >= 0x8000_0000 => format!("{} (0x{code:08X})", self.words),
            code => format!("{} ({code})", self.words),
        }
    }

    /// Whether input did not arrive though the command may still wait for it. Other faults say that nobody reads it any more.
    pub(super) fn keeps_input(&self) -> bool {
        let named = matches!(self.subcode.as_str(), "TimedOut" | "EncodingLimit" | "AccessDenied");
        named || self.code == NOTHING_YET || self.is_quota()
    }

    /// Whether what was to be ended may still be there. Other faults say that it is gone.
    pub(super) fn keeps_shell(&self) -> bool {
        self.keeps_input() || self.subcode == "Concurrency"
    }

    /// As an error for people.
    pub(super) fn into_error(self, address: &str) -> TransportError {
        let address = address.to_owned();
        if self.is_quota() {
            return TransportError::Quota { address, reason: self.words };
        }
        TransportError::Fault { address, code: self.code, subcode: self.subcode, reason: self.words }
    }
}

#[cfg(test)]
mod tests {
    use super::super::answer::parse;
    use super::*;

    fn fault(code: &str, subcode: &str, message: &str) -> Fault {
        let text = format!(
            "<s:Envelope xmlns:s='s'><s:Header/><s:Body><s:Fault><s:Code><s:Value>s:Receiver</s:Value><s:Subcode><s:Value>{subcode}</s:Value>\
             </s:Subcode></s:Code><s:Reason><s:Text xml:lang='de-DE'>Grund</s:Text></s:Reason><s:Detail>\
             <f:WSManFault xmlns:f='f' Code='{code}' Machine='ws-1'><f:Message>{message}</f:Message></f:WSManFault></s:Detail></s:Fault>\
             </s:Body></s:Envelope>"
        );
        Fault::of(&parse(text.as_bytes()).unwrap()).unwrap()
    }

    #[test]
    fn the_number_decides_in_every_language() {
        assert!(fault("2150858793", "w:TimedOut", "Zeit").is_nothing_yet());
        assert!(fault("2150858843", "w:InvalidSelectors", "weg").is_no_shell());
        assert!(!fault("5", "w:AccessDenied", "nein").is_no_shell());
        let quota = fault("2150859173", "w:QuotaLimit", "zu viele").into_error("ws-1:5985");
        assert_eq!(quota, TransportError::Quota { address: "ws-1:5985".into(), reason: "zu viele".into() });
        let denied = fault("5", "w:AccessDenied", "Zugriff <f:ProviderFault>verweigert</f:ProviderFault>").into_error("ws-1:5985");
        let reason = "Zugriff verweigert".to_owned();
        assert_eq!(denied, TransportError::Fault { address: "ws-1:5985".into(), code: 5, subcode: "AccessDenied".into(), reason });
    }

    #[test]
    fn a_quota_is_told_apart_from_what_is_forbidden() {
        for code in ["2150858815", "2150859173", "2150859174", "2150859175", "2150859176", "2150859179", "2150859236", "2150859242"] {
            assert!(fault(code, "w:InternalError", "x").is_quota(), "{code}");
        }
        // Another user's shell, another place, and shells that are forbidden: nothing of it passes by waiting.
        for code in ["2150859172", "2150859177", "2150859178", "2150859180", "2150859235", "2150859243", "5", "0"] {
            assert!(!fault(code, "w:AccessDenied", "x").is_quota(), "{code}");
        }
        assert!(fault("2150859174", "", "x").is_used_up() && fault("2150859241", "", "x").is_used_up());
        assert!(fault("2147943418", "", "x").is_used_up() && !fault("2147943418", "", "x").is_quota());
        assert!(!fault("2150859173", "w:QuotaLimit", "x").is_used_up(), "another shell would be refused too");
    }

    #[test]
    fn input_that_did_not_arrive_is_told_apart_from_input_that_nobody_reads() {
        assert!(fault("2150858793", "", "x").keeps_input() && fault("5", "w:AccessDenied", "x").keeps_input());
        assert!(fault("2150859173", "", "x").keeps_input() && fault("0", "w:EncodingLimit", "x").keeps_input());
        assert!(!fault("232", "w:InternalError", "x").keeps_input() && !fault("2150858847", "w:InvalidParameter", "x").keeps_input());
    }

    #[test]
    fn a_fault_without_details_says_its_reason_and_an_answer_is_no_fault() {
        let text = "<Envelope><Body><Fault><Code><Value>s:Sender</Value></Code><Reason><Text>No.</Text></Reason></Fault></Body></Envelope>";
        let found = Fault::of(&parse(text.as_bytes()).unwrap()).unwrap();
        assert_eq!((found.code, found.words.as_str()), (0, "No."));
        assert_eq!(Fault::of(&parse(b"<Envelope><Body><Fine/></Body></Envelope>").unwrap()), None);
        assert_eq!(fault("-2144108503", "", "x").code, 2_150_858_793);
        assert_eq!(fault("0x80338029", "", "x").code, 2_150_858_793);
    }
}
