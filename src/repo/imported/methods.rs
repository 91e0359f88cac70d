//! What the methods of a HardeningKitty list mean in our settings; those of the registry are in `registry.rs`.

use serde_json::{Value, json};

use super::hardeningkitty::Row;
use super::{Control, registry};
use crate::script::{account_sid, audit_subcategory_name};

type Controls = Result<Vec<Control>, String>;

/// Names of features that lists write in another case than Windows.
const FEATURES: [&str; 7] = [
    "SMB1Protocol",
    "SMB1Protocol-Client",
    "SMB1Protocol-Server",
    "MicrosoftWindowsPowerShellV2",
    "MicrosoftWindowsPowerShellV2Root",
    "TelnetClient",
    "Internet-Explorer-Optional-amd64",
];

/// Where tasks stand that lists name without their folder.
const TASKS: [(&str, &str); 2] = [
    ("XblGameSaveTask", "\\Microsoft\\XblGameSave\\XblGameSaveTask"),
    ("XblGameSaveTaskLogon", "\\Microsoft\\XblGameSave\\XblGameSaveTaskLogon"),
];

/// What a line asks for.
pub(super) fn controls(row: &Row) -> Controls {
    match row.method.as_str() {
        "Registry" => registry::value(row),
        "RegistryList" => registry::list(row),
        "accesschk" => user_right(row),
        "auditpol" => audit(row),
        "accountpolicy" => account_policy(row),
        "secedit" => security_option(row),
        "localaccount" => local_account(row),
        "service" => service(row),
        "WindowsOptionalFeature" => feature(row),
        "ScheduledTask" => task(row),
        "FirewallRule" => firewall_rule(row),
        "CimInstance" => cim(row),
        "BitLockerVolume" => bitlocker(row),
        "MpComputerStatus" => defender_status(row),
        "MpPreference" => defender(row, false),
        "MpPreferenceExclusion" => defender(row, true),
        "MpPreferenceAsr" => attack_surface(row),
        "Processmitigation" => mitigation("System", &row.argument, '.', row),
        "ProcessmitigationApplication" => {
            let (program, rest) = row.argument.split_once('/').ok_or("it names no program")?;
            mitigation(program, rest, '/', row)
        }
        "bcdedit" => start_options(row),
        "LanguageMode" => {
            Err("the language mode is decided by application control, which no setting changes; the fact software.powershell tells it"
                .into())
        }
        other => Err(format!("the method '{other}' is not known")),
    }
}

fn equals(row: &Row) -> Result<&str, String> {
    match row.operator.as_str() {
        "=" | "=|0" => Ok(row.recommended.trim()),
        other => Err(format!("the operator '{other}' has no meaning for {}", row.method)),
    }
}

fn number(row: &Row) -> Result<i64, String> {
    row.recommended.trim().parse().map_err(|_| format!("'{}' is not a number", row.recommended))
}

fn user_right(row: &Row) -> Controls {
    let mut accounts = Vec::new();
    for name in row.recommended.split(';').map(str::trim).filter(|name| !name.is_empty()) {
        account_sid(name).ok_or_else(|| format!("'{name}' has no number that is the same everywhere"))?;
        if !accounts.contains(&name) {
            accounts.push(name);
        }
    }
    let value = match row.operator.as_str() {
        "=" => json!(accounts),
        "contains" if !accounts.is_empty() => json!({ "includes": accounts }),
        other => return Err(format!("the operator '{other}' has no meaning for a user right")),
    };
    Ok(vec![Control::keyed("UserRights", &row.argument, value)])
}

fn audit(row: &Row) -> Controls {
    let name =
        audit_subcategory_name(&row.argument).ok_or_else(|| format!("{} is not an audit subcategory that is known", row.argument))?;
    let word = row.recommended.trim();
    let value = match (row.operator.as_str(), word) {
        ("=", "Success" | "Failure" | "Success and Failure" | "No Auditing") => json!(word),
        ("contains", "Success") => json!({ "success": true }),
        ("contains", "Failure") => json!({ "failure": true }),
        ("contains", "Success and Failure") => json!({ "success": true, "failure": true }),
        (operator, word) => return Err(format!("'{operator} {word}' has no meaning for the audit policy")),
    };
    Ok(vec![Control::keyed("AuditPolicy", name, value)])
}

/// Which setting a name of the account policy belongs to, and the operators that ask for what that setting asks for.
fn account_policy(row: &Row) -> Controls {
    const AT_LEAST: [&str; 2] = [">=", "="];
    const AT_MOST: [&str; 3] = ["<=", "<=!0", "="];
    let (setting, operators): (&str, &[&str]) = match row.name.trim() {
        "Minimum password age" => ("PasswordMinAge", &AT_LEAST),
        "Maximum password age" => ("PasswordMaxAge", &AT_MOST),
        "Minimum password length" => ("PasswordMinLength", &AT_LEAST),
        "Length of password history maintained" => ("PasswordHistory", &AT_LEAST),
        "Account lockout threshold" => ("LockoutThreshold", &AT_MOST),
        "Account lockout duration" => ("LockoutDuration", &AT_LEAST),
        "Reset account lockout counter" => ("LockoutWindow", &AT_LEAST),
        "Force user logoff how long after time expires" | "Network security: Force logoff when logon hours expires" => {
            let word = match equals(row)?.to_ascii_lowercase().as_str() {
                "0" => "Enabled",
                "never" => "Disabled",
                other => return Err(format!("connections do not end after '{other}' minutes here")),
            };
            return Ok(vec![Control::new("LogoffWhenHoursExpire", json!(word))]);
        }
        other => return Err(format!("'{other}' is not a part of the account policy that is known")),
    };
    if !operators.contains(&row.operator.as_str()) {
        return Err(format!("the operator '{}' has no meaning for {setting}", row.operator));
    }
    Ok(vec![Control::new(setting, json!(number(row)?))])
}

fn security_option(row: &Row) -> Controls {
    let on = match equals(row)? {
        "1" => true,
        "0" => false,
        other => return Err(format!("'{other}' is neither 0 nor 1")),
    };
    let word = |yes: &'static str, no: &'static str| json!(if on { yes } else { no });
    let name = row.argument.rsplit('\\').next().unwrap_or_default();
    Ok(vec![match name {
        "ClearTextPassword" => Control::new("PasswordReversibleEncryption", word("Enabled", "Disabled")),
        "PasswordComplexity" => Control::new("PasswordComplexity", word("Required", "Off")),
        "LSAAnonymousNameLookup" => Control::new("AnonymousNameLookup", word("Enabled", "Disabled")),
        "ForceLogoffWhenHourExpire" => Control::new("LogoffWhenHoursExpire", word("Enabled", "Disabled")),
        "AllowAdministratorLockout" => Control::new("AdministratorLockout", word("Enabled", "Disabled")),
        "EnableGuestAccount" => Control::new("GuestAccount", json!({ "state": word("Enabled", "Disabled") })),
        "EnableAdminAccount" => Control::new("AdministratorAccount", json!({ "state": word("Enabled", "Disabled") })),
        other => return Err(format!("the security option '{other}' has no setting")),
    }])
}

fn local_account(row: &Row) -> Controls {
    let setting = match row.argument.as_str() {
        "500" => "AdministratorAccount",
        "501" => "GuestAccount",
        other => return Err(format!("the account with the number {other} has no setting")),
    };
    let value = if row.name.contains("account status") {
        let on = equals(row)?.eq_ignore_ascii_case("true");
        json!({ "state": if on { "Enabled" } else { "Disabled" } })
    } else if row.operator == "!=" {
        json!({ "notNamed": row.recommended })
    } else {
        json!({ "name": equals(row)? })
    };
    Ok(vec![Control::new(setting, value)])
}

fn service(row: &Row) -> Controls {
    let startup = match equals(row)?.to_ascii_lowercase().as_str() {
        "disabled" => "disabled",
        "manual" => "manual",
        "automatic" => "enabled",
        other => return Err(format!("a service does not start '{other}'")),
    };
    Ok(vec![Control::keyed("Services", &row.argument, json!({ "startup": startup }))])
}

fn feature(row: &Row) -> Controls {
    let name = FEATURES.into_iter().find(|known| known.eq_ignore_ascii_case(&row.argument)).unwrap_or(&row.argument);
    let state = match (row.operator.as_str(), row.recommended.as_str()) {
        ("=" | "contains", "Disabled") => "Disabled",
        ("=" | "contains", "Enabled") => "Enabled",
        (operator, state) => return Err(format!("'{operator} {state}' has no meaning for a feature")),
    };
    Ok(vec![Control::keyed("WindowsFeatures", name, json!(state))])
}

fn task(row: &Row) -> Controls {
    let path = TASKS.into_iter().find(|(name, _)| name.eq_ignore_ascii_case(&row.argument)).map(|(_, path)| path);
    let path = path.ok_or_else(|| format!("the folder of the task '{}' is not known", row.argument))?;
    let state = match equals(row)? {
        "Disabled" => "Disabled",
        "Ready" | "Enabled" => "Enabled",
        other => return Err(format!("a task is not '{other}'")),
    };
    Ok(vec![Control::keyed("ScheduledTasks", path, json!(state))])
}

/// `Any|Inbound|Block|TCP|137,138,139||`: profile, direction, action, protocol, ports, program, service.
fn firewall_rule(row: &Row) -> Controls {
    if !equals(row)?.eq_ignore_ascii_case("true") {
        return Ok(vec![Control::keyed("FirewallRules", &row.name, json!("Disabled"))]);
    }
    let parts: Vec<&str> = row.argument.split('|').map(str::trim).collect();
    let [profile, direction, action, protocol, ports, program, ..] = parts[..] else {
        return Err("it does not say what the rule is".into());
    };
    let mut rule = serde_json::Map::new();
    rule.insert("direction".into(), json!(if direction.eq_ignore_ascii_case("outbound") { "out" } else { "in" }));
    rule.insert("action".into(), json!(action.to_ascii_lowercase()));
    if !protocol.is_empty() && !protocol.eq_ignore_ascii_case("any") {
        rule.insert("protocol".into(), json!(protocol.to_ascii_lowercase()));
    }
    if !ports.is_empty() {
        let ports: Vec<Value> =
            ports.split(',').map(str::trim).map(|port| port.parse::<u16>().map_or_else(|_| json!(port), |n| json!(n))).collect();
        rule.insert("localPorts".into(), json!(ports));
    }
    if !program.is_empty() {
        rule.insert("program".into(), json!(program));
    }
    if !profile.is_empty() && !profile.eq_ignore_ascii_case("any") {
        let names: Vec<String> = profile.split(',').map(|name| name.trim().to_ascii_lowercase()).collect();
        rule.insert("profiles".into(), json!(names));
    }
    Ok(vec![Control::keyed("FirewallRules", &row.name, Value::Object(rule))])
}

fn plain(text: &str) -> Value {
    match (text.parse::<i64>(), text.to_ascii_lowercase().as_str()) {
        (Ok(n), _) => json!(n),
        (_, "true") => json!(true),
        (_, "false") => json!(false),
        _ => json!(text),
    }
}

fn cim(row: &Row) -> Controls {
    let wanted = plain(equals(row)?);
    let key = format!("{}:{}.{}", row.namespace.replace('/', "\\"), row.class_name, row.property);
    Ok(vec![Control::keyed("CimValues", key, json!({ "contains": [wanted] }))])
}

fn bitlocker(row: &Row) -> Controls {
    let wanted = equals(row)?;
    let value = match (row.argument.as_str(), wanted) {
        ("VolumeStatus", "FullyEncrypted") | ("ProtectionStatus", "On") => json!({ "volumes": "system" }),
        ("EncryptionMethod", "XtsAes128") => json!({ "volumes": "system", "method": "xts-aes-128" }),
        ("EncryptionMethod", "XtsAes256") => json!({ "volumes": "system", "method": "xts-aes-256" }),
        ("EncryptionMethod", "Aes128") => json!({ "volumes": "system", "method": "aes-128" }),
        ("EncryptionMethod", "Aes256") => json!({ "volumes": "system", "method": "aes-256" }),
        (what, wanted) => return Err(format!("'{what}' of a volume cannot be '{wanted}' here")),
    };
    Ok(vec![Control::new("BitLocker", value)])
}

fn defender_status(row: &Row) -> Controls {
    let on = equals(row)?.eq_ignore_ascii_case("true");
    match row.argument.as_str() {
        "IsTamperProtected" => Ok(vec![Control::new("Antivirus", json!({ "tamperProtection": on }))]),
        "RealTimeProtectionEnabled" => Ok(vec![Control::new("Antivirus", json!({ "realTime": on }))]),
        other => Err(format!("'{other}' of Defender has no setting")),
    }
}

/// A preference; an exclusion is a list, with semicolons.
fn defender(row: &Row, list: bool) -> Controls {
    let wanted = equals(row)?;
    let value = if list { wanted.split(';').map(str::trim).filter(|part| !part.is_empty()).collect() } else { plain(wanted) };
    Ok(vec![Control::keyed("DefenderPreferences", &row.argument, value)])
}

fn attack_surface(row: &Row) -> Controls {
    let word = match equals(row)? {
        "0" | "5" => "Disabled",
        "1" => "Block",
        "2" => "Audit",
        "6" => "Warn",
        other => return Err(format!("a rule is not set to '{other}'")),
    };
    Ok(vec![Control::keyed("AttackSurfaceReduction", row.argument.to_ascii_lowercase(), json!(word))])
}

fn mitigation(program: &str, member: &str, separator: char, row: &Row) -> Controls {
    let (group, name) = member.split_once(separator).ok_or("it names no mitigation")?;
    let value = match equals(row)?.to_ascii_uppercase().as_str() {
        "ON" => json!("ON"),
        "OFF" => json!("OFF"),
        "NOTSET" => json!("NOTSET"),
        "TRUE" => json!(true),
        "FALSE" => json!(false),
        other => return Err(format!("a mitigation is not '{other}'")),
    };
    Ok(vec![Control::keyed("ProcessMitigations", program, json!({ format!("{group}.{name}"): value }))])
}

fn start_options(row: &Row) -> Controls {
    match (row.argument.as_str(), equals(row)?) {
        ("nx", word @ ("AlwaysOn" | "OptOut" | "OptIn")) => Ok(vec![Control::new("DataExecutionPrevention", json!(word))]),
        (name, value) => Err(format!("the option '{name} {value}' of the start has no setting")),
    }
}
