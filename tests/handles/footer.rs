//! How a file reads, looked at without the library.

use std::fs::File;
use std::os::unix::fs::FileExt;

use mmap_backed_array::Type;

use crate::helpers::footer::{self, has_magic};
pub use crate::helpers::footer::{PAGE, SIZE as FOOTER};

/// What a file says of its array.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reading {
    pub size: usize,
    pub has_footer: bool,
    /// In elements.
    pub len: usize,
    /// In elements, never less than the length.
    pub reach: usize,
    pub epoch: u64,
    pub holder: u64,
}

impl Reading {
    /// The bytes that can be elements.
    pub fn room(&self) -> usize {
        if self.has_footer { self.size - FOOTER } else { self.size }
    }

    /// Whether a process was killed while it took elements away or moved some.
    pub fn is_unsettled(&self) -> bool {
        self.epoch % 2 == 1
    }
}

/// Reads a file that nobody changes now; an error says what is wrong with it.
pub fn read(file: &File, ty: Type) -> Result<Reading, String> {
    use std::os::unix::fs::MetadataExt;
    let metadata = file.metadata().unwrap();
    let size = metadata.len() as usize;
    let mut bytes = [0; FOOTER];
    if size > 0 && size.is_multiple_of(PAGE) {
        file.read_exact_at(&mut bytes, (size - FOOTER) as u64).unwrap();
    }
    let reading = match footer::read(size as u64, &bytes, ty) {
        Ok(reading) if reading.rest == 0 => reading,
        Ok(reading) => return Err(format!("{} bytes behind {} elements", reading.rest, reading.len)),
        Err(code) => return Err(format!("{code}: in {size} bytes, {:?}", footer::Footer::decode(&bytes))),
    };
    let (mut epoch, mut holder) = (0, 0);
    if reading.has_footer {
        let footer = footer::Footer::decode(&bytes);
        (epoch, holder) = (footer.epoch, footer.holder);
        if (footer.device, footer.inode) != (metadata.dev(), metadata.ino()) {
            return Err(format!("another file's footer: {footer:?}"));
        }
    }
    let (len, reach) = (reading.len as usize, reading.reach as usize);
    Ok(Reading { size, has_footer: reading.has_footer, len, reach, epoch, holder })
}

/// A footer such as the library would write for this file if it had this size.
pub fn forge(file: &File, ty: Type, size: usize, len: usize) -> [u8; FOOTER] {
    footer::Footer::of(ty, &file.metadata().unwrap(), size as u64, len as u64).encode()
}

/// Whether elements that end a file would be taken for a footer, sound or not.
pub fn ends_alike(elements: &[u8]) -> bool {
    let end = elements.len();
    end > 0 && end.is_multiple_of(PAGE) && has_magic(&elements[end - FOOTER..])
}
