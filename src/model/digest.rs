//! 128-bit digests (XXH3). They tell equal from changed; they are not cryptographic.

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::{xxh3_64, xxh3_128_with_seed};

/// A digest of bytes, under a seed that stands for what the bytes were read with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Digest(pub u128);

impl Digest {
    pub fn of(seed: u64, bytes: &[u8]) -> Self {
        Self(xxh3_128_with_seed(bytes, seed))
    }

    /// A seed from the parts that, when changed, must make every digest differ.
    pub fn seed(parts: &[&[u8]]) -> u64 {
        let mut joined = Vec::new();
        for part in parts {
            joined.extend_from_slice(&(part.len() as u64).to_le_bytes());
            joined.extend_from_slice(part);
        }
        xxh3_64(&joined)
    }
}
