//! The end of a handle: what is done before its memory goes, and what of it stays when it is detached.

use core::sync::atomic::{Ordering::Relaxed, Ordering::SeqCst};

use super::access::Access;
use super::{DETACHED, File, Storage, WORKS};
use crate::error::{Error, Result};

impl Storage {
    /// Ends the handle, and its memory with it. Tells if giving spare room back failed.
    pub fn close(self: Box<Storage>) -> Result<()> {
        if let Some(file) = &self.file {
            // The guard must not find a handle that is about to move.
            file.mapping.place.hide();
        }
        let ended = self.end_work();
        let Storage { file, .. } = *self;
        let tidied = file.map_or(Ok(()), |file| {
            let flat_size = file.flat_size();
            file.mapping.end(ended.is_ok(), flat_size)
        });
        match ended {
            // The call that met the bug has told it.
            Err(Error::Panic) => Ok(()),
            ended => ended.and(tidied),
        }
    }

    /// Ends the handle, and keeps its memory until the storage is closed. Tells what a close would.
    pub fn detach(&self) -> Result<()> {
        let ended = self.end_work();
        self.close_room();
        let _ = self.state.compare_exchange(WORKS, DETACHED, SeqCst, Relaxed);
        let tidied = match &self.file {
            Some(file) => file.mapping.leave(ended.is_ok(), file.flat_size()),
            None => Ok(()),
        };
        match ended {
            Err(Error::Panic) => Ok(()),
            ended => ended.and(tidied),
        }
    }

    /// What a handle does before its memory goes, so that the file can be left to others.
    fn end_work(&self) -> Result<()> {
        if self.state.load(Relaxed) == DETACHED {
            return Ok(());
        }
        self.check()?;
        let Some(file) = self.file.as_ref().filter(|_| self.access.can_change_length()) else {
            return Ok(());
        };
        let result = if file.is_held() && self.access != Access::Anonymous {
            // What somebody else has done to the file is to be told, and isn't this handle's to tidy up.
            self.check_file(file)
                .and_then(|()| file.mapping.lock_fd())
                .and_then(|fd| self.put_footer_behind_lookalike(file, fd))
        } else {
            Ok(())
        };
        self.show_time_of_change(file);
        result
    }
}

impl File {
    /// The file's size when it was last found without a footer, if that is what was found last.
    fn flat_size(&self) -> Option<u64> {
        let known = self.known.get();
        (!known.has_footer).then_some(known.stat.size)
    }
}
