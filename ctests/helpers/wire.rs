//! The wire between this process and a C program: lines and descriptors over a socket, as in `exchange.h`.

use std::io::{Read, Write};
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::time::Duration;

/// How long a line may take; a little less than the programs' own patience, which kills them.
const PATIENCE: Duration = Duration::from_secs(90);

pub struct Wire(UnixStream);

impl Wire {
    /// The wire, and the end of it that the program gets.
    pub fn pair() -> (Wire, OwnedFd) {
        let (ours, theirs) = UnixStream::pair().expect("a socket pair");
        ours.set_read_timeout(Some(PATIENCE)).expect("a limit for the wait");
        (Wire(ours), theirs.into())
    }

    pub fn say(&self, line: &str) {
        (&self.0).write_all(format!("{line}\n").as_bytes()).expect("the program hears");
    }

    pub fn hear(&self, expected: &str) {
        let mut line = Vec::new();
        let mut byte = [0];
        // The program may be gone; then what it has said so far is what there is to compare.
        while matches!((&self.0).read(&mut byte), Ok(1)) && byte != *b"\n" {
            line.push(byte[0]);
        }
        assert_eq!(String::from_utf8_lossy(&line), expected, "what the program says");
    }

    pub fn send_fd(&self, fd: BorrowedFd<'_>) {
        let mut message = Message::new();
        let mut header = message.header();
        // SAFETY: the header's pointers name a byte and a control buffer that has room for one descriptor,
        // and `message` holds both.
        unsafe {
            let control = libc::CMSG_FIRSTHDR(&raw const header);
            (*control).cmsg_level = libc::SOL_SOCKET;
            (*control).cmsg_type = libc::SCM_RIGHTS;
            (*control).cmsg_len = libc::CMSG_LEN(size_of::<RawFd>() as u32) as _;
            libc::CMSG_DATA(control).cast::<RawFd>().write_unaligned(fd.as_raw_fd());
            header.msg_controllen = libc::CMSG_SPACE(size_of::<RawFd>() as u32) as _;
            assert_eq!(libc::sendmsg(self.0.as_raw_fd(), &raw const header, 0), 1);
        }
    }

    pub fn receive_fd(&self) -> OwnedFd {
        let mut message = Message::new();
        let mut header = message.header();
        // SAFETY: as in `send_fd`; the descriptor that comes is nobody else's.
        unsafe {
            assert_eq!(libc::recvmsg(self.0.as_raw_fd(), &raw mut header, libc::MSG_CMSG_CLOEXEC), 1);
            let control = libc::CMSG_FIRSTHDR(&raw const header);
            assert!(!control.is_null(), "no descriptor came");
            assert_eq!(((*control).cmsg_level, (*control).cmsg_type), (libc::SOL_SOCKET, libc::SCM_RIGHTS));
            OwnedFd::from_raw_fd(libc::CMSG_DATA(control).cast::<RawFd>().read_unaligned())
        }
    }
}

/// The memory of a message of one byte and at most one descriptor.
struct Message {
    letter: u8,
    part: libc::iovec,
    /// As `u64`s, for the alignment of a control header.
    control: [u64; 4],
}

impl Message {
    fn new() -> Message {
        let part = libc::iovec { iov_base: core::ptr::null_mut(), iov_len: 1 };
        Message { letter: b'f', part, control: [0; 4] }
    }

    /// A header whose pointers lead into this message, which must outlive it and not move.
    fn header(&mut self) -> libc::msghdr {
        self.part.iov_base = (&raw mut self.letter).cast();
        // SAFETY: all zeros are a valid header of an empty message.
        let mut header: libc::msghdr = unsafe { core::mem::zeroed() };
        header.msg_iov = &raw mut self.part;
        header.msg_iovlen = 1;
        header.msg_control = self.control.as_mut_ptr().cast();
        header.msg_controllen = size_of_val(&self.control) as _;
        header
    }
}
