//! Where a random run's array lives: how it is opened, and what a look at the file must show.

use std::ffi::CString;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use mmap_backed_array::Type;
use mmap_backed_array::capi::{MBA_CREATE, MBA_EXACT, MBA_PRIVATE, MBA_RDONLY, MBA_RDWR, mba_shm_unlink};
use tempfile::TempDir;

use super::face::{Face, Source};
use crate::helpers::Place;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Backing {
    Disk,
    Memory,
    ExactDisk,
    ExactMemory,
    Anonymous,
    Named,
    Descriptor,
    Private,
    Callers,
}

impl Backing {
    /// Whether the length can't change.
    pub fn is_fixed(self) -> bool {
        matches!(self, Backing::Private | Backing::Callers)
    }

    pub fn is_exact(self) -> bool {
        matches!(self, Backing::ExactDisk | Backing::ExactMemory)
    }

    fn place(self) -> Place {
        match self {
            Backing::Disk | Backing::ExactDisk | Backing::Private => Place::Disk,
            _ => Place::Memory,
        }
    }

    fn flags(self) -> u32 {
        match self {
            Backing::Private => MBA_PRIVATE,
            Backing::ExactDisk | Backing::ExactMemory => MBA_RDWR | MBA_CREATE | MBA_EXACT,
            Backing::Anonymous | Backing::Descriptor | Backing::Callers => MBA_RDWR,
            _ => MBA_RDWR | MBA_CREATE,
        }
    }
}

/// One run's array: the file, or the memory.
pub struct Home {
    pub backing: Backing,
    ty: Type,
    path: Option<PathBuf>,
    name: Option<CString>,
    /// What a descriptor leads to, or keeps alive while there is no handle.
    fd: Option<OwnedFd>,
    callers: Vec<u128>,
    callers_bytes: usize,
    _directory: TempDir,
}

impl Home {
    /// A place for an array that begins with these elements, but for anonymous memory, which begins empty.
    pub fn new(backing: Backing, ty: Type, start: &[u8]) -> Home {
        static COUNTER: AtomicU32 = AtomicU32::new(0);
        let directory = backing.place().directory();
        let mut home = Home {
            backing,
            ty,
            path: Some(directory.path().join("array")),
            name: None,
            fd: None,
            callers: Vec::new(),
            callers_bytes: 0,
            _directory: directory,
        };
        match backing {
            Backing::Anonymous => home.path = None,
            Backing::Callers => {
                home.path = None;
                home.callers = vec![0; start.len().div_ceil(16)];
                home.callers_bytes = start.len();
                // SAFETY: the vector has room for the bytes.
                unsafe {
                    home.callers.as_mut_ptr().cast::<u8>().copy_from(start.as_ptr(), start.len());
                }
            }
            Backing::Named => {
                let name = format!("mba-model-{}-{}", std::process::id(), COUNTER.fetch_add(1, Relaxed));
                home.path = Some(PathBuf::from(format!("/dev/shm/{name}")));
                home.name = Some(CString::new(format!("/{name}")).unwrap());
            }
            _ => {}
        }
        if let Some(path) = &home.path {
            std::fs::write(path, start).unwrap();
        }
        if backing == Backing::Descriptor {
            let file = std::fs::OpenOptions::new().read(true).write(true).open(home.path.as_ref().unwrap());
            home.fd = Some(file.unwrap().into());
        }
        home
    }

    fn source(&mut self) -> Source<'_> {
        match (self.backing, &self.fd) {
            (Backing::Callers, _) => Source::Callers(self.callers.as_mut_ptr().cast(), self.callers_bytes),
            (Backing::Named, _) => Source::Named(self.name.as_ref().unwrap()),
            (_, Some(fd)) => Source::Descriptor(fd.as_raw_fd()),
            (Backing::Anonymous, None) => Source::Anonymous,
            _ => Source::Path(self.path.as_ref().unwrap()),
        }
    }

    pub fn open<F: Face>(&mut self) -> F {
        let (ty, flags) = (self.ty, self.backing.flags());
        let handle = F::open(self.source(), ty, flags).unwrap();
        if self.backing == Backing::Anonymous && self.fd.is_none() {
            // SAFETY: the descriptor is the handle's, which exists.
            let fd = unsafe { BorrowedFd::borrow_raw(handle.fd()) };
            self.fd = Some(fd.try_clone_to_owned().unwrap());
        }
        handle
    }

    /// A second handle, for reading.
    pub fn follow<F: Face>(&mut self) -> Option<F> {
        let ty = self.ty;
        (!self.backing.is_fixed()).then(|| F::open(self.source(), ty, MBA_RDONLY).unwrap())
    }

    /// A second handle that may grow the array and knows nothing of exactness.
    pub fn another<F: Face>(&mut self) -> Option<F> {
        let ty = self.ty;
        (!self.backing.is_fixed()).then(|| F::open(self.source(), ty, MBA_RDWR).unwrap())
    }

    /// What is in the file, if there is one to look at without the library.
    pub fn file(&self) -> Option<Vec<u8>> {
        Some(std::fs::read(self.path.as_ref()?).unwrap())
    }

    pub fn file_size(&self) -> Option<u64> {
        Some(std::fs::metadata(self.path.as_ref()?).unwrap().len())
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        if let Some(name) = &self.name {
            // SAFETY: a C string.
            unsafe { mba_shm_unlink(name.as_ptr()) };
        }
    }
}

/// A new anonymous array with these elements, to compare others with.
pub fn anonymous<F: Face>(ty: Type, elements: &[u8]) -> F {
    let mut array = F::open(Source::Anonymous, ty, 0).unwrap();
    array.extend(elements).unwrap();
    array
}
