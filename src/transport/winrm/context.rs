//! Sign-ins that agree on keys: NTLM and Kerberos, step by step, and what is sealed with their keys.

use secrecy::{ExposeSecret as _, SecretString};
use sspi::generator::GeneratorState;
use sspi::{
    AuthIdentity, AuthIdentityBuffers, BufferType, ClientRequestFlags, CredentialUse, Credentials, CredentialsBuffers, DataRepresentation,
    EncryptionFlags, Error, KerberosConfig, KeytabIdentity, Negotiate, NegotiateConfig, Ntlm, SecurityBuffer, SecurityBufferRef,
    SecurityStatus, Sspi, SspiImpl as _, Username,
};

use super::kdc;
use super::kerberos::{Credential, Exchange};
use super::keytab::Key;
use super::seal::Sealed;
use crate::time::{Clock as _, SystemClock};

/// How this machine is called where a name has to be given.
const WORKSTATION: &str = "rmm";

/// Bytes of a signature of NTLM.
const NTLM_SIGNATURE: usize = 16;
/// Bytes of the head of a message that Kerberos sealed. The head stands at the end of what is sealed once more.
const WRAP_HEAD: usize = 16;
/// Bytes by which such a message is turned, beside its filler: the second head and the checksum.
const WRAP_TURN: usize = 28;
/// The flag that says that such a message is sealed, and not only signed.
const WRAP_SEALED: u8 = 2;

/// Both sides prove who they are, and agree on keys to seal messages with.
const WANTED: ClientRequestFlags = ClientRequestFlags::MUTUAL_AUTH
    .union(ClientRequestFlags::CONFIDENTIALITY)
    .union(ClientRequestFlags::INTEGRITY)
    .union(ClientRequestFlags::SEQUENCE_DETECT)
    .union(ClientRequestFlags::REPLAY_DETECT);

/// A sign-in under way, and afterwards its keys.
pub(super) struct Context {
    kind: Kind,
    /// `HTTP/host`
    service: String,
    binding: Option<Vec<u8>>,
}

enum Kind {
    Ntlm(Box<Ntlm>, Option<AuthIdentityBuffers>),
    Kerberos(Box<Negotiate>, Option<CredentialsBuffers>),
    Ticket(Exchange),
}

/// What comes next.
pub(super) struct Step {
    /// To be sent; empty where nothing is.
    pub(super) token: Vec<u8>,
    /// This side needs no further answer.
    pub(super) done: bool,
}

impl Context {
    /// NTLM with a password. `binding` stands for the TLS channel.
    pub(super) fn ntlm(user: &str, password: &SecretString, service: String, binding: Option<Vec<u8>>) -> Result<Self, Error> {
        let mut ntlm = Ntlm::new();
        if let Some(token) = &binding {
            ntlm.set_channel_bindings(token);
        }
        let identity = AuthIdentity { username: name(Username::parse(user))?, password: password.expose_secret().to_owned().into() };
        let acquired = ntlm.acquire_credentials_handle().with_credential_use(CredentialUse::Outbound).with_auth_data(&identity);
        let credentials = acquired.execute(&mut ntlm)?.credentials_handle;
        Ok(Self { kind: Kind::Ntlm(Box::new(ntlm), credentials), service, binding: None })
    }

    /// Kerberos with a password or the key of a keytab. `kdc` is `tcp://host:port`.
    pub(super) fn kerberos(who: Principal<'_>, kdc: &str, service: String, binding: Option<Vec<u8>>) -> Result<Self, Error> {
        let config = KerberosConfig::new_with_kdc_url(kdc, WORKSTATION.into());
        let config = NegotiateConfig::new(Box::new(config), Some("kerberos,!ntlm,!pku2u".into()), WORKSTATION.into());
        let mut negotiate = Negotiate::new_client(config)?;
        let credentials: Credentials = match who {
            Principal::Password { user, realm, password } => {
                let username = match realm {
                    Some(realm) => Username::new_down_level_logon_name(account(user), realm),
                    None => Username::parse(user),
                };
                AuthIdentity { username: name(username)?, password: password.expose_secret().to_owned().into() }.into()
            }
            Principal::Keytab(key) => {
                let principal = name(Username::new_down_level_logon_name(&key.account, &key.realm))?;
                let kind = usize::from(key.kind).try_into();
                let key_enctype = kind.map_err(|_| Error::new(sspi::ErrorKind::NoCredentials, "the keytab's key is of an unknown kind"))?;
                KeytabIdentity { principal, key: key.bytes.to_vec().into(), key_enctype }.into()
            }
        };
        let acquired = negotiate.acquire_credentials_handle().with_credential_use(CredentialUse::Outbound).with_auth_data(&credentials);
        let credentials = acquired.execute(&mut negotiate)?.credentials_handle;
        Ok(Self { kind: Kind::Kerberos(Box::new(negotiate), credentials), service, binding })
    }

    /// Kerberos with a ticket for the device.
    pub(super) fn ticket(ticket: Credential, service: String, binding: Option<Vec<u8>>) -> Self {
        Self { kind: Kind::Ticket(Exchange::new(ticket, binding)), service, binding: None }
    }

    /// Takes the other side's token, empty at the beginning, and gives the next.
    pub(super) async fn step(&mut self, token: Vec<u8>) -> Result<Step, Error> {
        let mut input = vec![SecurityBuffer::new(token, BufferType::Token)];
        if let Some(binding) = &self.binding {
            input.push(SecurityBuffer::new(channel_bindings(binding), BufferType::ChannelBindings));
        }
        let mut output = vec![SecurityBuffer::new(Vec::new(), BufferType::Token)];
        let result = match &mut self.kind {
            Kind::Ticket(exchange) => {
                let next = exchange.step(&input[0].buffer, SystemClock.now())?;
                return Ok(Step { done: next.is_none(), token: next.unwrap_or_default() });
            }
            Kind::Ntlm(ntlm, credentials) => {
                let mut builder = ntlm
                    .initialize_security_context()
                    .with_credentials_handle(credentials)
                    .with_context_requirements(WANTED)
                    .with_target_data_representation(DataRepresentation::Native)
                    .with_target_name(&self.service)
                    .with_input(&mut input)
                    .with_output(&mut output);
                ntlm.initialize_security_context_impl(&mut builder)?.resolve_to_result()?
            }
            Kind::Kerberos(negotiate, credentials) => {
                let mut builder = negotiate
                    .initialize_security_context()
                    .with_credentials_handle(credentials)
                    .with_context_requirements(WANTED)
                    .with_target_data_representation(DataRepresentation::Native)
                    .with_target_name(&self.service)
                    .with_input(&mut input)
                    .with_output(&mut output);
                let mut generator = negotiate.initialize_security_context_impl(&mut builder)?;
                let mut state = generator.start();
                loop {
                    match state {
                        GeneratorState::Suspended(request) => state = generator.resume(kdc::ask(&request).await),
                        GeneratorState::Completed(result) => break result?,
                    }
                }
            }
        };
        let token = output.swap_remove(0).buffer;
        // NTLM is done with its second message; there is no third.
        Ok(Step { token, done: result.status != SecurityStatus::ContinueNeeded })
    }

    /// Whether sealed messages are counted, so that one that comes once more is not opened. The count of Kerberos stands in the head of
    /// what is sealed, which `sspi` takes off and does not give; the one that stands in clear proves nothing.
    pub(super) fn counts(&self) -> bool {
        matches!(self.kind, Kind::Ntlm(..) | Kind::Ticket(_))
    }

    /// Seals a message with the keys that were agreed on.
    pub(super) fn seal(&mut self, text: &[u8]) -> Result<Sealed, Error> {
        match &mut self.kind {
            Kind::Ntlm(ntlm, _) => seal(&mut **ntlm, text),
            Kind::Kerberos(negotiate, _) => seal(&mut **negotiate, text),
            Kind::Ticket(exchange) => exchange.wrap()?.seal(text),
        }
    }

    /// Opens a sealed message; what was changed on the way is refused.
    pub(super) fn open(&mut self, sealed: Sealed) -> Result<Vec<u8>, Error> {
        let length = sealed.length;
        let text = match &mut self.kind {
            Kind::Ntlm(ntlm, _) if is_ntlm(&sealed) => open(&mut **ntlm, sealed)?,
            Kind::Kerberos(negotiate, _) if is_kerberos(&sealed) => open(&mut **negotiate, sealed)?,
            Kind::Ticket(exchange) => exchange.wrap()?.open(&sealed)?,
            _ => return Err(Error::new(sspi::ErrorKind::MessageAltered, "its signature is none of this sign-in")),
        };
        if text.len() == length {
            Ok(text)
        } else {
            Err(Error::new(sspi::ErrorKind::MessageAltered, "the message is not as long as it says"))
        }
    }
}

fn seal(keys: &mut impl Sspi, text: &[u8]) -> Result<Sealed, Error> {
    let mut signature = vec![0; keys.query_context_sizes()?.security_trailer as usize];
    let mut cipher = text.to_vec();
    let mut message = [SecurityBufferRef::token_buf(&mut signature), SecurityBufferRef::data_buf(&mut cipher)];
    keys.encrypt_message(EncryptionFlags::empty(), &mut message)?;
    Ok(Sealed { length: text.len(), signature: message[0].data().to_vec(), cipher: message[1].data().to_vec() })
}

fn open(keys: &mut impl Sspi, mut sealed: Sealed) -> Result<Vec<u8>, Error> {
    let mut message = [SecurityBufferRef::data_buf(&mut sealed.cipher), SecurityBufferRef::token_buf(&mut sealed.signature)];
    keys.decrypt_message(&mut message)?;
    Ok(message[0].data().to_vec())
}

/// Whether a message has the shape of one that NTLM sealed.
fn is_ntlm(sealed: &Sealed) -> bool {
    sealed.signature.len() == NTLM_SIGNATURE
}

/// Whether a message has the shape of one that Kerberos sealed (RFC 4121, 4.2.6.2). It is looked at beforehand: sspi turns the bytes by a
/// number that stands in the message before it knows who wrote it, and panics where there are fewer.
fn is_kerberos(sealed: &Sealed) -> bool {
    let Some(head) = sealed.signature.first_chunk::<WRAP_HEAD>() else { return false };
    let filler = usize::from(u16::from_be_bytes([head[4], head[5]]));
    let length = sealed.signature.len() + sealed.cipher.len();
    head[..2] == [5, 4] && head[2] & WRAP_SEALED != 0 && matches!(filler, 0 | 16) && length >= WRAP_HEAD + WRAP_TURN + filler + WRAP_HEAD
}

/// Who signs in with Kerberos.
pub(super) enum Principal<'a> {
    /// In this realm, or in the one behind the `@` of the user.
    Password {
        user: &'a str,
        realm: Option<&'a str>,
        password: &'a SecretString,
    },
    Keytab(&'a Key),
}

fn name(parsed: Result<Username, impl std::fmt::Display>) -> Result<Username, Error> {
    parsed.map_err(|error| Error::new(sspi::ErrorKind::NoCredentials, format!("the user's name: {error}")))
}

/// The account of `DOMAIN\account` and `account@realm`.
pub(super) fn account(user: &str) -> &str {
    let user = user.rsplit_once('\\').map_or(user, |(_, account)| account);
    user.rsplit_once('@').map_or(user, |(account, _)| account)
}

/// `SEC_CHANNEL_BINDINGS` around a token: its length and place are the last two of eight numbers.
fn channel_bindings(token: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0; 32];
    bytes[24..28].copy_from_slice(&(token.len() as u32).to_le_bytes());
    bytes[28..32].copy_from_slice(&32_u32.to_le_bytes());
    bytes.extend_from_slice(token);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_account_is_what_is_neither_domain_nor_realm() {
        for (user, expected) in [("kim", "kim"), ("EXAMPLE\\kim", "kim"), ("kim@example.com", "kim"), (".\\kim", "kim"), ("a@b@c", "a@b")] {
            assert_eq!(account(user), expected);
        }
    }

    #[test]
    fn only_what_has_the_shape_of_a_sealed_message_is_opened() {
        let sealed = |signature: &[u8], cipher: usize| Sealed { length: 0, signature: signature.to_vec(), cipher: vec![0; cipher] };
        assert!(is_ntlm(&sealed(&[0; 16], 0)));
        assert!(!is_ntlm(&sealed(&[0; 15], 9)) && !is_ntlm(&sealed(&[0; 17], 9)) && !is_ntlm(&sealed(&[], 99)));

        let wrap = |id: u8, flags: u8, filler: u16, length: usize| {
            let mut bytes = vec![5, id, flags, 0xff];
            bytes.extend(filler.to_be_bytes());
            bytes.resize(length, 0);
            bytes
        };
        assert!(is_kerberos(&sealed(&wrap(4, 7, 0, 60), 0)));
        assert!(is_kerberos(&sealed(&wrap(4, 3, 16, 60), 16)));
        assert!(is_kerberos(&sealed(&wrap(4, 3, 0, 16), 44)));
        assert!(!is_kerberos(&sealed(&wrap(4, 7, 0xff00, 60), 40)), "more to turn than there is");
        assert!(!is_kerberos(&sealed(&wrap(4, 7, 0, 59), 0)), "too short");
        assert!(!is_kerberos(&sealed(&wrap(4, 7, 16, 60), 15)), "too short for its filler");
        assert!(!is_kerberos(&sealed(&wrap(4, 5, 0, 60), 9)), "signed only");
        assert!(!is_kerberos(&sealed(&wrap(1, 7, 0, 60), 9)), "of another kind");
        assert!(!is_kerberos(&sealed(&wrap(4, 7, 0, 15), 99)), "no head");
    }

    #[test]
    fn the_binding_is_read_back_by_its_length_and_place() {
        let read = sspi::channel_bindings::ChannelBindings::from_bytes(channel_bindings(b"tls-server-end-point:x")).unwrap();
        assert_eq!(read.application_data, b"tls-server-end-point:x");
    }
}
