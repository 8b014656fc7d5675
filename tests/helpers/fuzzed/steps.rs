//! An input's calls, one after the other, and how it says numbers and elements.

use std::os::unix::fs::FileExt;

use mmap_backed_array::capi::*;

use super::bytes::Bytes;
use super::element::{element, elements};
use super::home::How;
use super::world::{MOST, SLOTS, World};
use crate::helpers::footer::{self, PAGE};
use crate::helpers::raw::Code;

impl World {
    /// Calls until the input is used up.
    pub(super) fn run(&mut self, input: &mut Bytes) {
        while !input.is_empty() {
            self.step(input);
        }
    }

    /// What every handle can do: all that reads.
    pub(super) fn read_all(&mut self) {
        for slot in 0..SLOTS {
            if self.handles[slot].is_some() {
                self.check(slot);
                let len = self.handle(slot).len;
                self.read(slot, 0, len);
                let value =
                    self.seen(slot).rchunks(self.size).next().map_or(vec![0; self.size], <[u8]>::to_vec);
                self.search(slot, &value, 0, usize::MAX);
                self.compare(slot, slot);
            }
        }
    }

    pub(super) fn step(&mut self, input: &mut Bytes) {
        let operation = input.byte();
        let mut slot = input.below(SLOTS);
        if self.is_mistakable() {
            // Nobody may look at the file now but who has the lock.
            slot = self.holder.expect("somebody has the lock");
        } else if self.handles[slot].is_none() || operation == 255 {
            self.close(slot);
            self.open_any(slot, input);
            return self.check(slot);
        }
        match operation % 40 {
            0..=13 => self.change(operation % 40, slot, input),
            14..=26 => self.use_elements(operation % 40, slot, input),
            _ => self.use_storage(operation % 40, slot, input),
        }
        if self.handles[slot].is_some() {
            self.freshen(slot);
        }
        self.check(slot);
        if self.is_mistakable() && self.holder.is_none() {
            // Stores without the lock made the last elements look like a footer, which the manual forbids:
            // undo them.
            self.undo_mimicry();
        }
    }

    /// Makes the last elements look like none, through the file.
    pub(super) fn undo_mimicry(&mut self) {
        let at = self.elements.len() - footer::SIZE;
        self.elements[at..at + 8].fill(0);
        self.home.file.write_all_at(&[0; 8], at as u64).unwrap();
    }

    pub(super) fn open_any(&mut self, slot: usize, input: &mut Bytes) {
        if self.is_frozen {
            match input.below(4) {
                0 => self.view_memory(slot, MBA_RDWR),
                1 => self.view_memory(slot, MBA_RDONLY),
                _ => self.open(slot, How::one_of(&[MBA_RDONLY, MBA_PRIVATE], input)),
            }
        } else {
            let flags = [MBA_RDWR, MBA_RDONLY, MBA_RDWR | MBA_EXACT];
            self.open(slot, How::one_of(&flags, input));
        }
    }
}

// What an input says.
impl World {
    /// A number that is meant as an index or a length: near the length, near a page's end, anything.
    pub(super) fn number(&self, slot: usize, input: &mut Bytes) -> usize {
        let handle = self.handle(slot);
        match input.byte() {
            byte @ 0..=89 => usize::from(byte),
            byte @ 90..=129 => handle.len.wrapping_add(usize::from(byte)).wrapping_sub(110),
            130..=209 => usize::from(input.short()) % (handle.len + 2),
            byte @ 210..=225 => {
                let end = (usize::from(byte) - 209) * PAGE;
                let end = if input.coin() { end - footer::SIZE } else { end };
                (end / self.size).wrapping_add(input.below(3)).wrapping_sub(1)
            }
            byte @ 226..=235 => handle.raw.capacity().wrapping_add(usize::from(byte)).wrapping_sub(230),
            byte @ 236..=240 => handle.most.saturating_add(usize::from(byte)).saturating_sub(238),
            byte @ 241..=245 => (usize::MAX / self.size).wrapping_add(usize::from(byte)).wrapping_sub(243),
            byte @ 246..=250 => (usize::MAX / 2).wrapping_add(usize::from(byte)).wrapping_sub(248),
            byte => usize::MAX - usize::from(255 - byte),
        }
    }

    /// A length to go to: small, or too large for the reservation.
    pub(super) fn length(&self, slot: usize, input: &mut Bytes) -> usize {
        let length = self.number(slot, input);
        if length > MOST / self.size && length <= self.handle(slot).most {
            length % (MOST / self.size)
        } else {
            length
        }
    }

    /// How many values to pass; the array doesn't become too long by them.
    pub(super) fn count(&self, slot: usize, input: &mut Bytes) -> usize {
        let room = (MOST / self.size).saturating_sub(self.handle(slot).len.max(self.published()));
        let count = match input.byte() {
            byte @ 0..=199 => usize::from(byte % 20),
            200..=239 => usize::from(input.short()),
            _ => self.number(slot, input).wrapping_sub(self.handle(slot).len),
        };
        if count > room { room.min(7) } else { count }
    }

    /// An element: of the input, a special one, one that is there, or part of what reads as a footer.
    pub(super) fn value(&self, slot: usize, input: &mut Bytes) -> Vec<u8> {
        let seen = self.seen(slot);
        match input.byte() {
            byte @ 0..=149 => element(u64::from(byte), self.ty),
            150..=199 if !seen.is_empty() => {
                let at = usize::from(input.short()) % (seen.len() / self.size);
                seen[at * self.size..][..self.size].to_vec()
            }
            200..=209 => footer::MAGIC.iter().copied().cycle().take(self.size).collect(),
            _ => {
                let mut value = input.take(self.size).to_vec();
                value.resize(self.size, 0);
                value
            }
        }
    }

    pub(super) fn values(&self, count: usize, input: &mut Bytes) -> Vec<u8> {
        elements(u64::from(input.short()), count, self.ty)
    }

    /// A range of the published elements, for values that are the array's own.
    pub(super) fn own_range(&mut self, slot: usize, input: &mut Bytes) -> (usize, usize) {
        self.freshen(slot);
        let len = self.handle(slot).len;
        let from = usize::from(input.short()) % (len + 1);
        (from, usize::from(input.byte()).min(len - from).min((MOST / self.size).saturating_sub(len)))
    }

    pub(super) fn own(&self, slot: usize, from: usize, count: usize) -> Vec<u8> {
        self.seen(slot)[from * self.size..(from + count) * self.size].to_vec()
    }

    pub(super) fn range_is_within(&self, slot: usize, start: usize, count: usize) -> Code<()> {
        let end = start.checked_add(count);
        if end.is_some_and(|end| end <= self.handle(slot).len) { Ok(()) } else { Err(MBA_EINDEX) }
    }
}
