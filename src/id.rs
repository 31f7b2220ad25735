//! Identifiers and secrets, drawn from the operating system's random source.
//!
//! Ids stay unique across nodes without asking anybody: 80 random bits. Short codes are for QR
//! pictures, where every character costs modules.

use std::fmt::Write;

/// Crockford's base 32 in lower case: no `i l o u`, so that nobody misreads a code.
const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

fn random_text(length: usize) -> String {
    let mut bytes = vec![0_u8; length];
    getrandom::fill(&mut bytes).expect("the operating system has a random source");
    bytes.iter().map(|byte| char::from(ALPHABET[usize::from(byte & 31)])).collect()
}

/// An id with `prefix`, such as `air_4h7…`.
pub fn new(prefix: &str) -> String {
    format!("{prefix}_{}", random_text(16))
}

/// A code for `/go/{code}`: 40 random bits, short enough for a coarse QR.
pub fn short_code() -> String {
    random_text(8)
}

/// A secret of 160 random bits.
pub fn secret() -> String {
    random_text(32)
}

/// Random bytes in hexadecimal, for salts and challenges.
pub fn nonce() -> String {
    let mut bytes = [0_u8; 16];
    getrandom::fill(&mut bytes).expect("the operating system has a random source");
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// SHA-256 of a secret. Ours have 160 random bits, so nothing slower is needed to keep them.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct Digest(pub [u8; 32]);

/// Never by accident in a log.
impl std::fmt::Debug for Digest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Digest(hidden)")
    }
}

/// A secret's digest.
pub fn digest(secret: impl AsRef<[u8]>) -> Digest {
    use sha2::Digest as _;
    Digest(sha2::Sha256::digest(secret.as_ref()).into())
}

/// Compares two digests in a time that does not depend on where they differ.
pub fn digests_match(a: &Digest, b: &Digest) -> bool {
    a.0.iter().zip(b.0.iter()).fold(0, |difference, (x, y)| difference | (x ^ y)) == 0
}

/// Compares two secrets in a time that does not depend on where they differ.
pub fn secrets_match(a: &str, b: &str) -> bool {
    // Digests have one length, so the length of the right secret does not show either.
    digests_match(&digest(a), &digest(b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_do_not_repeat() {
        let ids: std::collections::HashSet<_> = (0..1000).map(|_| new("x")).collect();
        assert_eq!(ids.len(), 1000);
    }

    #[test]
    fn secrets_match_only_themselves() {
        assert!(secrets_match("abc", "abc"));
        assert!(!secrets_match("abc", "abd"));
        assert!(!secrets_match("abc", "ab"));
    }
}
