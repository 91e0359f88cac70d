//! Names of Windows that mean the same in every language of it: accounts by SID, audit subcategories by GUID.
//! Settings and imports ask; the device never has to translate.

use rhai::{Dynamic, Engine};
use sha1::{Digest, Sha1};

/// Accounts and groups whose SID is the same everywhere. `*` stands for the machine, or for its domain where a domain has the number.
const ACCOUNTS: [(&str, &str); 48] = [
    ("Everyone", "S-1-1-0"),
    ("CREATOR OWNER", "S-1-3-0"),
    ("NETWORK", "S-1-5-2"),
    ("BATCH", "S-1-5-3"),
    ("INTERACTIVE", "S-1-5-4"),
    ("SERVICE", "S-1-5-6"),
    ("ANONYMOUS LOGON", "S-1-5-7"),
    ("ENTERPRISE DOMAIN CONTROLLERS", "S-1-5-9"),
    ("Authenticated Users", "S-1-5-11"),
    ("RESTRICTED", "S-1-5-12"),
    ("REMOTE INTERACTIVE LOGON", "S-1-5-14"),
    ("This Organization", "S-1-5-15"),
    ("IUSR", "S-1-5-17"),
    ("SYSTEM", "S-1-5-18"),
    ("LOCAL SERVICE", "S-1-5-19"),
    ("NETWORK SERVICE", "S-1-5-20"),
    ("Local account", "S-1-5-113"),
    ("Local account and member of Administrators group", "S-1-5-114"),
    ("Administrators", "S-1-5-32-544"),
    ("Users", "S-1-5-32-545"),
    ("Guests", "S-1-5-32-546"),
    ("Power Users", "S-1-5-32-547"),
    ("Account Operators", "S-1-5-32-548"),
    ("Server Operators", "S-1-5-32-549"),
    ("Print Operators", "S-1-5-32-550"),
    ("Backup Operators", "S-1-5-32-551"),
    ("Replicator", "S-1-5-32-552"),
    ("Pre-Windows 2000 Compatible Access", "S-1-5-32-554"),
    ("Remote Desktop Users", "S-1-5-32-555"),
    ("Network Configuration Operators", "S-1-5-32-556"),
    ("Performance Monitor Users", "S-1-5-32-558"),
    ("Performance Log Users", "S-1-5-32-559"),
    ("Distributed COM Users", "S-1-5-32-562"),
    ("IIS_IUSRS", "S-1-5-32-568"),
    ("Cryptographic Operators", "S-1-5-32-569"),
    ("Event Log Readers", "S-1-5-32-573"),
    ("Hyper-V Administrators", "S-1-5-32-578"),
    ("Remote Management Users", "S-1-5-32-580"),
    ("ALL APPLICATION PACKAGES", "S-1-15-2-1"),
    ("Virtual Machines", "S-1-5-83-0"),
    ("Window Manager Group", "S-1-5-90-0"),
    ("ALL SERVICES", "S-1-5-80-0"),
    ("Administrator", "S-1-5-21-*-500"),
    ("Guest", "S-1-5-21-*-501"),
    ("DefaultAccount", "S-1-5-21-*-503"),
    ("WDAGUtilityAccount", "S-1-5-21-*-504"),
    ("Domain Admins", "S-1-5-21-*-512"),
    ("Enterprise Admins", "S-1-5-21-*-519"),
];

/// The authorities that names of [`ACCOUNTS`] may be written with.
const AUTHORITIES: [&str; 5] = ["BUILTIN", "NT AUTHORITY", "NT VIRTUAL MACHINE", "Window Manager", "APPLICATION PACKAGE AUTHORITY"];

/// Audit subcategories: name and the eight digits in which their GUIDs differ.
const SUBCATEGORIES: [(&str, &str); 59] = [
    ("Security State Change", "0CCE9210"),
    ("Security System Extension", "0CCE9211"),
    ("System Integrity", "0CCE9212"),
    ("IPsec Driver", "0CCE9213"),
    ("Other System Events", "0CCE9214"),
    ("Logon", "0CCE9215"),
    ("Logoff", "0CCE9216"),
    ("Account Lockout", "0CCE9217"),
    ("IPsec Main Mode", "0CCE9218"),
    ("IPsec Quick Mode", "0CCE9219"),
    ("IPsec Extended Mode", "0CCE921A"),
    ("Special Logon", "0CCE921B"),
    ("Other Logon/Logoff Events", "0CCE921C"),
    ("File System", "0CCE921D"),
    ("Registry", "0CCE921E"),
    ("Kernel Object", "0CCE921F"),
    ("SAM", "0CCE9220"),
    ("Certification Services", "0CCE9221"),
    ("Application Generated", "0CCE9222"),
    ("Handle Manipulation", "0CCE9223"),
    ("File Share", "0CCE9224"),
    ("Filtering Platform Packet Drop", "0CCE9225"),
    ("Filtering Platform Connection", "0CCE9226"),
    ("Other Object Access Events", "0CCE9227"),
    ("Sensitive Privilege Use", "0CCE9228"),
    ("Non Sensitive Privilege Use", "0CCE9229"),
    ("Other Privilege Use Events", "0CCE922A"),
    ("Process Creation", "0CCE922B"),
    ("Process Termination", "0CCE922C"),
    ("DPAPI Activity", "0CCE922D"),
    ("RPC Events", "0CCE922E"),
    ("Audit Policy Change", "0CCE922F"),
    ("Authentication Policy Change", "0CCE9230"),
    ("Authorization Policy Change", "0CCE9231"),
    ("MPSSVC Rule-Level Policy Change", "0CCE9232"),
    ("Filtering Platform Policy Change", "0CCE9233"),
    ("Other Policy Change Events", "0CCE9234"),
    ("User Account Management", "0CCE9235"),
    ("Computer Account Management", "0CCE9236"),
    ("Security Group Management", "0CCE9237"),
    ("Distribution Group Management", "0CCE9238"),
    ("Application Group Management", "0CCE9239"),
    ("Other Account Management Events", "0CCE923A"),
    ("Directory Service Access", "0CCE923B"),
    ("Directory Service Changes", "0CCE923C"),
    ("Directory Service Replication", "0CCE923D"),
    ("Detailed Directory Service Replication", "0CCE923E"),
    ("Credential Validation", "0CCE923F"),
    ("Kerberos Service Ticket Operations", "0CCE9240"),
    ("Other Account Logon Events", "0CCE9241"),
    ("Kerberos Authentication Service", "0CCE9242"),
    ("Network Policy Server", "0CCE9243"),
    ("Detailed File Share", "0CCE9244"),
    ("Removable Storage", "0CCE9245"),
    ("Central Policy Staging", "0CCE9246"),
    ("User / Device Claims", "0CCE9247"),
    ("Plug and Play Events", "0CCE9248"),
    ("Group Membership", "0CCE9249"),
    ("Token Right Adjusted Events", "0CCE924A"),
];

/// What follows the eight digits in every one of them.
const SUBCATEGORY_END: &str = "-69AE-11D9-BED3-505054503030";

/// Makes the functions known to the engine.
pub(super) fn register(engine: &mut Engine) {
    let optional = |found: Option<String>| found.map_or(Dynamic::UNIT, Dynamic::from);
    engine.register_fn("account_sid", move |name: &str| optional(account_sid(name)));
    engine.register_fn("account_name", |sid: &str| account_name(sid));
    engine.register_fn("audit_subcategory", move |name: &str| optional(audit_subcategory(name)));
}

/// The SID of an account that is the same everywhere, of a service (`NT SERVICE\Spooler`), or the SID that `name` is itself.
pub fn account_sid(name: &str) -> Option<String> {
    let name = name.trim();
    if name.starts_with("S-1-") {
        return Some(name.to_owned());
    }
    let (authority, account) = name.rsplit_once('\\').unwrap_or(("", name));
    if authority.eq_ignore_ascii_case("NT SERVICE") && !account.eq_ignore_ascii_case("ALL SERVICES") {
        return service_sid(account);
    }
    if !authority.is_empty()
        && !authority.eq_ignore_ascii_case("NT SERVICE")
        && !AUTHORITIES.iter().any(|a| a.eq_ignore_ascii_case(authority))
    {
        return None;
    }
    ACCOUNTS.iter().find(|(known, _)| known.eq_ignore_ascii_case(account)).map(|(_, sid)| (*sid).to_owned())
}

/// What a SID is called, where it is the same everywhere; else the SID.
pub fn account_name(sid: &str) -> String {
    let same = |known: &str| match known.split_once('*') {
        Some((start, end)) => sid == known || sid.starts_with(start) && sid.ends_with(end),
        None => sid == known,
    };
    ACCOUNTS.iter().find(|(_, known)| same(known)).map_or_else(|| sid.to_owned(), |(name, _)| (*name).to_owned())
}

/// The SID of a service: its name in capital letters, hashed.
fn service_sid(service: &str) -> Option<String> {
    if service.is_empty() || service.len() > 256 {
        return None;
    }
    let bytes: Vec<u8> = service.to_uppercase().encode_utf16().flat_map(u16::to_le_bytes).collect();
    let digest = Sha1::digest(&bytes);
    let parts = digest.chunks(4).map(|part| part.iter().rev().fold(0_u32, |n, byte| n << 8 | u32::from(*byte)).to_string());
    Some(format!("S-1-5-80-{}", parts.collect::<Vec<_>>().join("-")))
}

/// The GUID of an audit subcategory, in capital letters and without braces.
pub fn audit_subcategory(name: &str) -> Option<String> {
    let found = SUBCATEGORIES.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
    found.map(|(_, digits)| format!("{digits}{SUBCATEGORY_END}"))
}

/// The subcategory that a GUID belongs to.
pub fn audit_subcategory_name(id: &str) -> Option<&'static str> {
    let id = id.trim_matches(['{', '}']).to_ascii_uppercase();
    let digits = id.strip_suffix(SUBCATEGORY_END)?;
    SUBCATEGORIES.iter().find(|(_, known)| *known == digits).map(|(name, _)| *name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accounts_are_the_same_with_and_without_their_authority() {
        for (name, sid) in [
            ("BUILTIN\\Administrators", "S-1-5-32-544"),
            ("administrators", "S-1-5-32-544"),
            ("NT AUTHORITY\\LOCAL SERVICE", "S-1-5-19"),
            ("Window Manager\\Window Manager Group", "S-1-5-90-0"),
            ("S-1-5-32-999", "S-1-5-32-999"),
            ("Domain Admins", "S-1-5-21-*-512"),
            ("NT SERVICE\\ALL SERVICES", "S-1-5-80-0"),
        ] {
            assert_eq!(account_sid(name).as_deref(), Some(sid), "{name}");
        }
        assert_eq!(account_sid("CONTOSO\\Administrators"), None);
        assert_eq!(account_sid("NT AUTHORITY\\EXCHANGE SERVERS"), None);
        assert_eq!(account_name("S-1-5-21-1-2-3-501"), "Guest");
        assert_eq!(account_name("S-1-5-21-1-2-3-1001"), "S-1-5-21-1-2-3-1001");
    }

    /// The published SIDs of these services.
    #[test]
    fn the_sid_of_a_service_follows_from_its_name() {
        assert_eq!(
            account_sid("NT SERVICE\\TrustedInstaller").as_deref(),
            Some("S-1-5-80-956008885-3418522649-1831038044-1853292631-2271478464")
        );
        assert_eq!(
            account_sid("NT SERVICE\\WdiServiceHost").as_deref(),
            Some("S-1-5-80-3139157870-2983391045-3678747466-658725712-1809340420")
        );
    }

    #[test]
    fn every_subcategory_has_its_own_guid() {
        let ids: std::collections::BTreeSet<_> = SUBCATEGORIES.iter().map(|(name, _)| audit_subcategory(name)).collect();
        assert_eq!(ids.len(), SUBCATEGORIES.len());
        assert_eq!(audit_subcategory("process creation").as_deref(), Some("0CCE922B-69AE-11D9-BED3-505054503030"));
        assert_eq!(audit_subcategory_name("{0cce922b-69ae-11d9-bed3-505054503030}"), Some("Process Creation"));
        assert_eq!(audit_subcategory_name("0CCE922B"), None);
    }
}
