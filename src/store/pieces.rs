//! Large values in pieces, so that the engine keeps everything in its one log.
//!
//! sled puts a node of more than 512 KiB into a file of its own, and its log names that file. In a power cut the log may
//! reach the disk and the file's name not; sled then passes over what it does not find, and takes a batch for whole of
//! which a part is missing. Values as small as a piece keep every node far below that size: a leaf holds 25 at most.

use crate::limits::{STORE_PIECE_BYTES, STORED_VALUE_BYTES_MAX};

/// A value that stands for its pieces begins so; no sealed value does.
const MARK: u8 = 0xff;
const MARK_BYTES: usize = 5;
/// Before the keys of pieces. No other key begins so.
const PIECES: &[u8] = b"p";

/// How many pieces a stored value stands for; none for one that is what it is.
pub fn count(stored: &[u8]) -> Option<u32> {
    let [MARK, number @ ..] = stored else { return None };
    let number = u32::from_be_bytes(number.try_into().ok()?);
    // More than any value has is damage; as it is, the bytes are refused by whoever reads them.
    (number as usize <= STORED_VALUE_BYTES_MAX / STORE_PIECE_BYTES + 1).then_some(number)
}

/// How many pieces a value has when it is stored.
pub fn needed(value: &[u8]) -> u32 {
    count(&split(value).0).unwrap_or(0)
}

pub fn is_piece(key: &[u8]) -> bool {
    key.starts_with(PIECES)
}

pub fn key(key: &[u8], piece: u32) -> Vec<u8> {
    [PIECES, key, &piece.to_be_bytes()].concat()
}

/// A value as it is stored: what stands under its key, and its pieces.
pub fn split(value: &[u8]) -> (Vec<u8>, impl Iterator<Item = &[u8]>) {
    let whole = value.len() <= STORE_PIECE_BYTES && !(value.len() == MARK_BYTES && value[0] == MARK);
    let rest = if whole { &[][..] } else { value };
    let pieces = rest.chunks(STORE_PIECE_BYTES);
    // A value has at most 64 MiB.
    let number = u32::try_from(pieces.len()).unwrap_or(u32::MAX);
    let head = if whole { value.to_vec() } else { [&[MARK][..], &number.to_be_bytes()].concat() };
    (head, pieces)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_its_pieces_and_a_small_one_is_itself() {
        for (length, pieces) in
            [(0, 0), (MARK_BYTES, 1), (STORE_PIECE_BYTES, 0), (STORE_PIECE_BYTES + 1, 2), (3 * STORE_PIECE_BYTES, 3)]
        {
            let value = vec![MARK; length];
            let (head, parts) = split(&value);
            let parts: Vec<_> = parts.collect();
            assert_eq!(parts.len(), pieces, "{length} bytes");
            let read = if count(&head).is_some() { parts.concat() } else { head };
            assert_eq!(read, value);
        }
    }

    #[test]
    fn pieces_follow_one_another_and_lie_beside_no_other_value() {
        assert!(key(b"b1", 1) < key(b"b1", 2) && key(b"b1", 255) < key(b"b1", 256));
        assert!(!key(b"b1", 1).starts_with(b"b"));
    }
}
