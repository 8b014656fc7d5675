//! The footer of a file with spare room, as its description has it: the one place of the tests that knows the
//! layout. Nothing here comes from the library, so that the two can be compared.

use mmap_backed_array::Type;
use mmap_backed_array::capi::{MBA_ECORRUPT, MBA_ETYPE};

/// Bytes in a footer.
pub const SIZE: usize = 128;
/// The size of a file with a footer is a multiple of this.
pub const PAGE: usize = 4096;
pub const MAGIC: [u8; 8] = *b"\x93MBAfoot";
pub const VERSION: u32 = 2;
/// What the bell says while the footer goes elsewhere.
pub const MOVING: u32 = u32::MAX;
/// The flag of spare room that may have no blocks.
pub const MAY_LACK_BLOCKS: u32 = 1;

/// Where a field begins.
pub mod at {
    pub const VERSION: usize = 8;
    pub const KIND: usize = 12;
    pub const ITEMSIZE: usize = 16;
    pub const CHECKSUM: usize = 20;
    pub const FORMAT: usize = 24;
    pub const OFFSET: usize = 32;
    pub const FILE_SIZE: usize = 40;
    pub const DEVICE: usize = 48;
    pub const INODE: usize = 56;
    pub const FLAGS: usize = 64;
    /// What is unused, and zero.
    pub const ZERO: usize = 68;
    /// A number that no other footer of the file has.
    pub const STAMP: usize = 72;
    /// Here the fixed part ends, which the checksum covers; what follows changes in place.
    pub const FIXED_END: usize = 80;
    pub const BELL: usize = 80;
    pub const HOLDER: usize = 88;
    pub const REACH: usize = 96;
    pub const EPOCH: usize = 104;
    pub const LENGTH: usize = 120;
}

/// A footer's fields, but the magic and the checksum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Footer {
    pub version: u32,
    pub kind: u32,
    pub itemsize: u32,
    pub format: u64,
    pub offset: u64,
    pub file_size: u64,
    pub device: u64,
    pub inode: u64,
    pub flags: u32,
    /// A field of the fixed part that must be zero.
    pub zero: u32,
    pub stamp: u64,
    pub bell: u32,
    pub holder: u64,
    pub reach: u64,
    pub epoch: u64,
    pub len: u64,
}

impl Footer {
    /// A sound one, for a file of so many bytes that holds so many elements.
    pub fn of(ty: Type, file: &std::fs::Metadata, file_size: u64, len: u64) -> Footer {
        use std::os::unix::fs::MetadataExt;
        Footer {
            version: VERSION,
            kind: ty.kind() as u32,
            itemsize: ty.size() as u32,
            format: 0,
            offset: 0,
            file_size,
            device: file.dev(),
            inode: file.ino(),
            flags: 0,
            zero: 0,
            stamp: 1,
            bell: 0,
            holder: 0,
            reach: 0,
            epoch: 0,
            len,
        }
    }

    pub fn encode(&self) -> [u8; SIZE] {
        let mut bytes = [0; SIZE];
        bytes[..8].copy_from_slice(&MAGIC);
        let words = [
            (at::VERSION, self.version),
            (at::KIND, self.kind),
            (at::ITEMSIZE, self.itemsize),
            (at::FLAGS, self.flags),
            (at::ZERO, self.zero),
            (at::BELL, self.bell),
        ];
        for (at, word) in words {
            bytes[at..at + 4].copy_from_slice(&word.to_ne_bytes());
        }
        let longs = [
            (at::FORMAT, self.format),
            (at::OFFSET, self.offset),
            (at::FILE_SIZE, self.file_size),
            (at::DEVICE, self.device),
            (at::INODE, self.inode),
            (at::STAMP, self.stamp),
            (at::HOLDER, self.holder),
            (at::REACH, self.reach),
            (at::EPOCH, self.epoch),
            (at::LENGTH, self.len),
        ];
        for (at, long) in longs {
            bytes[at..at + 8].copy_from_slice(&long.to_ne_bytes());
        }
        seal(&mut bytes);
        bytes
    }

    /// The fields as they stand, true or not.
    pub fn decode(bytes: &[u8; SIZE]) -> Footer {
        Footer {
            version: word(bytes, at::VERSION),
            kind: word(bytes, at::KIND),
            itemsize: word(bytes, at::ITEMSIZE),
            format: long(bytes, at::FORMAT),
            offset: long(bytes, at::OFFSET),
            file_size: long(bytes, at::FILE_SIZE),
            device: long(bytes, at::DEVICE),
            inode: long(bytes, at::INODE),
            flags: word(bytes, at::FLAGS),
            zero: word(bytes, at::ZERO),
            stamp: long(bytes, at::STAMP),
            bell: word(bytes, at::BELL),
            holder: long(bytes, at::HOLDER),
            reach: long(bytes, at::REACH),
            epoch: long(bytes, at::EPOCH),
            len: long(bytes, at::LENGTH),
        }
    }
}

fn word(bytes: &[u8], at: usize) -> u32 {
    u32::from_ne_bytes(bytes[at..at + 4].try_into().unwrap())
}

fn long(bytes: &[u8], at: usize) -> u64 {
    u64::from_ne_bytes(bytes[at..at + 8].try_into().unwrap())
}

/// Makes the checksum right.
pub fn seal(bytes: &mut [u8; SIZE]) {
    let crc = checksum(bytes);
    bytes[at::CHECKSUM..at::CHECKSUM + 4].copy_from_slice(&crc.to_ne_bytes());
}

/// The CRC-32 of zlib over the fixed part, the checksum's own field as zero; by a table, unlike the library's.
pub fn checksum(bytes: &[u8; SIZE]) -> u32 {
    const TABLE: [u32; 256] = {
        let mut table = [0; 256];
        let mut byte = 0;
        while byte < 256 {
            let (mut rest, mut bit) = (byte as u32, 0);
            while bit < 8 {
                rest = (rest >> 1) ^ (0xedb8_8320 * (rest & 1));
                bit += 1;
            }
            table[byte] = rest;
            byte += 1;
        }
        table
    };
    let own = at::CHECKSUM..at::CHECKSUM + 4;
    let fixed = (0..at::FIXED_END).map(|at| if own.contains(&at) { 0 } else { bytes[at] });
    !fixed.fold(!0, |crc, byte| (crc >> 8) ^ TABLE[usize::from(crc as u8 ^ byte)])
}

/// Whether bytes at the end of a file, in whole pages, would be taken for a footer, sound or not: also for one of
/// a machine with the other byte order.
pub fn has_magic(last: &[u8]) -> bool {
    let swapped: Vec<u8> = MAGIC.iter().rev().copied().collect();
    last.len() == SIZE && (last[..8] == MAGIC || last[..8] == swapped)
}

/// How a file reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reading {
    /// Elements.
    pub len: u64,
    pub has_footer: bool,
    /// Bytes behind the last whole element, in a file without a footer.
    pub rest: u64,
    /// The largest length that an open handle can have seen, as far as the file says.
    pub reach: u64,
    /// Whether elements were taken away that open handles may know of.
    pub is_shortened: bool,
}

/// What a file of this size with these last bytes (as many as a footer has, or all if they are fewer) holds.
pub fn read(size: u64, last: &[u8], ty: Type) -> Result<Reading, i32> {
    let itemsize = ty.size() as u64;
    if size == 0 || !size.is_multiple_of(PAGE as u64) || !has_magic(last) {
        let len = size / itemsize;
        return Ok(Reading {
            len,
            has_footer: false,
            rest: size % itemsize,
            reach: len,
            is_shortened: false,
        });
    }
    let last: &[u8; SIZE] = last.try_into().unwrap();
    let footer = Footer::decode(last);
    let fits = |len: u64| {
        let end = u128::from(len) * u128::from(footer.itemsize) + u128::from(footer.offset);
        end <= u128::from(size - SIZE as u64)
    };
    if last[..8] != MAGIC
        || footer.version != VERSION
        || word(last, at::CHECKSUM) != checksum(last)
        || footer.itemsize == 0
        || footer.format != 0
        || footer.file_size != size
        || footer.flags & !MAY_LACK_BLOCKS != 0
        || footer.zero != 0
        || !fits(footer.len)
        || !fits(footer.reach)
    {
        return Err(MBA_ECORRUPT);
    }
    if footer.kind != ty.kind() as u32 || u64::from(footer.itemsize) != itemsize || footer.offset != 0 {
        return Err(MBA_ETYPE);
    }
    Ok(Reading {
        len: footer.len,
        has_footer: true,
        rest: 0,
        reach: footer.reach.max(footer.len),
        is_shortened: footer.epoch != 0,
    })
}

/// How many bytes of a file are elements whose footer is unsound, if one has to decide: those of the length that it
/// names, if they fit before it, else all before it. Of elements of so many bytes, or of as many as the footer says.
pub fn salvage(size: u64, last: &[u8; SIZE], itemsize: Option<u64>) -> u64 {
    let footer = Footer::decode(last);
    let room = size - SIZE as u64;
    let itemsize = itemsize.unwrap_or(footer.itemsize.into());
    let end = u128::from(footer.len) * u128::from(itemsize);
    if footer.version == VERSION && itemsize > 0 && end <= u128::from(room) { end as u64 } else { room }
}

/// The last bytes of a file, as [`read`] wants them.
pub fn last_bytes(contents: &[u8]) -> &[u8] {
    &contents[contents.len().saturating_sub(SIZE)..]
}
