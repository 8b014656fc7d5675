//! The tail record, written a second time: how a file reads, by its description alone.

use mmap_backed_array::Type;
use mmap_backed_array::capi::{MBA_ECORRUPT, MBA_ETYPE};

/// Bytes in a record.
pub const SIZE: usize = 64;
/// The size of a file with a record is a multiple of this.
pub const PAGE: usize = 4096;
pub const MAGIC: [u8; 8] = *b"\x93MBAtail";

/// A record's fields but the magic and the checksum.
#[derive(Clone, Copy, Debug)]
pub struct Record {
    pub version: u32,
    pub kind: u32,
    pub itemsize: u32,
    pub offset: u64,
    pub file_size: u64,
    pub dev: u64,
    pub ino: u64,
    pub len: u64,
}

impl Record {
    pub fn bytes(&self) -> [u8; SIZE] {
        let mut bytes = [0; SIZE];
        bytes[..8].copy_from_slice(&MAGIC);
        bytes[8..12].copy_from_slice(&self.version.to_ne_bytes());
        bytes[12..16].copy_from_slice(&self.kind.to_ne_bytes());
        bytes[16..20].copy_from_slice(&self.itemsize.to_ne_bytes());
        let longs = [self.offset, self.file_size, self.dev, self.ino, self.len];
        for (place, long) in bytes[24..].chunks_exact_mut(8).zip(longs) {
            place.copy_from_slice(&long.to_ne_bytes());
        }
        seal(&mut bytes);
        bytes
    }
}

/// Makes the checksum right.
pub fn seal(bytes: &mut [u8; SIZE]) {
    bytes[20..24].fill(0);
    let crc = crc32(&bytes[..56]);
    bytes[20..24].copy_from_slice(&crc.to_ne_bytes());
}

/// CRC-32 as in zlib, by polynomial division of the message's bits.
fn crc32(bytes: &[u8]) -> u32 {
    let mut rest = u32::MAX;
    for byte in bytes {
        rest ^= u32::from(*byte);
        for _ in 0..8 {
            let carry = rest & 1 == 1;
            rest >>= 1;
            if carry {
                rest ^= 0xedb8_8320;
            }
        }
    }
    !rest
}

/// Whether bytes at the end of a file would be taken for a record, sound or not.
pub fn has_magic(last: &[u8]) -> bool {
    let swapped: Vec<u8> = MAGIC.iter().rev().copied().collect();
    last.len() == SIZE && (last[..8] == MAGIC || last[..8] == swapped)
}

/// How a file reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reading {
    /// Elements.
    pub len: u64,
    pub has_record: bool,
    /// Bytes behind the last whole element, in a file without a record.
    pub rest: u64,
}

/// What a file of this size with these last bytes (64 of them, or all if they are fewer) holds.
pub fn read(size: u64, last: &[u8], ty: Type) -> Result<Reading, i32> {
    let itemsize = ty.size() as u64;
    if size == 0 || !size.is_multiple_of(PAGE as u64) || !has_magic(last) {
        return Ok(Reading { len: size / itemsize, has_record: false, rest: size % itemsize });
    }
    let word = |at: usize| u32::from_ne_bytes(last[at..at + 4].try_into().unwrap());
    let long = |at: usize| u64::from_ne_bytes(last[at..at + 8].try_into().unwrap());
    let mut sealed: [u8; SIZE] = last.try_into().unwrap();
    seal(&mut sealed);
    if last[..8] != MAGIC || word(8) != 1 || sealed != last || long(32) != size {
        return Err(MBA_ECORRUPT);
    }
    if word(12) != ty.kind() as u32 || u64::from(word(16)) != itemsize || long(24) != 0 {
        return Err(MBA_ETYPE);
    }
    let len = long(56);
    let end = u128::from(len) * u128::from(itemsize);
    if end > u128::from(size - SIZE as u64) {
        return Err(MBA_ECORRUPT);
    }
    Ok(Reading { len, has_record: true, rest: 0 })
}
