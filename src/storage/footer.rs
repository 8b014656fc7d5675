//! The footer: the last 128 bytes of a file with spare room, which hold the true length.
//!
//! All fields are in the machine's byte order, as the elements are.
//!
//! | bytes | field |
//! | --- | --- |
//! | 0-7 | magic |
//! | 8-11 | version, 2 |
//! | 12-15 | kind of element |
//! | 16-19 | bytes in an element |
//! | 20-23 | CRC-32 of bytes 0-79 with this field as zero |
//! | 24-31 | hash of the element's format, 0 |
//! | 32-39 | offset of element 0 in the file |
//! | 40-47 | size of the file for which the footer holds |
//! | 48-55 | device of the file |
//! | 56-63 | inode of the file |
//! | 64-67 | flags; bit 0: the spare room may have no blocks |
//! | 68-71 | zero |
//! | 72-79 | a number that no other footer of the file has |
//! | 80-83 | bell; all ones: the footer has moved |
//! | 84-87 | zero |
//! | 88-95 | the process that holds the growth lock, or held it last |
//! | 96-103 | reach in elements; it counts if it is larger than the length |
//! | 104-111 | epoch; 0: nothing was ever taken away; odd: elements are being taken away or moved |
//! | 112-119 | zero |
//! | 120-127 | length in elements |
//!
//! What comes before byte 80 stays as it is; the rest changes in place. A footer counts only in a file whose size is a
//! multiple of 4096.

use core::sync::atomic::{Ordering::Acquire, fence};
use std::os::fd::RawFd;

use super::Layout;
use super::sys::{self, Identity, Stat};
use crate::error::{Error, Result};

/// Bytes in a footer.
pub(super) const SIZE: u64 = 128;
/// The size of a file with a footer is a multiple of this.
pub(super) const GRAIN: u64 = 4096;

/// What a file with a footer has in its last 128 bytes first; read in the other byte order, the footer comes from a
/// machine with the other one.
const MAGIC: u64 = u64::from_ne_bytes(*b"\x93MBAfoot");
const VERSION: u32 = 2;
const CRC_AT: usize = 20;
/// Bytes that stay as they are.
pub(super) const FIXED: usize = 80;
/// Where what changes in place begins.
pub(super) const BELL_AT: u64 = 80;
pub(super) const HOLDER_AT: u64 = 88;
pub(super) const REACH_AT: u64 = 96;
pub(super) const EPOCH_AT: u64 = 104;
pub(super) const LENGTH_AT: u64 = 120;

/// The flag of spare room without blocks.
const NO_BLOCKS: u32 = 1;
/// The bell of a footer that is the file's no more, since the file has become longer.
pub(super) const MOVED: u32 = u32::MAX;

pub(super) type Bytes = [u8; SIZE as usize];

/// What a footer says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Footer {
    pub file_size: u64,
    /// Which file it was written for.
    pub identity: Identity,
    /// Whether the spare room has blocks, so that nothing stored there can meet a full disk.
    pub has_blocks: bool,
    /// A number that no other footer of the file has.
    pub stamp: u64,
    pub bell: u32,
    pub holder: u64,
    pub reach: u64,
    pub epoch: u64,
    pub len: u64,
}

/// The kind of element that a footer names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Elements {
    pub kind: u32,
    pub itemsize: u32,
    pub offset: u64,
}

fn u32_at(bytes: &Bytes, at: usize) -> u32 {
    u32::from_ne_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

fn u64_at(bytes: &Bytes, at: usize) -> u64 {
    let mut field = [0; 8];
    field.copy_from_slice(&bytes[at..at + 8]);
    u64::from_ne_bytes(field)
}

impl Footer {
    pub fn encode(&self, layout: &Layout) -> Bytes {
        let mut bytes = [0; SIZE as usize];
        let mut put = |at: usize, field: &[u8]| bytes[at..at + field.len()].copy_from_slice(field);
        put(0, &MAGIC.to_ne_bytes());
        put(8, &VERSION.to_ne_bytes());
        put(12, &layout.kind.to_ne_bytes());
        put(16, &(layout.itemsize as u32).to_ne_bytes());
        put(32, &layout.offset.to_ne_bytes());
        put(40, &self.file_size.to_ne_bytes());
        put(48, &self.identity.dev.to_ne_bytes());
        put(56, &self.identity.ino.to_ne_bytes());
        put(64, &(if self.has_blocks { 0 } else { NO_BLOCKS }).to_ne_bytes());
        put(72, &self.stamp.to_ne_bytes());
        put(BELL_AT as usize, &self.bell.to_ne_bytes());
        put(HOLDER_AT as usize, &self.holder.to_ne_bytes());
        put(REACH_AT as usize, &self.reach.to_ne_bytes());
        put(EPOCH_AT as usize, &self.epoch.to_ne_bytes());
        put(LENGTH_AT as usize, &self.len.to_ne_bytes());
        let crc = checksum(&bytes);
        bytes[CRC_AT..CRC_AT + 4].copy_from_slice(&crc.to_ne_bytes());
        bytes
    }

    /// The footer in the last bytes of a file of `size` bytes, if there is one, and of what elements.
    ///
    /// [`Error::Corrupt`] if the magic is right and anything else contradicts the file.
    pub fn decode_any(bytes: &Bytes, size: u64) -> Result<Option<(Footer, Elements)>> {
        match u64_at(bytes, 0) {
            MAGIC => {}
            magic if magic == MAGIC.swap_bytes() => return Err(Error::Corrupt),
            _ => return Ok(None),
        }
        let flags = u32_at(bytes, 64);
        let elements =
            Elements { kind: u32_at(bytes, 12), itemsize: u32_at(bytes, 16), offset: u64_at(bytes, 32) };
        let footer = Footer {
            file_size: u64_at(bytes, 40),
            identity: Identity { dev: u64_at(bytes, 48), ino: u64_at(bytes, 56) },
            has_blocks: flags & NO_BLOCKS == 0,
            stamp: u64_at(bytes, 72),
            bell: u32_at(bytes, BELL_AT as usize),
            holder: u64_at(bytes, HOLDER_AT as usize),
            reach: u64_at(bytes, REACH_AT as usize),
            epoch: u64_at(bytes, EPOCH_AT as usize),
            len: u64_at(bytes, LENGTH_AT as usize),
        };
        let reserved_are_zero = u64_at(bytes, 24) == 0 && flags & !NO_BLOCKS == 0 && u32_at(bytes, 68) == 0;
        let sound = u32_at(bytes, 8) == VERSION
            && u32_at(bytes, CRC_AT) == checksum(bytes)
            && reserved_are_zero
            && footer.file_size == size
            && elements.itemsize > 0
            && elements.end_of(footer.len.max(footer.reach)).is_some_and(|end| end <= size - SIZE);
        if sound { Ok(Some((footer, elements))) } else { Err(Error::Corrupt) }
    }

    /// As [`Footer::decode_any`], for elements of a certain kind; [`Error::Type`] if the footer is sound and names others.
    pub fn decode(bytes: &Bytes, layout: &Layout, size: u64) -> Result<Option<Footer>> {
        match Footer::decode_any(bytes, size)? {
            None => Ok(None),
            Some((footer, elements)) if elements.are(layout) => Ok(Some(footer)),
            Some(_) => Err(Error::Type),
        }
    }
}

impl Elements {
    fn end_of(&self, len: u64) -> Option<u64> {
        len.checked_mul(u64::from(self.itemsize))?.checked_add(self.offset)
    }

    pub fn are(&self, layout: &Layout) -> bool {
        self.kind == layout.kind && self.itemsize as usize == layout.itemsize && self.offset == layout.offset
    }
}

/// What an unsound footer says of the length, as far as that can be believed: where the elements end.
pub(super) fn salvage(bytes: &Bytes, itemsize: Option<u64>, size: u64) -> u64 {
    let room = size - SIZE;
    let itemsize = itemsize.unwrap_or(u64::from(u32_at(bytes, 16)));
    match u64_at(bytes, LENGTH_AT as usize).checked_mul(itemsize) {
        Some(end) if itemsize > 0 && u32_at(bytes, 8) == VERSION && end <= room => end,
        _ => room,
    }
}

/// Where the footer of a file of `size` bytes begins; `None` if a file of this size can't have one.
pub(super) fn place_in(size: u64) -> Option<u64> {
    (size >= GRAIN && size.is_multiple_of(GRAIN)).then(|| size - SIZE)
}

/// Whether the bytes would be taken for the beginning of a footer.
pub(crate) fn is_magic(bytes: [u8; 8]) -> bool {
    let magic = u64::from_ne_bytes(bytes);
    magic == MAGIC || magic == MAGIC.swap_bytes()
}

/// As [`is_magic`], of a whole footer.
pub(super) fn begins_with_magic(bytes: &Bytes) -> bool {
    bytes.first_chunk().is_some_and(|magic| is_magic(*magic))
}

/// The epoch that a footer says.
pub(super) fn epoch_of(bytes: &Bytes) -> u64 {
    u64_at(bytes, EPOCH_AT as usize)
}

/// What eight steps make of each low byte.
const CRC_STEPS: [u32; 256] = {
    let mut steps = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let mut crc = byte as u32;
        let mut step = 0;
        while step < 8 {
            crc = (crc >> 1) ^ (0xedb8_8320 & (crc & 1).wrapping_neg());
            step += 1;
        }
        steps[byte] = crc;
        byte += 1;
    }
    steps
};

/// CRC-32 (the one of ISO-HDLC, zlib and PNG) of the fields that stay as they are, the checksum's own as zero.
fn checksum(bytes: &Bytes) -> u32 {
    let mut crc = !0u32;
    for (at, byte) in bytes[..FIXED].iter().enumerate() {
        crc ^= if (CRC_AT..CRC_AT + 4).contains(&at) { 0 } else { u32::from(*byte) };
        crc = (crc >> 8) ^ CRC_STEPS[(crc & 0xff) as usize];
    }
    !crc
}

/// The last bytes of a file that had a certain size a moment ago.
pub(super) enum LastBytes {
    /// It still has this size.
    Here(Bytes),
    /// It has become longer.
    Long,
    /// There are fewer bytes.
    Short,
}

/// Where bytes of a footer are read to. The system's copy keeps whole only those words of 8 bytes that lie at a multiple of 8
/// on both sides: some processors copy byte by byte in between, and another one may store meanwhile.
#[repr(C, align(64))]
struct Whole<const N: usize>([u8; N]);

/// Reads where the footer of a file of a certain size begins, if it has one.
///
/// By `pread`, never through the mapping, which another process may be truncating at that moment. Asking for one byte more
/// than a footer has tells whether the file still has the same size. The system looks at the size first and copies then,
/// so that the bytes may be those of a file that has grown in between.
pub(super) fn read_last_bytes(fd: RawFd, at: u64) -> Result<LastBytes> {
    let mut buffer = Whole([0; SIZE as usize + 1]);
    let count = sys::pread(fd, &mut buffer.0, at)?;
    // What was read of other processes' doing comes before what is read from now on: the elements up to the length.
    fence(Acquire);
    Ok(match (buffer.0.first_chunk(), count.cmp(&(SIZE as usize))) {
        (Some(bytes), core::cmp::Ordering::Equal) => LastBytes::Here(*bytes),
        (_, core::cmp::Ordering::Greater) => LastBytes::Long,
        _ => LastBytes::Short,
    })
}

/// Whether a file that ended at `end` would seem to have a footer.
pub(super) fn seems_to_have_footer(fd: RawFd, end: u64) -> Result<bool> {
    let Some(at) = place_in(end) else { return Ok(false) };
    let mut buffer = Whole([0; 8]);
    let count = sys::pread(fd, &mut buffer.0, at)?;
    Ok(count == buffer.0.len() && is_magic(buffer.0))
}

/// The last bytes of a file that has this size still, if they could be a footer by their place, and aren't one.
pub(super) fn end_without_footer(fd: RawFd, size: u64) -> Result<Option<Bytes>> {
    let Some(at) = place_in(size) else { return Ok(None) };
    Ok(match read_last_bytes(fd, at)? {
        LastBytes::Here(bytes) if !begins_with_magic(&bytes) => Some(bytes),
        _ => None,
    })
}

/// How often a file that changes all the time is looked at before giving up.
const TRIES: usize = 20_000;

/// The size of a file and its last bytes, if they can be a footer, such that they belong together. `before` is the footer
/// that was known.
///
/// A reading counts if the one before it had the same fixed part, which no other footer of this file ever had, and the one
/// after it finds the same fixed part in a file of the same size: then the bytes are of this footer, and not of what was
/// stored over it. What changes in place may move all the while, and comes in any order: any length is right that the array
/// had during the call, if the epoch it belongs to was there before. So the reading before must have had the same epoch,
/// unless it is none. Two readings without a footer say that there is none.
///
/// `EBUSY` if the file never holds still; `ENODEV` if it never has the bytes that its size promises, as the files of
/// sysfs, which can't be mapped either. `tests/library/ordering` explores it.
pub(super) fn read_end(
    fd: RawFd,
    mut stat: Stat,
    mut before: Option<Bytes>,
) -> Result<(Stat, Option<Bytes>)> {
    let mut always_short = true;
    for _ in 0..TRIES {
        let Some(at) = place_in(stat.size) else { return Ok((stat, None)) };
        let here = read_last_bytes(fd, at)?;
        if let LastBytes::Here(bytes) = here {
            always_short = false;
            if !begins_with_magic(&bytes) && before.is_some_and(|before| !begins_with_magic(&before)) {
                return Ok((stat, Some(bytes)));
            }
            let counts = before.is_some_and(|before| {
                let epoch = epoch_of(&bytes);
                before[..FIXED] == bytes[..FIXED] && (epoch == 0 || epoch == epoch_of(&before))
            });
            if !counts {
                before = Some(bytes);
                continue;
            }
            if let LastBytes::Here(after) = read_last_bytes(fd, at)?
                && after[..FIXED] == bytes[..FIXED]
            {
                return Ok((stat, Some(bytes)));
            }
        } else {
            always_short &= matches!(here, LastBytes::Short);
        }
        before = None;
        stat = sys::stat(fd)?;
    }
    Err(Error::Os(if always_short { libc::ENODEV } else { libc::EBUSY }))
}

/// As [`read_end`], for who holds the growth lock: nobody else who uses the library changes the file meanwhile.
pub(super) fn read_end_alone(fd: RawFd, stat: Stat) -> Result<(Stat, Option<Bytes>)> {
    match place_in(stat.size).map(|at| read_last_bytes(fd, at)) {
        None => Ok((stat, None)),
        Some(Ok(LastBytes::Here(bytes))) => Ok((stat, Some(bytes))),
        // Somebody does, who doesn't use it.
        Some(_) => read_end(fd, stat, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LAYOUT: Layout = Layout { itemsize: 4, kind: 4, type_code: 'I' as i32, offset: 0 };
    const FOOTER: Footer = Footer {
        file_size: 8192,
        identity: Identity { dev: 3, ino: 5 },
        has_blocks: true,
        stamp: 99,
        bell: 7,
        holder: 4711,
        reach: 1500,
        epoch: 9,
        len: 1000,
    };

    /// Makes a checksum right.
    fn seal(bytes: &mut Bytes) {
        let crc = checksum(bytes);
        bytes[CRC_AT..CRC_AT + 4].copy_from_slice(&crc.to_ne_bytes());
    }

    #[test]
    fn a_footer_reads_back() {
        assert_eq!(Footer::decode(&FOOTER.encode(&LAYOUT), &LAYOUT, 8192), Ok(Some(FOOTER)));
        let other = Footer { has_blocks: false, ..FOOTER };
        assert_eq!(Footer::decode(&other.encode(&LAYOUT), &LAYOUT, 8192), Ok(Some(other)));
    }

    #[test]
    fn a_flip_of_any_bit_is_noticed() {
        let good = FOOTER.encode(&LAYOUT);
        for bit in 0..FIXED * 8 {
            let mut bad = good;
            bad[bit / 8] ^= 1 << (bit % 8);
            let result = Footer::decode(&bad, &LAYOUT, 8192);
            // Without the magic it is no footer, and the file's last bytes are elements.
            let expected = if bit < 64 { Ok(None) } else { Err(Error::Corrupt) };
            assert_eq!(result, expected, "bit {bit}");
        }
    }

    #[test]
    fn what_the_checksum_covers_must_be_known_too() {
        // Version 1 and 3, a format, an unknown flag, and what must be zero.
        for (at, value) in [(8, 1), (8, 3), (24, 1), (64, 2), (68, 1)] {
            let mut bytes = FOOTER.encode(&LAYOUT);
            bytes[at..at + 4].copy_from_slice(&u32::to_ne_bytes(value));
            seal(&mut bytes);
            assert_eq!(Footer::decode(&bytes, &LAYOUT, 8192), Err(Error::Corrupt), "{value} at {at}");
        }
    }

    #[test]
    fn length_and_reach_count_only_up_to_the_footer() {
        for (len, sound) in [(0, true), (2016, true), (2017, false), (u64::MAX, false), (1 << 62, false)] {
            let bytes = Footer { len, ..FOOTER }.encode(&LAYOUT);
            assert_eq!(Footer::decode(&bytes, &LAYOUT, 8192).is_ok(), sound, "length {len}");
            let bytes = Footer { reach: len, ..FOOTER }.encode(&LAYOUT);
            assert_eq!(Footer::decode(&bytes, &LAYOUT, 8192).is_ok(), sound, "reach {len}");
        }
    }

    #[test]
    fn a_footer_holds_for_one_size_of_file_and_one_type() {
        let bytes = FOOTER.encode(&LAYOUT);
        assert_eq!(Footer::decode(&bytes, &LAYOUT, 4096), Err(Error::Corrupt));
        assert_eq!(Footer::decode(&bytes, &Layout { kind: 3, ..LAYOUT }, 8192), Err(Error::Type));
        assert_eq!(Footer::decode(&bytes, &Layout { itemsize: 8, ..LAYOUT }, 8192), Err(Error::Type));
        assert_eq!(Footer::decode(&bytes, &Layout { offset: 64, ..LAYOUT }, 8192), Err(Error::Type));
    }

    #[test]
    fn a_footer_of_the_other_byte_order_is_corrupt() {
        let mut bytes = FOOTER.encode(&LAYOUT);
        bytes[..8].reverse();
        assert_eq!(Footer::decode(&bytes, &LAYOUT, 8192), Err(Error::Corrupt));
    }

    #[test]
    fn the_checksum_is_crc32() {
        let mut bytes: Bytes = [0; SIZE as usize];
        bytes[..9].copy_from_slice(b"123456789");
        // python3 -c "import zlib; print(hex(zlib.crc32(b'123456789' + bytes(71))))"
        assert_eq!(checksum(&bytes), CHECK);
    }

    const CHECK: u32 = 0x9239_05fa;

    #[test]
    fn of_an_unsound_footer_a_length_that_fits_is_taken() {
        let mut bytes = FOOTER.encode(&LAYOUT);
        bytes[48] ^= 1;
        assert_eq!(salvage(&bytes, None, 8192), 4000);
        assert_eq!(salvage(&bytes, Some(8), 8192), 8000);
        assert_eq!(salvage(&bytes, Some(9), 8192), 8192 - 128);
        bytes[8] = 1;
        assert_eq!(salvage(&bytes, None, 8192), 8192 - 128);
    }
}
