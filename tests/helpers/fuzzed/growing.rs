//! Calls that change the length.

use mmap_backed_array::capi::*;

use super::bytes::Bytes;
use super::element::element;
use super::world::{MOST, SLOTS, World};
use crate::helpers::raw::Code;

impl World {
    /// Calls that change the length.
    pub(super) fn change(&mut self, operation: u8, slot: usize, input: &mut Bytes) {
        match operation {
            0 => {
                let value = self.value(slot, input);
                self.append(slot, &value);
            }
            1 => {
                for seed in 0..u64::from(input.byte()) {
                    if self.elements.len() < MOST {
                        self.append(slot, &element(seed, self.ty));
                    }
                }
            }
            2 => {
                let count = self.count(slot, input);
                let values = self.values(count, input);
                let result = self.raw(slot).extend(&values);
                let may_change = if count > 0 { self.take_lock(slot) } else { self.may_change(slot) };
                let fits = may_change.and_then(|()| self.fits_more(slot, 0, count));
                if self.expect(slot, "extend", &result, fits) && count > 0 {
                    self.elements.extend_from_slice(&values);
                    self.publish(slot);
                }
            }
            3 => {
                let (from, count) = self.own_range(slot, input);
                let values = self.own(slot, from, count);
                let result = self.raw(slot).extend_from_itself(from, count);
                let may_change = if count > 0 { self.take_lock(slot) } else { self.may_change(slot) };
                let fits = may_change.and_then(|()| self.fits_more(slot, 0, count));
                if self.expect(slot, "extend from itself", &result, fits) && count > 0 {
                    self.elements.extend_from_slice(&values);
                    self.publish(slot);
                }
            }
            4 => {
                let (index, value) = (self.number(slot, input), self.value(slot, input));
                if self.elements.len() > MOST {
                    return;
                }
                let result = self.raw(slot).insert(index, &value);
                self.spliced(slot, "insert", result, index, 0, &value);
            }
            5 => {
                // The other handle's address of the element counts, or this one's.
                let Some(other) = self.another(slot, input) else { return };
                let index = self.number(slot, input);
                self.freshen(other);
                let len = self.handle(other).len;
                if len == 0 || self.elements.len() > MOST {
                    return;
                }
                let from = usize::from(input.short()) % len;
                let value = self.own(other, from, 1);
                let result = self.raw(slot).insert_from_other(index, self.raw(other), from);
                self.spliced(slot, "insert from another handle", result, index, 0, &value);
            }
            6 => {
                let index = self.number(slot, input);
                let result = self.raw(slot).remove(index);
                let mut expected = self.take_lock(slot).and_then(|()| self.range_is_within(slot, index, 1));
                let mut value = Vec::new();
                if expected.is_ok() {
                    value = self.own(slot, index, 1);
                }
                if result.is_err() && expected.is_ok() {
                    expected = Err(0);
                }
                let expected = expected.map(|()| value);
                if self.expect(slot, "remove", &result, expected) {
                    self.elements.drain(index * self.size..(index + 1) * self.size);
                    self.publish(slot);
                }
            }
            7 => self.pop(slot),
            8 => {
                for _ in 0..input.byte() {
                    self.pop(slot);
                }
            }
            9 => {
                let (start, removed) = (self.number(slot, input), self.number(slot, input));
                let count = if input.below(4) == 0 { removed.min(300) } else { self.count(slot, input) };
                let values = self.values(count, input);
                if removed == count {
                    self.freshen(slot);
                }
                let result = self.raw(slot).splice(start, removed, &values);
                self.spliced(slot, "splice", result, start, removed, &values);
            }
            10 => {
                let (from, count) = self.own_range(slot, input);
                let (start, removed) = (self.number(slot, input), self.number(slot, input));
                let values = self.own(slot, from, count);
                let result = self.raw(slot).splice_from_itself(start, removed, from, count);
                self.spliced(slot, "splice from itself", result, start, removed, &values);
            }
            11 => {
                let len = self.length(slot, input);
                let result = self.raw(slot).resize(len);
                self.resized(slot, "resize", result, len);
            }
            12 => {
                let result = self.raw(slot).clear();
                self.resized(slot, "clear", result, 0);
            }
            _ => self.commit(slot, input),
        }
    }

    /// Whether the handle is one that changes lengths; who has the lock doesn't matter.
    pub(super) fn may_change(&self, slot: usize) -> Code<()> {
        let handle = self.handle(slot);
        match handle.how.flags {
            MBA_RDONLY => Err(MBA_EREADONLY),
            _ if handle.own.is_some() => Err(MBA_EFIXED),
            _ => Ok(()),
        }
    }

    pub(super) fn fits_more(&self, slot: usize, removed: usize, count: usize) -> Code<()> {
        match (self.handle(slot).len - removed).checked_add(count) {
            // A length that is there fits.
            Some(len) if len <= self.handle(slot).len => Ok(()),
            len => self.fits(slot, len),
        }
    }

    pub(super) fn append(&mut self, slot: usize, value: &[u8]) {
        let result = self.raw(slot).append(value);
        let expected = self.take_lock(slot).and_then(|()| self.fits_more(slot, 0, 1));
        if self.expect(slot, "append", &result, expected) {
            self.elements.extend_from_slice(value);
            self.publish(slot);
        }
    }

    pub(super) fn pop(&mut self, slot: usize) {
        let result = self.raw(slot).pop();
        let expected = match self.take_lock(slot) {
            Err(code) => Err(code),
            Ok(()) if self.elements.is_empty() => Err(MBA_EEMPTY),
            Ok(()) => Ok(self.own(slot, self.published() - 1, 1)),
        };
        if self.expect(slot, "pop", &result, expected) {
            self.elements.truncate(self.elements.len() - self.size);
            self.publish(slot);
        }
    }

    pub(super) fn spliced(
        &mut self,
        slot: usize,
        call: &str,
        result: Code<()>,
        start: usize,
        removed: usize,
        values: &[u8],
    ) {
        let count = values.len() / self.size;
        if removed == count {
            return self.written(slot, call, result, start, values);
        }
        let expected = self
            .take_lock(slot)
            .and_then(|()| self.range_is_within(slot, start, removed))
            .and_then(|()| self.fits_more(slot, removed, count));
        if self.expect(slot, call, &result, expected) {
            self.elements.splice(start * self.size..(start + removed) * self.size, values.iter().copied());
            self.publish(slot);
        }
    }

    pub(super) fn resized(&mut self, slot: usize, call: &str, result: Code<()>, len: usize) {
        let expected = self
            .take_lock(slot)
            .and_then(|()| if len <= self.handle(slot).len { Ok(()) } else { self.fits(slot, Some(len)) });
        if self.expect(slot, call, &result, expected) {
            self.elements.resize(len * self.size, 0);
            self.publish(slot);
        }
    }

    /// Publishes what lies behind the last element, whatever that is.
    pub(super) fn commit(&mut self, slot: usize, input: &mut Bytes) {
        if self.holder == Some(slot) && input.coin() {
            self.scribble(slot, input);
        }
        let had_lock = self.holder == Some(slot);
        let len = self.number(slot, input);
        let capacity = self.raw(slot).capacity();
        let result = self.raw(slot).commit(len);
        let expected = self.take_lock(slot).and_then(|()| {
            // Who takes the lock only now may find room.
            let within = if had_lock { len <= capacity } else { result.is_ok() };
            if len >= self.handle(slot).len && within { Ok(()) } else { Err(MBA_EINDEX) }
        });
        if self.expect(slot, "commit", &result, expected) {
            let from = self.elements.len();
            // SAFETY: so many elements are published now, and nobody changes them.
            let found = unsafe { std::slice::from_raw_parts(self.handle(slot).address, len * self.size) };
            self.elements.extend_from_slice(&found[from..]);
            self.publish(slot);
        }
    }

    /// Stores behind the last element.
    pub(super) fn scribble(&mut self, slot: usize, input: &mut Bytes) {
        let (handle, size) = (self.handle(slot), self.size);
        let room = (handle.raw.capacity() - handle.len).min(MOST / size);
        if self.holder == Some(slot) && room > 0 {
            let values = self.values(room, input);
            // SAFETY: the handle has the lock, and room for so many elements behind its length.
            unsafe { handle.address.add(handle.len * size).copy_from(values.as_ptr(), values.len()) };
        }
    }

    /// Another open handle, or this one.
    pub(super) fn another(&self, slot: usize, input: &mut Bytes) -> Option<usize> {
        let other = input.below(SLOTS);
        (self.handles[other].is_some() && (!self.is_mistakable() || other == slot)).then_some(other)
    }
}
