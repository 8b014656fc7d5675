//! One file, up to three handles on it, and a model of what it holds and what each handle knows of it.
//!
//! The model follows the manual: one handle at a time has the growth lock, takes up the published length with it,
//! and may change the length; the others keep the length that they knew. After each call the file is looked at as
//! another process would see it, and each handle's length, pointer and elements are compared.

use std::os::fd::BorrowedFd;

use mmap_backed_array::Type;
use mmap_backed_array::capi::*;

use super::home::{Home, How};
use crate::helpers::footer::{self, PAGE};
use crate::helpers::raw::{Code, Raw};

/// The model stays below about this many bytes.
pub(super) const MOST: usize = 100_000;
pub(super) const SLOTS: usize = 3;

pub(super) struct Handle {
    pub(super) raw: Raw,
    pub(super) how: How,
    /// The length that it knows, in elements.
    pub(super) len: usize,
    /// The length that it knew before it took the lock.
    pub(super) knew: usize,
    pub(super) address: *mut u8,
    /// The most elements.
    pub(super) most: usize,
    /// A private copy's elements, or the caller's memory's.
    pub(super) own: Option<Vec<u8>>,
    /// The caller's memory.
    pub(super) memory: Vec<u128>,
}

impl Handle {
    pub(super) fn may_write(&self) -> bool {
        self.how.flags != MBA_RDONLY
    }
}

pub struct World {
    pub(super) ty: Type,
    pub(super) size: usize,
    pub(super) home: Home,
    /// The elements that are published.
    pub(super) elements: Vec<u8>,
    /// The file ends inside an element.
    pub(super) is_partial: bool,
    pub(super) handles: [Option<Handle>; SLOTS],
    /// Who has the growth lock.
    pub(super) holder: Option<usize>,
    /// What the file held, as long as nobody may change it.
    pub(super) untouched: Option<Vec<u8>>,
    /// No handle may change the length, or what others see.
    pub(super) is_frozen: bool,
    /// The length at which the last elements looked like a footer, so that a page of spare room stays until the
    /// next change of the length, also when they don't any more.
    pub(super) mimicked: Option<usize>,
    /// Others had the file open when elements were taken away from an exact one, so that spare room stays until the
    /// next change of the length, also when they have gone.
    lingers: bool,
}

impl World {
    /// Of a file that is as it is, and of no handle yet. It must read as elements of the type.
    pub(super) fn new(home: Home, ty: Type, is_frozen: bool) -> World {
        let contents = home.contents();
        let (_, reading) = home.reading(ty);
        let reading = reading.expect("a file that reads");
        let elements = contents[..reading.len as usize * ty.size()].to_vec();
        World {
            ty,
            size: ty.size(),
            home,
            elements,
            is_partial: reading.rest > 0,
            handles: [None, None, None],
            holder: None,
            untouched: Some(contents),
            is_frozen,
            mimicked: None,
            lingers: false,
        }
    }

    /// Of anonymous memory, which has a handle already.
    pub(super) fn anonymous(ty: Type) -> World {
        let raw = Raw::anonymous(ty).unwrap();
        // SAFETY: the descriptor is the handle's, which exists.
        let fd = unsafe { BorrowedFd::borrow_raw(raw.fd()) }.try_clone_to_owned().unwrap();
        let mut world = World::new(Home::of(fd.into(), true), ty, false);
        world.untouched = None;
        world.put(0, raw, How { flags: MBA_RDWR, by_fd: true, reservation: 0 }, 0);
        world
    }

    pub(super) fn put(&mut self, slot: usize, raw: Raw, how: How, len: usize) {
        let most = how.reserved().map_or(raw.reserved(), |bytes| (bytes as usize - footer::SIZE) / self.size);
        let own = (how.flags == MBA_PRIVATE).then(|| self.elements.clone());
        let address = raw.data();
        self.handles[slot] =
            Some(Handle { raw, how, len, knew: len, address, most, own, memory: Vec::new() });
    }

    /// A free slot gets a handle on the file.
    pub(super) fn open(&mut self, slot: usize, how: How) {
        let expected = self.home.opening(self.ty, how);
        let before = expected.is_err().then(|| self.home.contents());
        if how.can_change_length() {
            // Also one that is refused could have changed the file; but then it must not have.
            self.untouched = self.untouched.take().filter(|_| expected.is_err());
        }
        match (self.home.open(self.ty, how), expected) {
            (Ok(raw), Ok(reading)) => {
                assert_eq!(reading.len as usize * self.size, self.elements.len(), "the file's length");
                self.put(slot, raw, how, reading.len as usize);
            }
            (result, expected) => {
                assert_eq!(result.err(), expected.err(), "opening by {how:?}");
                assert!(before == Some(self.home.contents()), "a refused file is as it was");
            }
        }
    }

    /// A free slot gets a handle on memory of the caller's with the file's elements.
    pub(super) fn view_memory(&mut self, slot: usize, flags: u32) {
        let mut memory = vec![0u128; self.elements.len().div_ceil(16)];
        let data = memory.as_mut_ptr().cast::<u8>();
        // SAFETY: the vector has room for the elements, and goes when the handle has gone.
        let raw = unsafe {
            data.copy_from(self.elements.as_ptr(), self.elements.len());
            Raw::memory(data, self.elements.len(), self.ty, flags)
        };
        let how = How { flags, by_fd: false, reservation: 0 };
        self.put(slot, raw.unwrap(), how, self.elements.len() / self.size);
        let handle = self.handles[slot].as_mut().unwrap();
        (handle.memory, handle.own) = (memory, Some(self.elements.clone()));
    }

    pub(super) fn close(&mut self, slot: usize) {
        let Some(handle) = self.handles[slot].take() else { return };
        assert_eq!(handle.raw.close(), Ok(()), "closing");
        if self.holder == Some(slot) {
            self.holder = None;
        }
    }

    pub(super) fn handle(&self, slot: usize) -> &Handle {
        self.handles[slot].as_ref().expect("an open handle")
    }

    pub(super) fn raw(&self, slot: usize) -> &Raw {
        &self.handle(slot).raw
    }

    /// How many elements are published.
    pub(super) fn published(&self) -> usize {
        self.elements.len() / self.size
    }

    /// What a handle sees of what is published.
    pub(super) fn seen(&self, slot: usize) -> &[u8] {
        let handle = self.handle(slot);
        match &handle.own {
            Some(own) => own,
            None => &self.elements[..(handle.len * self.size).min(self.elements.len())],
        }
    }

    pub(super) fn seen_mut(&mut self, slot: usize) -> &mut [u8] {
        let handle = self.handles[slot].as_mut().expect("an open handle");
        match &mut handle.own {
            Some(own) => own,
            None => {
                let seen = (handle.len * self.size).min(self.elements.len());
                &mut self.elements[..seen]
            }
        }
    }

    /// Whether the last elements would read as a footer at the end of the file.
    pub(super) fn looks_like_footer(&self) -> bool {
        let end = self.elements.len();
        end > 0 && end.is_multiple_of(PAGE) && footer::has_magic(&self.elements[end - footer::SIZE..])
    }

    /// Whether they lie there, so that nobody but the holder of the lock knows better.
    pub(super) fn is_mistakable(&self) -> bool {
        self.looks_like_footer() && self.home.size() == self.elements.len() as u64
    }

    /// What taking the lock comes to, if the handle hasn't got it, and what it then knows.
    pub(super) fn take_lock(&mut self, slot: usize) -> Code<()> {
        let published = self.published();
        let (holder, is_partial) = (self.holder, self.is_partial);
        let handle = self.handles[slot].as_mut().expect("an open handle");
        handle.knew = handle.len;
        if handle.how.flags == MBA_RDONLY {
            return Err(MBA_EREADONLY);
        }
        if handle.own.is_some() {
            return Err(MBA_EFIXED);
        }
        match holder {
            Some(holder) if holder == slot => return Ok(()),
            Some(_) => return Err(MBA_ELOCKED),
            None if is_partial => return Err(MBA_EPARTIAL),
            None if published > handle.most => return Err(MBA_ELIMIT),
            None => {}
        }
        handle.len = published;
        self.holder = Some(slot);
        Ok(())
    }

    /// Whether a length fits a handle's reservation.
    pub(super) fn fits(&self, slot: usize, len: Option<usize>) -> Code<()> {
        if len.is_some_and(|len| len <= self.handle(slot).most) { Ok(()) } else { Err(MBA_ELIMIT) }
    }

    /// Compares a call's result. With a small reservation there are three cases in which there is no room to leave
    /// the file as it should be, which may be an error at any call: nothing else has changed then. The third is a footer
    /// that lies beyond the reservation, where others have seen more elements than there are.
    pub(super) fn expect<T: PartialEq + std::fmt::Debug>(
        &mut self,
        slot: usize,
        call: &str,
        result: &Code<T>,
        expected: Code<T>,
    ) -> bool {
        let excused = self.handle(slot).how.reserved().is_some()
            && (self.home.is_sealed || self.looks_like_footer() || self.has_company(slot))
            && result.as_ref().err() == Some(&MBA_ELIMIT);
        if excused {
            let (raw, slot_has) = (&self.handle(slot).raw, self.handle(slot).raw.has_lock());
            let len = raw.len();
            let known = self.handle(slot).knew;
            assert!(len == known || len == self.published(), "{call} left {len} of {known}");
            self.handles[slot].as_mut().unwrap().len = len;
            if self.holder == Some(slot) || slot_has {
                self.holder = slot_has.then_some(slot);
            }
        } else {
            assert_eq!(*result, expected, "what {call} says");
        }
        result.is_ok()
    }

    /// After a change of the length that went well.
    pub(super) fn publish(&mut self, slot: usize) {
        let len = self.published();
        self.handles[slot].as_mut().expect("an open handle").len = len;
    }

    /// Where a handle knows of more elements than there are: all that it knows of can be read, and a store there, which
    /// needs no lock, does nobody any harm. Then it takes up what is published.
    pub(super) fn freshen(&mut self, slot: usize) {
        if self.handle(slot).own.is_none() && self.handle(slot).len > self.published() {
            let handle = self.handle(slot);
            let (from, to) = (self.elements.len(), handle.len * self.size);
            for at in from..to {
                // SAFETY: the handle has taken it for a part of an element; that this is enough is what is tried here.
                unsafe {
                    let byte = handle.address.add(at);
                    std::hint::black_box(byte.read_volatile());
                    if handle.may_write() {
                        byte.write_volatile(0xee);
                    }
                }
            }
            assert_eq!(self.raw(slot).refresh(), Ok(()), "refresh of a shorter array");
            self.publish(slot);
        }
    }

    /// All that must hold after each call.
    pub(super) fn check(&mut self, slot: usize) {
        for (at, handle) in self.handles.iter().enumerate() {
            let Some(handle) = handle else { continue };
            assert_eq!(handle.raw.len(), handle.len, "the length that handle {at} knows");
            assert_eq!(handle.raw.data(), handle.address, "the address in handle {at}");
            assert_eq!(handle.raw.has_lock(), self.holder == Some(at), "whether handle {at} has the lock");
            assert!(handle.raw.capacity() >= handle.len && handle.raw.reserved() >= handle.len);
            if at == slot {
                let known = self.seen(at);
                // SAFETY: the handle knows of so many elements, which are published, and nobody changes them now.
                let found = unsafe { std::slice::from_raw_parts(handle.address, known.len()) };
                let first = || found.iter().zip(known).position(|(found, known)| found != known);
                assert!(found == known, "byte {:?} and others differ in handle {at}", first());
            }
        }
        if self.is_mistakable() {
            return;
        }
        let (size, reading) = self.home.reading(self.ty);
        let reading = reading.expect("the file reads");
        assert_eq!(reading.len as usize, self.published(), "the length that others see");
        let end = self.elements.len() as u64;
        if self.looks_like_footer() {
            self.mimicked = Some(self.elements.len());
        }
        if let Some(holder) = self.holder
            && self.handle(holder).how.flags & MBA_EXACT != 0
            && self.mimicked != Some(self.elements.len())
        {
            // What others have seen stays.
            let may_differ = reading.is_shortened && (self.lingers || self.has_company(holder));
            assert!(size == end || may_differ, "an exact file of {size} bytes with {end} of elements");
            self.lingers = size != end;
        } else {
            self.lingers = reading.is_shortened;
        }
        if let Some(handle) = &self.handles[slot]
            && self.holder == Some(slot)
        {
            let room = if reading.has_footer { (size as usize - footer::SIZE) / self.size } else { 0 };
            let capacity = handle.raw.capacity();
            assert!(capacity <= room.max(handle.len), "a capacity of {capacity} in {size} bytes");
        }
    }

    /// Whether others than this handle have the file open.
    pub(super) fn has_company(&self, slot: usize) -> bool {
        let others = self.handles.iter().enumerate().filter(|(at, _)| *at != slot);
        others.filter_map(|(_, handle)| handle.as_ref()).any(|handle| handle.memory.is_empty())
    }

    /// Closes what is open, and looks at what is left.
    pub(super) fn finish(mut self) {
        // Who only reads goes first, so that the last one may write, if there is such a one.
        let readers = |handle: &Handle| !handle.how.can_change_length();
        for slot in 0..SLOTS {
            if self.handles[slot].as_ref().is_some_and(readers) {
                self.close(slot);
            }
        }
        let writers = self.handles.iter().flatten().count();
        if let Some(holder) = self.holder {
            self.close(holder);
        }
        (0..SLOTS).for_each(|slot| self.close(slot));
        let has_room = self.home.reading(self.ty).1.is_ok_and(|reading| reading.has_footer);
        if writers == 0 && has_room && !self.is_frozen {
            // The last one to close could only read; the next one who may write leaves just the elements.
            self.open(0, How { flags: MBA_RDWR, by_fd: true, reservation: 0 });
            self.close(0);
        }
        let contents = self.home.contents();
        if let Some(untouched) = &self.untouched {
            assert!(contents == *untouched, "a file that nobody could change is as it was");
            return;
        }
        let (size, reading) = self.home.reading(self.ty);
        let reading = reading.expect("a closed file reads");
        assert_eq!(reading.len as usize, self.published(), "the length in the closed file");
        assert!(contents.starts_with(&self.elements), "the elements in the closed file");
        let end = self.elements.len() as u64;
        if self.home.is_sealed {
        } else if self.looks_like_footer() {
            assert!(reading.has_footer, "elements that look like a footer have a true one behind them");
        } else {
            assert_eq!(size, end + reading.rest, "a closed file is its elements");
            assert!(!reading.has_footer);
        }
    }
}
