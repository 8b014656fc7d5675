//! How a file reads, written a second time: its size and its footer, by the description of the format alone.

use std::fs::File;
use std::os::unix::fs::{FileExt, MetadataExt};

use mmap_backed_array::{Kind, Type};

use super::calls::SECOND_FORM;

/// Bytes in a footer.
pub const FOOTER: usize = if SECOND_FORM { 128 } else { 64 };
/// The size of a file with a footer is a multiple of this.
pub const PAGE: usize = 4096;
const MAGIC: [u8; 8] = if SECOND_FORM { *b"\x93MBAfoot" } else { *b"\x93MBAtail" };
/// Bytes that the checksum covers.
const FIXED: usize = if SECOND_FORM { 80 } else { 56 };

/// What a file says of its array.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reading {
    pub size: usize,
    pub has_footer: bool,
    /// In elements.
    pub len: usize,
    /// In elements, never less than the length.
    pub reach: usize,
    pub epoch: u64,
    pub holder: u64,
}

impl Reading {
    /// The bytes that can be elements.
    pub fn room(&self) -> usize {
        if self.has_footer { self.size - FOOTER } else { self.size }
    }
}

/// The class of an element, as the footer names it.
fn class(ty: Type) -> u32 {
    match ty.kind() {
        Kind::Char => 1,
        Kind::Bool => 2,
        Kind::Int => 3,
        Kind::Uint => 4,
        Kind::Float => 5,
        Kind::Complex => 6,
        Kind::Unicode => 7,
        Kind::Record => 8,
        other => unreachable!("{other:?} is new"),
    }
}

/// Reads a file that nobody changes now; an error says what is wrong with it.
pub fn read(file: &File, ty: Type) -> Result<Reading, String> {
    let metadata = file.metadata().unwrap();
    let (size, itemsize) = (metadata.len() as usize, ty.size());
    let whole = Reading {
        size,
        has_footer: false,
        len: size / itemsize,
        reach: size / itemsize,
        epoch: 0,
        holder: 0,
    };
    let rest = size % itemsize;
    let mut bytes = [0; FOOTER];
    if size > 0 && size.is_multiple_of(PAGE) {
        file.read_exact_at(&mut bytes, (size - FOOTER) as u64).unwrap();
    }
    if !is_alike(&bytes) {
        return if rest == 0 { Ok(whole) } else { Err(format!("{rest} bytes behind {} elements", whole.len)) };
    }
    let word = |at: usize| u32::from_ne_bytes(bytes[at..at + 4].try_into().unwrap());
    let long = |at: usize| u64::from_ne_bytes(bytes[at..at + 8].try_into().unwrap());
    let (identity, len) = (if SECOND_FORM { [40, 48, 56] } else { [32, 40, 48] }, long(FOOTER - 8));
    let expected = [size as u64, metadata.dev(), metadata.ino()];
    let found = identity.map(long);
    let version = if SECOND_FORM { 2 } else { 1 };
    let sound = bytes[..8] == MAGIC
        && word(8) == version
        && word(12) == class(ty)
        && word(16) as usize == itemsize
        && word(20) == checksum(&bytes)
        && found == expected;
    if !sound {
        return Err(format!("an unsound footer in {size} bytes: {bytes:02x?}"));
    }
    let fits = ((size - FOOTER) / itemsize) as u64;
    let (reach, epoch, holder) = if SECOND_FORM { (long(96), long(104), long(88)) } else { (len, 0, 0) };
    if len > fits || reach > fits {
        return Err(format!("a footer with length {len} and reach {reach} where {fits} fit"));
    }
    Ok(Reading {
        has_footer: true,
        len: len as usize,
        reach: len.max(reach) as usize,
        epoch,
        holder,
        ..whole
    })
}

/// A footer such as the library would write for this file if it had this size.
pub fn forge(file: &File, ty: Type, size: usize, len: usize) -> [u8; FOOTER] {
    let metadata = file.metadata().unwrap();
    let mut bytes = [0; FOOTER];
    let mut put = |at: usize, field: &[u8]| bytes[at..at + field.len()].copy_from_slice(field);
    put(0, &MAGIC);
    put(8, &(if SECOND_FORM { 2u32 } else { 1 }).to_ne_bytes());
    put(12, &class(ty).to_ne_bytes());
    put(16, &(ty.size() as u32).to_ne_bytes());
    let identity = if SECOND_FORM { 40 } else { 32 };
    put(identity, &(size as u64).to_ne_bytes());
    put(identity + 8, &metadata.dev().to_ne_bytes());
    put(identity + 16, &metadata.ino().to_ne_bytes());
    put(FOOTER - 8, &(len as u64).to_ne_bytes());
    let crc = checksum(&bytes);
    bytes[20..24].copy_from_slice(&crc.to_ne_bytes());
    bytes
}

/// Whether bytes at the end of a file would be taken for a footer, sound or not.
pub fn is_alike(last: &[u8]) -> bool {
    last[..8] == MAGIC || last[..8].iter().eq(MAGIC.iter().rev())
}

/// Whether elements that end a file would be.
pub fn ends_alike(elements: &[u8]) -> bool {
    let end = elements.len();
    end > 0 && end.is_multiple_of(PAGE) && is_alike(&elements[end - FOOTER..])
}

/// CRC-32 as in zlib, by polynomial division of the message's bits; its own field counts as zero.
fn checksum(bytes: &[u8; FOOTER]) -> u32 {
    let mut rest = u32::MAX;
    for (at, byte) in bytes[..FIXED].iter().enumerate() {
        rest ^= if (20..24).contains(&at) { 0 } else { u32::from(*byte) };
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
