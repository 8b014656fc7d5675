//! Making a handle: from a path, a name, a descriptor, or memory that somebody else has.

use core::cell::Cell;
use core::ffi::CStr;
use core::sync::atomic::{AtomicPtr, AtomicU8, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::os::fd::RawFd;

use super::access::Access;
use super::backing::{Backing, SHARED_MEMORY};
use super::file_state::{read_state, state_of};
use super::lock_state::LockState;
use super::mapping::Mapping;
use super::refresh::{Known, Layer};
use super::reserve::Reservation;
use super::{File, Layout, READ_ONLY, STORED, Storage, UNCHANGED, WORKS, fork, registry, sys};
use crate::error::{Error, Result};
use crate::options::OpenOptions;

impl Storage {
    pub fn open(path: &CStr, options: &OpenOptions, layout: Layout) -> Result<Box<Storage>> {
        Storage::map(Backing::path(path, options)?, options.reservation, layout)
    }

    pub fn open_shared(name: &CStr, options: &OpenOptions, layout: Layout) -> Result<Box<Storage>> {
        Storage::map(Backing::shared_memory(name, options)?, options.reservation, layout)
    }

    pub fn anonymous(options: &OpenOptions, layout: Layout) -> Result<Box<Storage>> {
        Storage::map(Backing::anonymous(options)?, options.reservation, layout)
    }

    pub fn from_fd(fd: RawFd, options: &OpenOptions, layout: Layout) -> Result<Box<Storage>> {
        Storage::map(Backing::descriptor(fd, options)?, options.reservation, layout)
    }

    /// Views memory that somebody else owns.
    ///
    /// # Safety
    /// `data` must be valid for `len` elements, and aligned for them, until the storage is dropped; for
    /// writes too unless `read_only`.
    pub unsafe fn from_memory(
        data: *mut u8,
        len: usize,
        read_only: bool,
        layout: Layout,
    ) -> Result<Box<Storage>> {
        let access = if read_only { Access::FixedRead } else { Access::Fixed };
        try_box(Storage::new(data, len, access, None, layout))
    }

    fn map(backing: Backing, wanted: u64, layout: Layout) -> Result<Box<Storage>> {
        let Backing { place, stat, bytes, access, presence, path, new_in } = backing;
        let found = match bytes {
            Some(bytes) => state_of(&layout, (stat, Some(bytes)))?,
            None => read_state(place.any(), &layout, stat, None)?,
        };
        // A map of hugetlbfs covers the whole file, and no more.
        let huge = matches!(access, Access::Fixed | Access::FixedRead);
        let end = if huge { Some(found.stat.size) } else { layout.end_of(found.len as u64) };
        let reservation = Reservation::new(place.any(), end.ok_or(Error::Limit)?, access, wanted)?;
        // SAFETY: the offset of the elements is small, and the mapping has a page at least.
        let data = unsafe { reservation.base().add(layout.offset as usize) };
        if found.stat.names > 0 {
            // What is in a file needn't be in a core dump too. One advice for the whole costs a tenth of what one for a part
            // of it does.
            reservation.dump_nothing();
            if path.as_deref().is_some_and(|path| path.to_bytes().starts_with(SHARED_MEMORY)) {
                // Names there are often removed as soon as all have opened them.
                reservation.dump_nothing_without_a_name();
            }
        }
        if !access.has_fixed_length() {
            reservation.use_up_to(found.stat.size);
        }
        let mapping = Mapping {
            reservation,
            place,
            identity: found.stat.identity,
            presence,
            access,
            layout,
            path,
            led: Cell::new(false),
            forked: Cell::new(false),
        };
        let file = File {
            mapping,
            state: LockState::default(),
            known: Cell::new(Known {
                stat: found.stat,
                bytes: found.bytes,
                has_footer: found.footer.is_some(),
            }),
            new_in: Cell::new(new_in),
            layer: Cell::new(if access == Access::Read { Layer::Unknown } else { Layer::No }),
        };
        let storage = try_box(Storage::new(data, found.len, access, Some(file), layout))?;
        storage.epoch.store(found.footer.map_or(0, |footer| footer.epoch), Relaxed);
        if let Some(File { mapping, .. }) = &storage.file {
            let map = &mapping.reservation;
            mapping.place.show(map.base(), map.bytes() as usize, mapping.identity, &raw const *storage);
            fork::let_pass();
        }
        Ok(storage)
    }

    fn new(data: *mut u8, len: usize, access: Access, file: Option<File>, layout: Layout) -> Storage {
        let room = file.as_ref().map_or(&registry::SHUT.room, |file| &file.mapping.place.gate.room);
        Storage {
            data,
            len: AtomicUsize::new(len),
            room,
            publish: AtomicPtr::new(core::ptr::null_mut()),
            layout,
            access,
            state: AtomicU8::new(WORKS),
            stores: AtomicU8::new(match access {
                Access::Read | Access::FixedRead => READ_ONLY,
                // Nobody else learns of a change by the file's times.
                Access::Private | Access::Anonymous | Access::Fixed => STORED,
                Access::Write { .. } => UNCHANGED,
            }),
            capacity: AtomicUsize::new(len),
            epoch: AtomicU64::new(0),
            file,
        }
    }
}

/// Removes the name of a shared-memory object.
pub(crate) fn unlink_shared(name: &CStr) -> Result<()> {
    sys::shm_unlink(name)
}

/// A box, or `ENOMEM` instead of the end of the process.
fn try_box<T>(value: T) -> Result<Box<T>> {
    let mut one = Vec::new();
    one.try_reserve_exact(1).map_err(|_| Error::NO_MEMORY)?;
    one.push(value);
    let slice: Box<[T; 1]> = one.into_boxed_slice().try_into().map_err(|_| Error::NO_MEMORY)?;
    // SAFETY: an array of one element has the layout of the element, and the box gives up its ownership.
    Ok(unsafe { Box::from_raw(Box::into_raw(slice).cast::<T>()) })
}
