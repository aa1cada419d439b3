//! Length-prefixed frames in a file.

use std::io::{self, Read, Write};

use crate::limits::STORED_VALUE_BYTES_MAX;

/// Writes one frame and returns its size with the prefix.
pub fn write_frame(file: &mut impl Write, frame: &[u8]) -> io::Result<u64> {
    let too_long = || io::Error::new(io::ErrorKind::InvalidData, "a frame is too long");
    // What the reader would refuse must not be written.
    let length = u32::try_from(frame.len()).ok().filter(|_| frame.len() <= STORED_VALUE_BYTES_MAX);
    let length = length.ok_or_else(too_long)?;
    file.write_all(&length.to_le_bytes())?;
    file.write_all(frame)?;
    Ok(4 + u64::from(length))
}

/// Reads one frame into `frame`; false at the end of the file. A frame cut short is an error.
pub fn read_frame(file: &mut impl Read, frame: &mut Vec<u8>) -> io::Result<bool> {
    let mut prefix = [0; 4];
    let mut filled = 0;
    while filled < prefix.len() {
        match file.read(&mut prefix[filled..]) {
            Ok(0) if filled == 0 => return Ok(false),
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    let length = u32::from_le_bytes(prefix) as usize;
    if length > STORED_VALUE_BYTES_MAX {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "a frame claims an impossible length"));
    }
    // Grown as bytes arrive, so that a damaged length cannot allocate what is not there.
    frame.clear();
    if file.take(length as u64).read_to_end(frame)? == length {
        Ok(true)
    } else {
        Err(io::ErrorKind::UnexpectedEof.into())
    }
}
