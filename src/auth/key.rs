//! The local signing key: an Ed25519 key in a file that only its owner can read.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use bellwether_model::time::{Span, Timestamp};
use ed25519_dalek::SigningKey;
use ed25519_dalek::pkcs8::spki::der::pem::LineEnding;
use ed25519_dalek::pkcs8::{DecodePrivateKey as _, EncodePrivateKey as _, EncodePublicKey as _};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use rand::TryRng as _;

use super::verify::Claims;
use super::{AUDIENCE, LOCAL_ISSUER, ROLES};

/// The longest validity of a local token.
const LONGEST: Span = Span::from_days(30);

/// Why the local key or a token could not be made.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The file cannot be read or written.
    #[error("cannot use the key file {}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Others can read the key.
    #[error("the key file {} can be read by others (mode {mode:o}); run `chmod 600` on it", path.display())]
    Exposed {
        /// The file.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// The file holds no Ed25519 key.
    #[error("the key file {} holds no Ed25519 private key in PKCS#8 PEM form", path.display())]
    NotAKey {
        /// The file.
        path: PathBuf,
    },
    /// There is no such role.
    #[error("there is no role {0:?}; the roles are viewer, operator, admin and org-admin")]
    UnknownRole(String),
    /// The token would live too long.
    #[error("a token may be valid for at most 30 days, not {0}")]
    TooLong(Span),
    /// The operating system gave no randomness.
    #[error("the operating system gave no randomness for a new key")]
    NoRandomness,
    /// The token could not be signed.
    #[error("the token could not be signed")]
    Sign(#[source] jsonwebtoken::errors::Error),
}

fn load(path: &Path) -> Result<SigningKey, KeyError> {
    let file = |source| KeyError::File { path: path.to_owned(), source };
    let mode = fs::metadata(path).map_err(file)?.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(KeyError::Exposed { path: path.to_owned(), mode });
    }
    let pem = fs::read_to_string(path).map_err(file)?;
    SigningKey::from_pkcs8_pem(&pem).map_err(|_| KeyError::NotAKey { path: path.to_owned() })
}

fn load_or_create(path: &Path) -> Result<SigningKey, KeyError> {
    if path.exists() {
        return load(path);
    }
    let mut seed = [0u8; 32];
    rand::rngs::SysRng.try_fill_bytes(&mut seed).map_err(|_| KeyError::NoRandomness)?;
    let key = SigningKey::from_bytes(&seed);
    let pem = key.to_pkcs8_pem(LineEnding::LF).map_err(|_| KeyError::NotAKey { path: path.to_owned() })?;
    let write = || -> std::io::Result<()> {
        if let Some(folder) = path.parent().filter(|p| !p.as_os_str().is_empty()) {
            fs::create_dir_all(folder)?;
        }
        let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
        file.write_all(pem.as_bytes())?;
        file.sync_all()
    };
    write().map_err(|source| KeyError::File { path: path.to_owned(), source })?;
    Ok(key)
}

/// The public half of the local key in PEM form, where the key exists.
///
/// # Errors
/// When the file is there but cannot be read, is readable by others, or holds no Ed25519 key.
pub fn local_public_key(path: &Path) -> Result<Option<String>, KeyError> {
    if !path.exists() {
        return Ok(None);
    }
    let pem = load(path)?.verifying_key().to_public_key_pem(LineEnding::LF);
    pem.map(Some).map_err(|_| KeyError::NotAKey { path: path.to_owned() })
}

/// Signs a token with the local key, which is made when it is not there yet.
///
/// # Errors
/// Unknown role, validity over 30 days, or a key file that cannot be used.
pub fn issue(path: &Path, subject: &str, roles: &[String], ttl: Span, now: Timestamp) -> Result<String, KeyError> {
    if let Some(unknown) = roles.iter().find(|r| !ROLES.contains(&r.as_str())) {
        return Err(KeyError::UnknownRole(unknown.clone()));
    }
    if ttl > LONGEST {
        return Err(KeyError::TooLong(ttl));
    }
    let key = load_or_create(path)?;
    let pem = key.to_pkcs8_pem(LineEnding::LF).map_err(|_| KeyError::NotAKey { path: path.to_owned() })?;
    let claims = Claims {
        iss: LOCAL_ISSUER.to_owned(),
        aud: AUDIENCE.to_owned(),
        sub: subject.to_owned(),
        roles: roles.to_vec(),
        nbf: now.secs(),
        exp: (now + ttl).secs(),
    };
    let signer = EncodingKey::from_ed_pem(pem.as_bytes()).map_err(KeyError::Sign)?;
    jsonwebtoken::encode(&Header::new(Algorithm::EdDSA), &claims, &signer).map_err(KeyError::Sign)
}
