//! Calls about the lock, spare room and other handles, and others who open the file.

use std::os::unix::fs::FileExt;

use mmap_backed_array::capi::*;

use super::bytes::Bytes;
use super::home::How;
use super::world::World;
use crate::helpers::footer::{self, PAGE};
use crate::helpers::raw::{Code, code};

impl World {
    /// The lock, spare room, other handles.
    pub(super) fn use_storage(&mut self, operation: u8, slot: usize, input: &mut Bytes) {
        match operation {
            27 => {
                let capacity = self.length(slot, input);
                let result = self.raw(slot).reserve(capacity);
                let expected = self.take_lock(slot).and_then(|()| {
                    if capacity <= self.handle(slot).len { Ok(()) } else { self.fits(slot, Some(capacity)) }
                });
                let is_exact = self.handle(slot).how.flags & MBA_EXACT != 0;
                if self.expect(slot, "reserve", &result, expected) && !is_exact {
                    assert!(self.raw(slot).capacity() >= capacity, "reserve makes room");
                }
            }
            28 => {
                let result = self.raw(slot).shrink_to_fit();
                let expected = self.take_lock(slot);
                if self.expect(slot, "shrink_to_fit", &result, expected)
                    && !self.home.is_sealed
                    && !self.looks_like_footer()
                    && !self.has_company(slot)
                {
                    assert_eq!(self.home.size(), self.elements.len() as u64, "the size of a shrunk file");
                }
            }
            29 => {
                let result = self.raw(slot).lock(if self.holder.is_none() { -1 } else { 0 });
                let expected = self.take_lock(slot);
                self.expect(slot, "lock", &result, expected);
            }
            30 | 31 => {
                let result = self.raw(slot).unlock();
                if self.expect(slot, "unlock", &result, Ok(())) && self.holder == Some(slot) {
                    self.holder = None;
                    assert!(!self.is_mistakable(), "a file that is given out of hand can be read");
                }
            }
            32 => {
                let result = self.raw(slot).refresh();
                let handle = self.handle(slot);
                let end = self.elements.len() as u64;
                let follows = handle.own.is_none() && self.holder != Some(slot);
                if follows && handle.how.reserved().is_some_and(|bytes| end > bytes) {
                    assert_eq!(result, Err(MBA_ELIMIT), "what refresh says");
                } else {
                    assert_eq!(result, Ok(()), "what refresh says");
                    if follows {
                        self.publish(slot);
                    }
                }
            }
            33 => assert_eq!(self.raw(slot).flush(), Ok(()), "what flush says"),
            34 => {
                self.close(slot);
                if !self.is_mistakable() {
                    self.open_any(slot, input);
                }
            }
            35 => self.scribble(slot, input),
            36 => {
                let (start, count) = (self.number(slot, input), self.number(slot, input));
                let advice = i32::from(input.byte() % 7);
                self.freshen(slot);
                let expected = if advice > MBA_ADVICE_DONTNEED {
                    Err(libc::EINVAL)
                } else {
                    self.range_is_within(slot, start, count)
                };
                // SAFETY: the handle exists.
                let result = code(unsafe { mba_advise(self.raw(slot).as_ptr(), start, count, advice) });
                assert_eq!(result, expected, "what advise says");
            }
            37 => self.mimic(slot, input),
            _ => self.peek(input),
        }
    }

    /// Makes the array's last elements look like a footer, sound or not, in whole pages. Only who has the lock may.
    pub(super) fn mimic(&mut self, slot: usize, input: &mut Bytes) {
        if self.take_lock_now(slot).is_err() {
            return;
        }
        let pages = 1 + input.below(3);
        let (len, size) = (pages * PAGE / self.size, self.size);
        if len * size != pages * PAGE {
            return;
        }
        let result = self.raw(slot).resize(len);
        self.resized(slot, "resize", result, len);
        if self.published() != len {
            return;
        }
        let mut last = self.home.footer(self.ty, (pages * PAGE) as u64, u64::from(input.short())).encode();
        match input.byte() {
            0..=99 => {}
            100..=149 => last[8..].fill(1),
            150..=199 => last[..8].reverse(),
            byte => last[usize::from(byte) % footer::SIZE] ^= input.byte(),
        }
        let count = footer::SIZE.div_ceil(size);
        let mut values = vec![0; count * size - footer::SIZE];
        values.extend(last);
        let result = self.raw(slot).write(len - count, &values);
        self.written(slot, "write", result, len - count, &values);
    }

    pub(super) fn take_lock_now(&mut self, slot: usize) -> Code<()> {
        let result = self.raw(slot).lock(0);
        let expected = self.take_lock(slot);
        self.expect(slot, "lock", &result, expected);
        result
    }

    /// Somebody else opens the file as elements of any type, and closes it.
    pub(super) fn peek(&mut self, input: &mut Bytes) {
        let ty = input.ty();
        let how = if self.is_frozen {
            How::one_of(&[MBA_RDONLY, MBA_PRIVATE], input)
        } else {
            How::one_of(&[MBA_RDONLY, MBA_RDWR, MBA_RDWR | MBA_EXACT, MBA_PRIVATE], input)
        };
        if self.is_mistakable() {
            return;
        }
        let expected = self.home.opening(ty, how);
        if expected.is_ok() && how.can_change_length() {
            self.untouched = None;
        }
        match (self.home.open(ty, how), expected) {
            (Ok(raw), Ok(reading)) => {
                assert_eq!(raw.len() as u64, reading.len, "the length of the file as {}", ty.name());
                if raw.len() > 0 {
                    let last = raw.get(raw.len() - 1).unwrap();
                    let at = (raw.len() - 1) * ty.size();
                    let mut expected = vec![0; ty.size()];
                    self.home.file.read_exact_at(&mut expected, at as u64).unwrap();
                    assert_eq!(last, expected, "the last element as {}", ty.name());
                }
                assert_eq!(raw.close(), Ok(()));
            }
            (result, expected) => {
                assert_eq!(result.err(), expected.err(), "opening as {} by {how:?}", ty.name());
            }
        }
    }
}
