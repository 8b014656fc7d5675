//! Calls that leave the length alone.

use mmap_backed_array::Kind;
use mmap_backed_array::capi::*;

use super::bytes::Bytes;
use super::element::{order, part_size, same};
use super::world::{MOST, World};
use crate::helpers::raw::{Code, Raw, code};

impl World {
    /// Calls that leave the length alone.
    pub(super) fn use_elements(&mut self, operation: u8, slot: usize, input: &mut Bytes) {
        self.freshen(slot);
        let size = self.size;
        match operation {
            14 => {
                let index = self.number(slot, input);
                let expected = self.range_is_within(slot, index, 1).map(|()| self.own(slot, index, 1));
                assert_eq!(self.raw(slot).get(index), expected, "what get says");
            }
            15 => {
                let (index, value) = (self.number(slot, input), self.value(slot, input));
                let result = self.raw(slot).set(index, &value);
                self.written(slot, "set", result, index, &value);
            }
            16 => {
                let (start, count) = (self.number(slot, input), self.number(slot, input));
                if count <= MOST {
                    self.read(slot, start, count);
                }
            }
            17 => {
                let start = self.number(slot, input);
                let count = self.number(slot, input) % (MOST / size);
                let values = self.values(count.min(self.handle(slot).len + 1), input);
                let result = self.raw(slot).write(start, &values);
                self.written(slot, "write", result, start, &values);
            }
            18 => {
                let (from, count) = self.own_range(slot, input);
                let (start, values) = (self.number(slot, input), self.own(slot, from, count));
                let result = self.raw(slot).write_from_itself(start, from, count);
                self.written(slot, "write from itself", result, start, &values);
            }
            19 => {
                let (start, count) = (self.number(slot, input), self.number(slot, input));
                let value = self.value(slot, input);
                let result = self.raw(slot).fill(start, count, &value);
                // As many values as there can be places.
                let values = value.repeat(count.min(self.handle(slot).len + 1));
                self.written(slot, "fill", result, start, &values);
            }
            20 => {
                let len = self.handle(slot).len;
                if len > 0 {
                    let from = usize::from(input.short()) % len;
                    let (start, count) = (self.number(slot, input), self.number(slot, input));
                    let value = self.own(slot, from, 1);
                    let result = self.raw(slot).fill_from_itself(start, count, from);
                    self.written(slot, "fill from itself", result, start, &value.repeat(count.min(len + 1)));
                }
            }
            21 => {
                let (value, start) = (self.value(slot, input), self.number(slot, input));
                let stop = self.number(slot, input);
                self.search(slot, &value, start, stop);
            }
            22 => {
                if let Some(other) = self.another(slot, input) {
                    self.freshen(other);
                    self.compare(slot, other);
                }
            }
            23 => self.compare_with_another_type(slot, input),
            24 | 25 => {
                let (ty, raw) = (self.ty, self.raw(slot));
                let expected = match ty.kind() {
                    _ if !self.handle(slot).may_write() => Err(MBA_EREADONLY),
                    Kind::Record if operation == 25 => Err(MBA_ETYPE),
                    _ => Ok(()),
                };
                let result = if operation == 24 { raw.reverse() } else { raw.byteswap() };
                assert_eq!(result, expected, "what reverse or byteswap says");
                if result.is_ok() {
                    let seen = self.seen_mut(slot);
                    if operation == 24 {
                        let reversed: Vec<u8> = seen.rchunks_exact(size).flatten().copied().collect();
                        seen.copy_from_slice(&reversed);
                    } else {
                        seen.chunks_exact_mut(part_size(ty)).for_each(<[u8]>::reverse);
                    }
                }
            }
            _ => self.ask_too_much(slot, input),
        }
    }

    pub(super) fn compare_with_another_type(&mut self, slot: usize, input: &mut Bytes) {
        let ty = input.ty();
        let mut memory = [0u128; 4];
        let bytes = 64 / ty.size() * ty.size();
        // SAFETY: the memory outlives the handle.
        let other = unsafe { Raw::memory(memory.as_mut_ptr().cast(), bytes, ty, MBA_RDONLY) }.unwrap();
        let alike = ty.kind() == self.ty.kind() && ty.size() == self.size;
        let expected = order(self.ty, self.seen(slot), &[0; 64][..bytes]);
        let order = expected.map_or(MBA_UNORDERED, |order| order as i32);
        let expected = if alike { Ok(order) } else { Err(MBA_ETYPE) };
        assert_eq!(self.raw(slot).compare(&other), expected, "what compare says of {}", ty.name());
    }

    /// Counts that no memory has; the call must see that before it looks at the values.
    pub(super) fn ask_too_much(&mut self, slot: usize, input: &mut Bytes) {
        let (call, start) = (input.below(5), self.number(slot, input));
        let most = [
            usize::MAX,
            usize::MAX / self.size,
            (usize::MAX / self.size).saturating_add(1),
            1 << 63,
            1 << 60,
        ];
        let count = most[input.below(most.len())];
        let mut element = [0u8; 16];
        let (array, value) = (self.raw(slot).as_ptr(), element.as_mut_ptr().cast::<std::ffi::c_void>());
        // SAFETY: the handle exists; so many elements aren't looked at, or the call fails its test.
        let result = code(unsafe {
            match call {
                0 => mba_extend(array, value, count),
                1 => mba_write(array, start, value, count),
                2 => mba_read(array, start, count, value),
                3 => mba_splice(array, start, 0, value, count),
                _ => mba_splice(array, start, count, value, count),
            }
        });
        let expected = match call {
            0 => self.take_lock(slot).and(Err(MBA_ELIMIT)),
            3 => {
                self.take_lock(slot).and_then(|()| self.range_is_within(slot, start, 0)).and(Err(MBA_ELIMIT))
            }
            2 => Err(MBA_EINDEX),
            _ if self.handle(slot).may_write() => Err(MBA_EINDEX),
            _ => Err(MBA_EREADONLY),
        };
        self.expect(slot, "a call that asks too much", &result, expected);
    }

    /// After a call that stores elements in place.
    pub(super) fn written(&mut self, slot: usize, call: &str, result: Code<()>, start: usize, values: &[u8]) {
        let size = self.size;
        let expected = if self.handle(slot).may_write() {
            self.range_is_within(slot, start, values.len() / size)
        } else {
            Err(MBA_EREADONLY)
        };
        assert_eq!(result, expected, "what {call} says");
        if result.is_ok() && !values.is_empty() {
            self.seen_mut(slot)[start * size..][..values.len()].copy_from_slice(values);
        }
    }

    pub(super) fn read(&mut self, slot: usize, start: usize, count: usize) {
        let result = self.raw(slot).read(start, count);
        let expected = self.range_is_within(slot, start, count).map(|()| self.own(slot, start, count));
        assert!(result == expected, "what read says of {count} from {start}: {:?}", result.err());
    }

    pub(super) fn search(&mut self, slot: usize, value: &[u8], start: usize, stop: usize) {
        let (ty, seen) = (self.ty, self.seen(slot).chunks_exact(self.size));
        let expected = seen
            .clone()
            .enumerate()
            .take(stop)
            .skip(start)
            .find(|(_, element)| same(ty, element, value))
            .map_or(Err(MBA_ENOTFOUND), |(at, _)| Ok(at));
        assert_eq!(self.raw(slot).find(value, start, stop), expected, "what find says");
        let expected = seen.filter(|element| same(ty, element, value)).count();
        assert_eq!(self.raw(slot).count_of(value), Ok(expected), "what count says");
    }

    pub(super) fn compare(&mut self, slot: usize, other: usize) {
        let expected = order(self.ty, self.seen(slot), self.seen(other));
        let (one, two) = (self.raw(slot), self.raw(other));
        assert_eq!(one.equal(two), Ok(expected == Some(std::cmp::Ordering::Equal)), "what equal says");
        let expected = expected.map_or(MBA_UNORDERED, |order| order as i32);
        assert_eq!(one.compare(two), Ok(expected), "what compare says");
    }
}
