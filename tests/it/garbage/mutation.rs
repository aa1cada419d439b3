//! How bytes go wrong.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;

/// One thing that happens to bytes. Places are indices into whatever is there.
#[derive(Debug, Clone)]
pub enum Mutation {
    Flip(Index, u8),
    Set(Index, u8),
    /// Bytes that claim much: the largest numbers of every width.
    Claim(Index, u8),
    Insert(Index, Vec<u8>),
    Remove(Index, u8),
    Repeat(Index, u8),
    Truncate(Index),
    Swap(Index, Index),
}

pub fn mutations() -> impl Strategy<Value = Vec<Mutation>> {
    let at = any::<Index>;
    let mutation = prop_oneof![
        (at(), 0..8u8).prop_map(|(at, bit)| Mutation::Flip(at, bit)),
        (at(), any::<u8>()).prop_map(|(at, byte)| Mutation::Set(at, byte)),
        (at(), 250..=255u8).prop_map(|(at, byte)| Mutation::Claim(at, byte)),
        (at(), vec(any::<u8>(), 1..6)).prop_map(|(at, bytes)| Mutation::Insert(at, bytes)),
        (at(), 1..9u8).prop_map(|(at, count)| Mutation::Remove(at, count)),
        (at(), 1..20u8).prop_map(|(at, count)| Mutation::Repeat(at, count)),
        at().prop_map(Mutation::Truncate),
        (at(), at()).prop_map(|(a, b)| Mutation::Swap(a, b)),
    ];
    vec(mutation, 1..5)
}

pub fn mutated(bytes: &[u8], mutations: &[Mutation]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for mutation in mutations {
        if bytes.is_empty() {
            break;
        }
        let length = bytes.len();
        match mutation {
            Mutation::Flip(at, bit) => bytes[at.index(length)] ^= 1 << bit,
            Mutation::Set(at, byte) => bytes[at.index(length)] = *byte,
            Mutation::Claim(at, byte) => {
                let at = at.index(length);
                bytes[at] = *byte;
                bytes.iter_mut().skip(at + 1).take(8).for_each(|byte| *byte = 0xff);
            }
            Mutation::Insert(at, more) => {
                let at = at.index(length);
                bytes.splice(at..at, more.iter().copied());
            }
            Mutation::Remove(at, count) => {
                let at = at.index(length);
                bytes.drain(at..(at + usize::from(*count)).min(length));
            }
            Mutation::Repeat(at, count) => {
                let at = at.index(length);
                let part = bytes[at..(at + 40).min(length)].repeat(usize::from(*count));
                bytes.splice(at..at, part);
            }
            Mutation::Truncate(at) => bytes.truncate(at.index(length)),
            Mutation::Swap(a, b) => bytes.swap(a.index(length), b.index(length)),
        }
    }
    bytes
}

/// The same for text; what is no longer UTF-8 is mended.
pub fn mutated_text(text: &str, mutations: &[Mutation]) -> String {
    String::from_utf8_lossy(&mutated(text.as_bytes(), mutations)).into_owned()
}
