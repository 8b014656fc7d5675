//! Files of arbitrary bytes: opened, read, changed, closed.

use std::os::unix::fs::{FileExt, MetadataExt};

use mmap_backed_array::Type;
use mmap_backed_array::capi::*;

use super::bytes::Bytes;
use super::home::{Home, How};
use super::world::World;
use crate::helpers::footer::{self, PAGE};

/// The input says the type, how to open the file, which calls follow, and what the file holds: bytes as they are,
/// or with a footer behind them some fields of which are wrong under a checksum that is right.
pub fn run(input: &[u8]) {
    let input = &mut Bytes::new(input);
    let (ty, how) = (input.ty(), How::any(input));
    let (shape, calls) = (input.byte(), usize::from(input.byte()));
    let calls = &mut Bytes::new(input.take(calls));
    let home = Home::new(shape & 0x80 != 0);
    if shape & 7 == HUGE {
        return open_huge(home, ty, how, input);
    }
    fill(&home, ty, shape & 7, input);
    open(home, ty, how, calls);
}

/// The same file opened as every type and in every way. Returns how often that was.
pub fn run_every_way(input: &[u8]) -> u64 {
    let mut times = 0;
    for ty in Type::all() {
        for flags in [MBA_RDONLY, MBA_RDWR, MBA_RDWR | MBA_EXACT, MBA_PRIVATE] {
            for by_fd in [false, true] {
                let input = &mut Bytes::new(input);
                let (own, _) = (input.ty(), How::any(input));
                let (shape, calls) = (input.byte(), usize::from(input.byte()));
                let calls = &mut Bytes::new(input.take(calls));
                let home = Home::new(shape & 0x80 != 0);
                if shape & 7 == HUGE {
                    return times;
                }
                fill(&home, own, shape & 7, input);
                open(home, ty, How { flags, by_fd, reservation: 0 }, calls);
                times += 1;
            }
        }
    }
    times
}

/// The shape of a file that can't be read as a whole.
const HUGE: u8 = 7;

/// Gives the file what the input says, in one of the shapes; most have a footer.
fn fill(home: &Home, ty: Type, shape: u8, input: &mut Bytes) {
    match shape {
        0 => write(home, input.take(usize::MAX)),
        1 => {
            write(home, input.take(usize::MAX));
            home.file.set_len(home.size().next_multiple_of(PAGE as u64)).unwrap();
        }
        _ => {
            let (pages, fields) = (u64::from(input.byte() % 8), wrong_fields(input));
            let mask = input.take(if shape == 2 { footer::SIZE } else { 0 });
            let values = &mut Bytes::new(input.take(fields.count_ones() as usize * 8));
            let len = u64::from(input.short());
            write(home, input.take(usize::MAX));
            let size =
                (home.size() + footer::SIZE as u64).next_multiple_of(PAGE as u64) + pages * PAGE as u64;
            let most = (size - footer::SIZE as u64) / ty.size() as u64;
            let mut footer = footer_of(home, ty, size, len % (most + 2), fields, values);
            footer.iter_mut().zip(mask).for_each(|(byte, mask)| *byte ^= mask);
            home.file.set_len(size).unwrap();
            home.file.write_all_at(&footer, size - footer::SIZE as u64).unwrap();
        }
    }
}

fn write(home: &Home, bytes: &[u8]) {
    home.file.write_all_at(bytes, 0).unwrap();
}

/// Which fields of a footer are wrong, as bits: none, one, or any.
fn wrong_fields(input: &mut Bytes) -> u16 {
    match input.byte() {
        0..=99 => 0,
        byte @ 100..=199 => 1 << (byte % 16),
        _ => input.short(),
    }
}

/// A footer of which the fields that are asked for have values of the input.
fn footer_of(
    home: &Home,
    ty: Type,
    size: u64,
    len: u64,
    fields: u16,
    values: &mut Bytes,
) -> [u8; footer::SIZE] {
    let mut footer = home.footer(ty, size, len);
    // Any length, or one that nearly fits.
    let most = size.saturating_sub(footer::SIZE as u64) / ty.size() as u64;
    let some_length =
        |value: u64| if value % 2 == 1 { value } else { (most + value / 2 % 8).saturating_sub(3) };
    let mut value = |bit: u8| (fields & 1 << bit != 0).then(|| values.long());
    if let Some(value) = value(0) {
        footer.version = value as u32;
    }
    if let Some(value) = value(1) {
        footer.kind = value as u32;
    }
    if let Some(value) = value(2) {
        footer.itemsize = value as u32;
    }
    if let Some(value) = value(3) {
        footer.offset = value;
    }
    if let Some(value) = value(4) {
        footer.file_size = footer.file_size.wrapping_add(value);
    }
    if let Some(value) = value(5) {
        footer.inode ^= value;
    }
    if let Some(value) = value(6) {
        footer.len = some_length(value);
    }
    let is_reversed = value(7).is_some();
    if let Some(value) = value(8) {
        footer.format = value;
    }
    if let Some(value) = value(9) {
        footer.device ^= value;
    }
    if let Some(value) = value(10) {
        footer.flags = value as u32;
    }
    if let Some(value) = value(11) {
        footer.zero = value as u32;
    }
    if let Some(value) = value(12) {
        footer.bell = value as u32;
    }
    if let Some(value) = value(13) {
        footer.holder = value;
    }
    if let Some(value) = value(14) {
        footer.reach = some_length(value);
    }
    if let Some(value) = value(15) {
        footer.epoch = value;
    }
    let mut bytes = footer.encode();
    if is_reversed {
        bytes[..8].reverse();
        footer::seal(&mut bytes);
    }
    bytes
}

fn open(home: Home, ty: Type, how: How, calls: &mut Bytes) {
    let expected = home.opening(ty, how);
    if expected.is_err() {
        let before = home.contents();
        assert_eq!(home.open(ty, how).err(), expected.err(), "opening as {} by {how:?}", ty.name());
        assert!(home.contents() == before, "a refused file is as it was");
        return;
    }
    let is_frozen = !how.can_change_length();
    let mut world = World::new(home, ty, is_frozen);
    world.open(0, how);
    world.read_all();
    world.run(calls);
    world.finish();
}

/// A sparse file of up to as many bytes as a file can have, with a footer or without. It can't be compared as a
/// whole, and a part of what can be asked of it is too much.
fn open_huge(home: Home, ty: Type, how: How, input: &mut Bytes) {
    let size = (1u64 << (20 + input.below(43))).wrapping_add_signed(i64::from(input.short() as i16) * 64);
    let with_footer = size.is_multiple_of(PAGE as u64) && input.coin();
    if home.file.set_len(size).is_err() {
        return;
    }
    if with_footer {
        let fields = wrong_fields(input);
        let values = &mut Bytes::new(input.take(fields.count_ones() as usize * 8));
        let len = if input.coin() { input.long() } else { u64::from(input.short()) };
        let footer = footer_of(&home, ty, size, len, fields, values);
        home.file.write_all_at(&footer, size - footer::SIZE as u64).unwrap();
    }
    let (_, reading) = home.reading(ty);
    let how = How { reservation: 0, ..how };
    let raw = match (home.open(ty, how), home.opening(ty, how)) {
        (Ok(raw), Ok(_)) => raw,
        // There is a limit on what a process can address.
        (Err(libc::ENOMEM | libc::EOVERFLOW | MBA_ELIMIT), Ok(reading)) => {
            let bytes = reading.len.saturating_mul(ty.size() as u64);
            assert!(bytes >= 1 << 38, "there is room for {} elements", reading.len);
            return assert_eq!(home.size(), size, "a refused file is as long as it was");
        }
        (result, expected) => {
            assert_eq!(result.err(), expected.err(), "opening as {} by {how:?}", ty.name());
            return assert_eq!(home.size(), size, "a refused file is as long as it was");
        }
    };
    let reading = reading.unwrap();
    let len = raw.len();
    assert_eq!(len as u64, reading.len);
    for index in [0, len / 2, len.wrapping_sub(1)] {
        let expected = if len > 0 { Ok(vec![0; ty.size()]) } else { Err(MBA_EINDEX) };
        let end = (index as u64).wrapping_add(1).saturating_mul(ty.size() as u64);
        let is_end = end > size.saturating_sub(footer::SIZE as u64);
        let found = raw.get(index);
        assert!(found == expected || (is_end && found.is_ok()), "element {index}: {found:?}");
    }
    let value = vec![1; ty.size()];
    let mut expected_len = len;
    let mut is_changed = false;
    for _ in 0..4 {
        let (call, result) = match input.byte() % 6 {
            0 => (1, raw.append(&value)),
            1 => (-1, raw.pop().map(drop)),
            2 => (0, raw.lock(0)),
            3 => (0, raw.shrink_to_fit()),
            4 => (0, raw.refresh()),
            _ => (0, raw.flush()),
        };
        match result {
            Ok(()) => expected_len = expected_len.wrapping_add_signed(call),
            Err(
                MBA_EREADONLY
                | MBA_EFIXED
                | MBA_EPARTIAL
                | MBA_ELIMIT
                | MBA_EEMPTY
                | libc::EFBIG
                | libc::ENOSPC,
            ) => {}
            Err(code) => panic!("an error: {code}"),
        }
        is_changed |= raw.has_lock();
        let taken = home.file.metadata().unwrap().blocks() * 512;
        assert!(taken < 64 << 20, "{taken} bytes of memory are taken");
        assert_eq!(raw.len(), expected_len);
    }
    let closed = raw.close();
    if !how.can_change_length() || (!is_changed && !reading.has_footer) {
        assert_eq!(closed, Ok(()));
        assert_eq!(home.size(), size, "a file that wasn't changed is as long as it was");
    } else if !home.is_sealed {
        assert_eq!(closed, Ok(()));
        assert_eq!(home.size(), expected_len as u64 * ty.size() as u64 + reading.rest, "its elements");
    }
}
