//! The key that signs jobs: ECDSA over P-256 with SHA-256, which Windows verifies without anything to install.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use secrecy::{ExposeSecret, SecretString};

/// A private key.
pub struct SigningKey {
    pair: EcdsaKeyPair,
    random: SystemRandom,
}

impl SigningKey {
    /// A new key, in the form that [`SigningKey::read`] reads: PKCS#8 in base64.
    pub fn generate() -> Result<SecretString, String> {
        let document = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new());
        document.map(|document| STANDARD.encode(document.as_ref()).into()).map_err(|_| "no random numbers are to be had".into())
    }

    /// Reads a key.
    pub fn read(text: &SecretString) -> Result<Self, String> {
        let random = SystemRandom::new();
        let bytes = STANDARD.decode(text.expose_secret().trim()).map_err(|_| "it is not base64".to_owned())?;
        let bytes = secrecy::zeroize::Zeroizing::new(bytes);
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &bytes, &random);
        Ok(Self { pair: pair.map_err(|error| format!("it is not a key for ECDSA over P-256: {error}"))?, random })
    }

    /// The public key: X and Y, 32 bytes each, in base64.
    pub fn public(&self) -> String {
        // The first byte says that both follow.
        STANDARD.encode(self.pair.public_key().as_ref().get(1..).unwrap_or_default())
    }

    /// R and S, 32 bytes each, in base64.
    pub(super) fn sign(&self, bytes: &[u8]) -> Result<String, String> {
        let signature = self.pair.sign(&self.random, bytes).map_err(|_| "no random numbers are to be had".to_owned())?;
        Ok(STANDARD.encode(signature.as_ref()))
    }
}
