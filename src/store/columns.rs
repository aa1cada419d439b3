//! Columns, names and bitmaps one after another in a file: plain little-endian bytes, and a checksum over all of them.
//!
//! Invariant: the reader takes no more memory than the file has bytes left, whatever they say, and never panics. What it
//! returned is to be believed only once [`ColumnReader::end`] has told the checksum.

use std::io::{self, Read, Write};

use roaring::RoaringBitmap;
use xxhash_rust::xxh3::Xxh3;

/// Bytes read or written at once.
const CHUNK_BYTES: usize = 256 * 1024;

/// A number of fixed width.
pub trait Cell: Copy {
    const BYTES: usize;
    fn put(self, to: &mut Vec<u8>);
    /// From as many bytes as it has; missing ones count as zero.
    fn get(bytes: &[u8]) -> Self;
}

macro_rules! cell {
    ($type:ty) => {
        impl Cell for $type {
            const BYTES: usize = size_of::<$type>();

            fn put(self, to: &mut Vec<u8>) {
                to.extend_from_slice(&self.to_le_bytes());
            }

            fn get(bytes: &[u8]) -> Self {
                Self::from_le_bytes(bytes.first_chunk().copied().unwrap_or_default())
            }
        }
    };
}

cell!(u32);
cell!(u128);

/// The bytes do not say what they should.
pub fn unfit(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

/// A length as it is written; what has more than 2^32 parts does not fit into memory.
fn length(of: usize) -> io::Result<u32> {
    u32::try_from(of).map_err(|_| unfit("more than 2^32 of something"))
}

pub struct ColumnWriter<W> {
    to: W,
    waiting: Vec<u8>,
    hash: Xxh3,
    bytes: u64,
}

impl<W: Write> ColumnWriter<W> {
    pub fn new(to: W) -> Self {
        Self { to, waiting: Vec::with_capacity(2 * CHUNK_BYTES), hash: Xxh3::new(), bytes: 0 }
    }

    pub fn number(&mut self, number: u32) -> io::Result<()> {
        self.write_all(&number.to_le_bytes())
    }

    pub fn name(&mut self, name: &str) -> io::Result<()> {
        self.number(length(name.len())?)?;
        self.write_all(name.as_bytes())
    }

    pub fn column<T: Cell>(&mut self, cells: &[T]) -> io::Result<()> {
        self.number(length(cells.len())?)?;
        for chunk in cells.chunks(CHUNK_BYTES / T::BYTES) {
            chunk.iter().for_each(|cell| cell.put(&mut self.waiting));
            self.make_room()?;
        }
        Ok(())
    }

    /// In roaring's own portable form.
    pub fn bitmap(&mut self, bitmap: &RoaringBitmap) -> io::Result<()> {
        self.number(length(bitmap.serialized_size())?)?;
        bitmap.serialize_into(self)
    }

    /// How many bytes were written, and their checksum.
    pub fn end(mut self) -> io::Result<(u64, u128)> {
        self.flush()?;
        Ok((self.bytes, self.hash.digest128()))
    }

    fn make_room(&mut self) -> io::Result<()> {
        if self.waiting.len() < CHUNK_BYTES { Ok(()) } else { self.flush() }
    }
}

impl<W: Write> Write for ColumnWriter<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.waiting.extend_from_slice(bytes);
        self.make_room()?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.hash.update(&self.waiting);
        self.bytes += self.waiting.len() as u64;
        self.to.write_all(&self.waiting)?;
        self.waiting.clear();
        Ok(())
    }
}

pub struct ColumnReader<R> {
    from: R,
    left: u64,
    hash: Xxh3,
}

impl<R: Read> ColumnReader<R> {
    /// Of the next `bytes` of a reader that has them.
    pub fn new(from: R, bytes: u64) -> Self {
        Self { from, left: bytes, hash: Xxh3::new() }
    }

    pub fn number(&mut self) -> io::Result<u32> {
        let mut bytes = [0; u32::BYTES];
        self.fill(&mut bytes)?;
        Ok(u32::from_le_bytes(bytes))
    }

    pub fn name(&mut self) -> io::Result<String> {
        let bytes = self.bytes()?;
        String::from_utf8(bytes).map_err(|_| unfit("a name is not UTF-8"))
    }

    pub fn column<T: Cell>(&mut self) -> io::Result<Vec<T>> {
        let count = self.count(T::BYTES)?;
        let mut cells = Vec::with_capacity(count);
        let mut chunk = vec![0; CHUNK_BYTES.min(count * T::BYTES)];
        while cells.len() < count {
            let bytes = chunk.len().min((count - cells.len()) * T::BYTES);
            let chunk = &mut chunk[..bytes];
            self.fill(chunk)?;
            cells.extend(chunk.chunks_exact(T::BYTES).map(T::get));
        }
        Ok(cells)
    }

    pub fn bitmap(&mut self) -> io::Result<RoaringBitmap> {
        let bytes = self.bytes()?;
        let mut rest = &bytes[..];
        let bitmap = RoaringBitmap::deserialize_from(&mut rest)?;
        if rest.is_empty() { Ok(bitmap) } else { Err(unfit("a bitmap is longer than it says")) }
    }

    /// The checksum, once every byte was read.
    pub fn end(self) -> io::Result<u128> {
        if self.left == 0 { Ok(self.hash.digest128()) } else { Err(unfit("there is more than should be")) }
    }

    fn bytes(&mut self) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; self.count(1)?];
        self.fill(&mut bytes)?;
        Ok(bytes)
    }

    /// How many parts of a width follow; never more than there are.
    fn count(&mut self, width: usize) -> io::Result<usize> {
        let count = self.number()?;
        let needed = u64::from(count) * width as u64;
        if needed > self.left {
            return Err(unfit("there is less than should be"));
        }
        Ok(count as usize)
    }

    fn fill(&mut self, bytes: &mut [u8]) -> io::Result<()> {
        let needed = bytes.len() as u64;
        self.left = self.left.checked_sub(needed).ok_or_else(|| unfit("there is less than should be"))?;
        self.from.read_exact(bytes)?;
        self.hash.update(bytes);
        Ok(())
    }
}
