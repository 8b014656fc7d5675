//! The tail record: the last 64 bytes of a file with spare room, which hold the true length.
//!
//! All fields are in the machine's byte order, as the elements are.
//!
//! | bytes | field |
//! | --- | --- |
//! | 0-7 | magic |
//! | 8-11 | version, 1 |
//! | 12-15 | kind of element |
//! | 16-19 | bytes in an element |
//! | 20-23 | CRC-32 of bytes 0-55 with this field as zero |
//! | 24-31 | offset of element 0 in the file |
//! | 32-39 | size of the file for which the record holds |
//! | 40-47 | device of the file |
//! | 48-55 | inode of the file |
//! | 56-63 | length in elements, updated in place |
//!
//! A record counts only in a file whose size is a multiple of 4096.

use std::os::fd::RawFd;

use super::Shape;
use super::sys::{self, Stat};
use crate::error::{Error, Result};

/// Bytes in a record.
pub(super) const SIZE: u64 = 64;
/// The size of a file with a record is a multiple of this.
pub(super) const GRAIN: u64 = 4096;

/// What a file with a record has in its last 64 bytes first; read in the other byte order, the record comes
/// from a machine with the other one.
const MAGIC: u64 = u64::from_ne_bytes(*b"\x93MBAtail");
const VERSION: u32 = 1;
/// Where in a record the length begins.
pub(super) const LENGTH_AT: u64 = 56;
const CRC_AT: usize = 20;

type Bytes = [u8; SIZE as usize];

/// The fields that vary from file to file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Record {
    pub file_size: u64,
    pub dev: u64,
    pub ino: u64,
    pub len: u64,
}

impl Record {
    pub fn encode(&self, shape: &Shape) -> Bytes {
        let mut bytes = [0; SIZE as usize];
        let mut put = |at: usize, field: &[u8]| bytes[at..at + field.len()].copy_from_slice(field);
        put(0, &MAGIC.to_ne_bytes());
        put(8, &VERSION.to_ne_bytes());
        put(12, &shape.kind.to_ne_bytes());
        put(16, &(shape.itemsize as u32).to_ne_bytes());
        put(24, &shape.offset.to_ne_bytes());
        put(32, &self.file_size.to_ne_bytes());
        put(40, &self.dev.to_ne_bytes());
        put(48, &self.ino.to_ne_bytes());
        put(56, &self.len.to_ne_bytes());
        let crc = checksum(&bytes);
        bytes[CRC_AT..CRC_AT + 4].copy_from_slice(&crc.to_ne_bytes());
        bytes
    }

    /// The record in the last bytes of a file of `size` bytes, if there is one.
    ///
    /// [`Error::Corrupt`] if the magic is right and anything else contradicts the file, [`Error::Type`] if
    /// the record is sound and names other elements.
    fn decode(bytes: &Bytes, shape: &Shape, size: u64) -> Result<Option<Record>> {
        let u32_at = |at: usize| u32::from_ne_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
        let u64_at = |at: usize| {
            let mut field = [0; 8];
            field.copy_from_slice(&bytes[at..at + 8]);
            u64::from_ne_bytes(field)
        };
        match u64_at(0) {
            MAGIC => {}
            magic if magic == MAGIC.swap_bytes() => return Err(Error::Corrupt),
            _ => return Ok(None),
        }
        let record = Record { file_size: u64_at(32), dev: u64_at(40), ino: u64_at(48), len: u64_at(56) };
        if u32_at(8) != VERSION || u32_at(CRC_AT) != checksum(bytes) || record.file_size != size {
            return Err(Error::Corrupt);
        }
        if u32_at(12) != shape.kind || u32_at(16) as usize != shape.itemsize || u64_at(24) != shape.offset {
            return Err(Error::Type);
        }
        match shape.end_of(record.len) {
            Some(end) if end <= size - SIZE => Ok(Some(record)),
            _ => Err(Error::Corrupt),
        }
    }
}

/// Where the record of a file of `size` bytes begins; `None` if a file of this size can't have one.
pub(super) fn place_in(size: u64) -> Option<u64> {
    (size >= GRAIN && size.is_multiple_of(GRAIN)).then(|| size - SIZE)
}

/// Whether the bytes would be taken for the beginning of a record.
pub(crate) fn is_magic(bytes: [u8; 8]) -> bool {
    let magic = u64::from_ne_bytes(bytes);
    magic == MAGIC || magic == MAGIC.swap_bytes()
}

/// CRC-32 (the one of ISO-HDLC, zlib and PNG) of the fields before the length, the checksum's own as zero.
fn checksum(bytes: &Bytes) -> u32 {
    let mut crc = !0u32;
    for (at, byte) in bytes[..LENGTH_AT as usize].iter().enumerate() {
        crc ^= if (CRC_AT..CRC_AT + 4).contains(&at) { 0 } else { u32::from(*byte) };
        for _ in 0..8 {
            crc = (crc >> 1) ^ (0xedb8_8320 & (crc & 1).wrapping_neg());
        }
    }
    !crc
}

/// What a file holds: its size, its length, and the record if there is one.
#[derive(Clone, Copy)]
pub(super) struct State {
    pub stat: Stat,
    pub len: usize,
    pub record: Option<Record>,
    /// There is no record, and the file ends inside an element.
    pub partial: bool,
}

impl State {
    /// Whether the record was written for another file, of which this one is a copy.
    pub fn is_copy(&self) -> bool {
        self.record.is_some_and(|record| (record.dev, record.ino) != (self.stat.dev, self.stat.ino))
    }
}

/// How often a file that changes all the time is looked at before giving up.
const TRIES: usize = 20_000;

/// Reads size and record until they belong together.
///
/// The record is read by `pread`, never through the mapping, which another process may be cutting at that
/// moment. Asking for one byte more than a record has tells whether the file still has the same size. The
/// system looks at the size first and copies then, so that the bytes may be those of a file that has grown
/// in between: the part of the record that stays as it is must be the same once more. The length itself may
/// move all the while: any value it had during the call is right.
///
/// `EBUSY` if the file never holds still; `ENODEV` if it never has the bytes that its size promises, as the
/// files of sysfs, which can't be mapped either.
pub(super) fn read_state(fd: RawFd, shape: &Shape) -> Result<State> {
    read_state_from(fd, shape, sys::stat(fd)?)
}

/// As [`read_state`], beginning with what was known of the file a moment ago.
pub(super) fn read_state_from(fd: RawFd, shape: &Shape, mut stat: Stat) -> Result<State> {
    let mut always_short = true;
    for _ in 0..TRIES {
        let Some(at) = place_in(stat.size) else { return whole_file(stat, shape) };
        let first = read_record(fd, at)?;
        let second = read_record(fd, at)?;
        if let (LastBytes::Here(first), LastBytes::Here(second)) = (&first, &second)
            && first[..LENGTH_AT as usize] == second[..LENGTH_AT as usize]
        {
            return match Record::decode(second, shape, stat.size)? {
                None => whole_file(stat, shape),
                Some(record) => {
                    Ok(State { stat, len: record.len as usize, record: Some(record), partial: false })
                }
            };
        }
        always_short &= matches!(first, LastBytes::Short) && matches!(second, LastBytes::Short);
        stat = sys::stat(fd)?;
    }
    Err(Error::Os(if always_short { libc::ENODEV } else { libc::EBUSY }))
}

/// The last 64 bytes of a file that had a certain size a moment ago.
enum LastBytes {
    /// It still has this size.
    Here(Bytes),
    /// It has become longer.
    Long,
    /// There are fewer bytes.
    Short,
}

fn read_record(fd: RawFd, at: u64) -> Result<LastBytes> {
    let mut bytes = [0; SIZE as usize + 1];
    let count = sys::pread(fd, &mut bytes, at)?;
    Ok(match (bytes.first_chunk(), count.cmp(&(SIZE as usize))) {
        (Some(bytes), core::cmp::Ordering::Equal) => LastBytes::Here(*bytes),
        (_, core::cmp::Ordering::Greater) => LastBytes::Long,
        _ => LastBytes::Short,
    })
}

fn whole_file(stat: Stat, shape: &Shape) -> Result<State> {
    let bytes = stat.size.saturating_sub(shape.offset);
    let itemsize = shape.itemsize as u64;
    let len = usize::try_from(bytes / itemsize).map_err(|_| Error::Limit)?;
    Ok(State { stat, len, record: None, partial: !bytes.is_multiple_of(itemsize) })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHAPE: Shape = Shape { itemsize: 4, kind: 4, tag: 'I' as i32, offset: 0 };
    const RECORD: Record = Record { file_size: 8192, dev: 3, ino: 5, len: 1000 };

    #[test]
    fn a_record_reads_back() {
        assert_eq!(Record::decode(&RECORD.encode(&SHAPE), &SHAPE, 8192), Ok(Some(RECORD)));
    }

    #[test]
    fn a_flip_of_any_bit_is_noticed() {
        let good = RECORD.encode(&SHAPE);
        for bit in 0..(LENGTH_AT as usize) * 8 {
            let mut bad = good;
            bad[bit / 8] ^= 1 << (bit % 8);
            let result = Record::decode(&bad, &SHAPE, 8192);
            // Without the magic it is no record, and the file's last bytes are elements.
            let expected = if bit < 64 { Ok(None) } else { Err(Error::Corrupt) };
            assert_eq!(result, expected, "bit {bit}");
        }
    }

    #[test]
    fn a_length_counts_only_up_to_the_record() {
        for (len, sound) in [(0, true), (2032, true), (2033, false), (u64::MAX, false), (1 << 62, false)] {
            let bytes = Record { len, ..RECORD }.encode(&SHAPE);
            assert_eq!(Record::decode(&bytes, &SHAPE, 8192).is_ok(), sound, "length {len}");
        }
    }

    #[test]
    fn a_record_holds_for_one_size_of_file_and_one_type() {
        let bytes = RECORD.encode(&SHAPE);
        assert_eq!(Record::decode(&bytes, &SHAPE, 4096), Err(Error::Corrupt));
        assert_eq!(Record::decode(&bytes, &Shape { kind: 3, ..SHAPE }, 8192), Err(Error::Type));
        assert_eq!(Record::decode(&bytes, &Shape { itemsize: 8, ..SHAPE }, 8192), Err(Error::Type));
        assert_eq!(Record::decode(&bytes, &Shape { offset: 64, ..SHAPE }, 8192), Err(Error::Type));
    }

    #[test]
    fn a_record_of_the_other_byte_order_is_corrupt() {
        let mut bytes = RECORD.encode(&SHAPE);
        bytes[..8].reverse();
        assert_eq!(Record::decode(&bytes, &SHAPE, 8192), Err(Error::Corrupt));
    }

    #[test]
    fn the_checksum_is_crc32() {
        let mut bytes: Bytes = [0; 64];
        bytes[..9].copy_from_slice(b"123456789");
        // python3 -c "import zlib; print(hex(zlib.crc32(b'123456789' + bytes(47))))"
        assert_eq!(checksum(&bytes), 0xbf64_7c58);
    }
}
