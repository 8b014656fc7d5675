//! Every call answers: misuse and bad files get an error that says what is wrong, and change nothing.

use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::time::{Duration, Instant};

use crate::helpers::footer::{self, at};
use crate::helpers::{Place, alone, fail_from, file_size, output_of, writable};
use mmap_backed_array::{Advice, Argument, Array, Error, MmapArray, OpenOptions, Type, Wait};

#[test]
fn opening_what_is_no_array_is_an_error() {
    let directory = Place::Disk.directory();
    let file = |name: &str| directory.path().join(name);
    let open = |path: &Path, options: &OpenOptions| MmapArray::<u32>::open_with(path, options).err();
    let os = |errno| Some(Error::Os(errno));
    let new = OpenOptions::new;
    assert_eq!(open(&file("none"), &new()), os(libc::ENOENT));
    assert_eq!(open(&file("none"), &writable()), os(libc::ENOENT));
    assert_eq!(open(&file("none/below"), new().write(true).create(true)), os(libc::ENOENT));
    assert_eq!(open(directory.path(), &new()), os(libc::EISDIR));
    assert_eq!(open(directory.path(), &writable()), os(libc::EISDIR));
    assert_eq!(open(Path::new("/dev/zero"), &new()), os(libc::ENODEV));
    assert_eq!(open(Path::new("/dev/null"), &writable()), os(libc::ENODEV));
    let fifo = file("fifo");
    output_of(Command::new("mkfifo").arg(&fifo), "coreutils");
    assert_eq!(open(&fifo, &new()), os(libc::ENODEV));
    assert_eq!(open(&fifo, &writable()), os(libc::ENODEV));
    let socket = file("socket");
    let _listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    assert_eq!(open(&socket, &new()), os(libc::ENODEV));
    assert_eq!(open(Path::new("nul\0inside"), &new()), Some(Error::Invalid(Argument::Path)));
    assert_eq!(open(Path::new(""), &new()), os(libc::ENOENT));
    assert_eq!(open(&file(&"x".repeat(300)), &new()), os(libc::ENAMETOOLONG));

    let there = file("there");
    std::fs::write(&there, [0; 12]).unwrap();
    assert_eq!(open(&there, new().write(true).create_new(true)), os(libc::EEXIST));
    for (senseless, reason) in [
        (new().create(true), Argument::CreateReadOnly),
        (new().create_new(true), Argument::CreateReadOnly),
        (new().exact(true), Argument::ExactReadOnly),
        (new().private(true).create(true), Argument::PrivateAndMore),
        (new().write(true).private(true).exact(true), Argument::PrivateAndMore),
        (new().write(true).create(true).mode(0o10000), Argument::Mode),
    ] {
        assert_eq!(open(&there, senseless), Some(Error::Invalid(reason)), "{senseless:?}");
    }
    assert_eq!(open(&there, writable().reservation(u64::MAX)), os(libc::ENOMEM));
    assert_eq!(open(&there, writable().reservation(1 << 60)), os(libc::ENOMEM));
    assert_eq!(std::fs::read(&there).unwrap(), [0; 12], "no refusal touches the file");
}

#[test]
fn a_file_that_ends_inside_an_element_is_read_and_not_grown() {
    let directory = Place::Disk.directory();
    let path = directory.path().join("partial");
    std::fs::write(&path, [1; 4099]).unwrap();
    let mut array = MmapArray::<u32>::open_with(&path, &writable()).unwrap();
    assert_eq!((array.len(), array.last()), (1024, Some(0x0101_0101)));
    for result in [
        array.push(2),
        array.pop().map(drop),
        array.resize(3),
        array.clear(),
        array.insert(0, 2),
        array.remove(0).map(drop),
        array.extend_from_slice(&[2]),
        array.reserve(5000),
        array.commit(1024),
        array.shrink_to_fit(),
        array.lock(Wait::No),
    ] {
        assert_eq!(result, Err(Error::Partial));
    }
    array.set(0, 7).unwrap();
    assert!(!array.has_lock());
    array.close().unwrap();
    assert_eq!(std::fs::read(&path).unwrap(), [&[7, 0, 0, 0][..], &[1; 4095]].concat());
}

#[test]
fn a_file_that_cannot_be_grown_is_no_ones_to_lock() {
    let directory = Place::Disk.directory();
    let path = directory.path().join("partial");
    std::fs::write(&path, [1; 4099]).unwrap();
    let mut first = MmapArray::<u32>::open_with(&path, &writable()).unwrap();
    let mut second = MmapArray::<u32>::open_with(&path, &writable()).unwrap();
    assert_eq!(first.push(2), Err(Error::Partial));
    assert_eq!(second.push(2), Err(Error::Partial), "the first one has not kept the lock");
    std::fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(4096).unwrap();
    second.push(2).unwrap();
    assert_eq!(first.push(2), Err(Error::Locked));
    assert_eq!((second.len(), second.last()), (1025, Some(2)));
}

#[test]
fn a_read_only_handle_refuses_to_change_anything() {
    let directory = Place::Disk.directory();
    let path = directory.path().join("array");
    std::fs::write(&path, [1; 12]).unwrap();
    let mut array = MmapArray::<u32>::open(&path).unwrap();
    assert!(array.is_readonly());
    for result in [
        array.set(0, 2),
        array.write(0, &[2]),
        array.fill(.., 2),
        array.reverse(),
        array.byteswap(),
        array.push(2),
        array.extend_from_slice(&[]),
        array.pop().map(drop),
        array.insert(0, 2),
        array.remove(0).map(drop),
        array.splice(.., &[2]),
        array.resize(1),
        array.clear(),
        array.reserve(1),
        array.commit(3),
        array.shrink_to_fit(),
        array.lock(Wait::No),
        array.lock(Wait::Forever),
    ] {
        assert_eq!(result, Err(Error::ReadOnly));
    }
    assert_eq!((array.flush(), array.unlock(), array.refresh()), (Ok(()), Ok(()), Ok(())));
    array.close().unwrap();
    assert_eq!(std::fs::read(&path).unwrap(), [1; 12]);
}

#[test]
fn a_record_that_names_other_elements_or_lies_is_an_error() {
    let directory = Place::Memory.directory();
    let path = directory.path().join("array");
    let mut array = MmapArray::<u32>::open_or_create(&path).unwrap();
    array.push(7).unwrap();
    assert_eq!(MmapArray::<i32>::open(&path).err(), Some(Error::Type));
    assert_eq!(MmapArray::<u64>::open(&path).err(), Some(Error::Type));
    let good = std::fs::read(&path).unwrap();
    let high = if cfg!(target_endian = "little") { 7 } else { 0 };
    let fixed = [at::VERSION, at::FILE_SIZE, at::FIXED_END - 1];
    for byte in fixed.into_iter().chain([at::REACH + high, at::LENGTH + high]) {
        let expected = Error::Corrupt;
        let mut bad = good.clone();
        let at = bad.len() - footer::SIZE + byte;
        bad[at] ^= 0x40;
        let copy = directory.path().join("bad");
        std::fs::write(&copy, &bad).unwrap();
        assert_eq!(MmapArray::<u32>::open(&copy).err(), Some(expected), "byte {byte}");
        assert_eq!(MmapArray::<u32>::open_or_create(&copy).err(), Some(expected), "byte {byte}");
        assert!(std::fs::read(&copy).unwrap() == bad, "a refusal leaves the file alone");
    }
}

/// Somebody who doesn't use the library changes the file's size under a grower: it says so, and touches nothing.
#[test]
fn a_file_that_somebody_else_cuts_or_lengthens_is_an_error() {
    let directory = Place::Memory.directory();
    for (change, expected) in [(-4096i64, Error::Truncated), (4096, Error::Corrupt)] {
        let path = directory.path().join("array");
        let mut array = MmapArray::<u32>::open_or_create(&path).unwrap();
        array.push(7).unwrap();
        let file = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
        let changed = file_size(&path).strict_add_signed(change);
        file.set_len(changed).unwrap();
        let capacity = array.capacity();
        for result in [array.reserve(capacity + 1), array.shrink_to_fit(), array.refresh(), array.flush()] {
            assert_eq!(result, Err(expected));
        }
        assert_eq!(array.close(), Err(expected));
        assert_eq!(file_size(&path), changed, "nothing is touched");
        std::fs::remove_file(&path).unwrap();
    }
}

#[test]
fn beyond_the_reservation_is_an_error() {
    let directory = Place::Memory.directory();
    let path = directory.path().join("array");
    let mut array = MmapArray::<u64>::open_with(&path, writable().create(true).reservation(100_000)).unwrap();
    let reserved = array.reserved();
    assert!(reserved >= 12_500, "as many as asked for: {reserved}");
    for at in 0..reserved {
        array.push(at as u64).unwrap();
    }
    assert_eq!(array.push(0), Err(Error::Limit));
    assert_eq!(array.extend_from_slice(&[0]), Err(Error::Limit));
    assert_eq!(array.insert(0, 0), Err(Error::Limit));
    assert_eq!(array.resize(reserved + 1), Err(Error::Limit));
    assert!(array.iter().eq(0..reserved as u64));
    array.unlock().unwrap();
    let mut larger = MmapArray::<u64>::open_with(&path, &writable()).unwrap();
    larger.extend_from_slice(&[5; 10_000]).unwrap();
    assert_eq!(array.refresh(), Err(Error::Limit), "another has gone further than this one can");
    assert_eq!(array.len(), reserved);
    larger.close().unwrap();
    assert_eq!(MmapArray::<u64>::open_with(&path, writable().reservation(8)).err(), Some(Error::Limit));
}

#[test]
fn values_of_the_wrong_size_and_type_are_errors() {
    let array = Array::anonymous(Type::from_char('I').unwrap()).unwrap();
    let invalid = Err(Error::Invalid(Argument::Bytes));
    assert_eq!(array.append(&[0; 3]), invalid);
    assert_eq!(array.append(&[0; 8]), invalid);
    assert_eq!(array.extend(&[0; 5]), invalid);
    assert_eq!(array.append(&[0; 4]), Ok(()));
    assert_eq!(array.get(0, &mut [0; 3]), invalid);
    assert_eq!(array.set(0, &[0; 5]), invalid);
    assert_eq!(array.read(0, &mut [0; 5]), invalid);
    assert_eq!(array.write(0, &[0; 2]), invalid);
    assert_eq!(array.splice(0, 1, &[0; 2]), invalid);
    let other = Array::anonymous(Type::from_char('i').unwrap()).unwrap();
    assert_eq!((array.equals(&other), array.compare(&other)), (Err(Error::Type), Err(Error::Type)));
    assert_eq!(MmapArray::<f32>::try_from(array).err(), Some(Error::Type));
    assert_eq!(Type::from_char('x'), Err(Error::Type));
}

#[test]
fn descriptors_are_opened_as_they_allow_and_stay_the_callers() {
    let directory = Place::Disk.directory();
    let path = directory.path().join("array");
    std::fs::write(&path, [1; 8]).unwrap();
    let read = std::fs::File::open(&path).unwrap();
    let write = std::fs::OpenOptions::new().append(true).open(&path).unwrap();
    let mut options = OpenOptions::new();
    let access = Some(Error::Os(libc::EACCES));
    assert_eq!(MmapArray::<u32>::from_fd(read.as_fd(), &writable()).err(), access);
    assert_eq!(MmapArray::<u32>::from_fd(write.as_fd(), &options).err(), access);
    let senseless = MmapArray::<u32>::from_fd(read.as_fd(), options.write(true).create(true));
    assert_eq!(senseless.err(), Some(Error::Invalid(Argument::Flag)));
    let (end, _other) = std::os::unix::net::UnixStream::pair().unwrap();
    assert_eq!(MmapArray::<u32>::from_fd(end.as_fd(), &writable()).err(), Some(Error::Os(libc::ENODEV)));
    let array = MmapArray::<u32>::from_fd(read.as_fd(), &OpenOptions::new()).unwrap();
    assert_eq!(read.metadata().unwrap().len(), 8);
    drop(read);
    assert_eq!(array.to_vec(..), Ok(vec![0x0101_0101; 2]));

    // The caller's O_APPEND doesn't bend where the library writes.
    let both = std::fs::OpenOptions::new().read(true).append(true).open(&path).unwrap();
    let mut array = MmapArray::<u32>::from_fd(both.as_fd(), &writable()).unwrap();
    array.extend_from_slice(&[2; 50_000]).unwrap();
    array.close().unwrap();
    assert_eq!(file_size(&path), 8 + 200_000);
    assert_eq!(both.metadata().unwrap().len(), file_size(&path), "the caller's descriptor is still open");
}

#[test]
fn a_second_grower_is_told_so_however_long_it_waits() {
    let directory = Place::Memory.directory();
    let path = directory.path().join("array");
    let mut first = MmapArray::<u32>::open_or_create(&path).unwrap();
    let mut second = MmapArray::<u32>::open_or_create(&path).unwrap();
    first.push(1).unwrap();
    assert_eq!(second.push(2), Err(Error::Locked));
    assert_eq!(second.lock(Wait::No), Err(Error::Locked));
    let limit = Duration::from_millis(30);
    let start = Instant::now();
    assert_eq!(second.lock(Wait::For(limit)), Err(Error::Os(libc::ETIMEDOUT)));
    assert!(start.elapsed() >= limit);
    assert_eq!(first.lock(Wait::Forever), Ok(()), "who has it needn't wait");
    // Waiting ends when the other one unlocks.
    let waiting = std::thread::spawn(move || {
        second.lock(Wait::Forever).unwrap();
        second.push(2).unwrap();
    });
    first.unlock().unwrap();
    waiting.join().unwrap();
    first.refresh().unwrap();
    assert_eq!(first.to_vec(..), Ok(vec![1, 2]));
}

fn set_limit(resource: libc::__rlimit_resource_t, bytes: u64) {
    // SAFETY: the structure is there to be filled, and then to be read.
    unsafe {
        let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
        libc::getrlimit(resource, &raw mut limit);
        limit.rlim_cur = bytes.min(limit.rlim_max);
        assert_eq!(libc::setrlimit(resource, &raw const limit), 0);
    }
}

/// The system would send a signal, of which the process dies.
#[test]
fn a_limit_on_the_size_of_files_is_an_error() {
    alone("a_limit_on_the_size_of_files_is_an_error", || {
        for exact in [false, true] {
            // Also where the limit is in the midst of a page, of a record, of an element.
            for limit in [100_000, 98_304, 98_304 - 32, 98_305, 4095, 10] {
                let directory = Place::Disk.directory();
                let path = directory.path().join("array");
                let mut array =
                    MmapArray::<u32>::open_with(&path, writable().create(true).exact(exact)).unwrap();
                set_limit(libc::RLIMIT_FSIZE, limit);
                let error = (0..).find_map(|at| array.push(at).err());
                assert_eq!(error, Some(Error::Os(libc::EFBIG)));
                let len = array.len();
                assert_eq!(array.extend_from_slice(&vec![0; 30_000]), Err(Error::Os(libc::EFBIG)));
                assert_eq!(array.reserve(30_000), if exact { Ok(()) } else { Err(Error::Os(libc::EFBIG)) });
                assert!(array.iter().eq(0..len as u32), "limit {limit}");
                set_limit(libc::RLIMIT_FSIZE, u64::MAX);
                array.push(len as u32).unwrap();
                array.close().unwrap();
                assert_eq!(file_size(&path), 4 * len as u64 + 4);
            }
        }
    });
}

#[test]
fn little_address_space_makes_a_default_reservation_smaller_and_a_wish_an_error() {
    alone("little_address_space_makes_a_default_reservation_smaller_and_a_wish_an_error", || {
        set_limit(libc::RLIMIT_AS, 2 << 30);
        let directory = Place::Memory.directory();
        let path = directory.path().join("array");
        let mut array = MmapArray::<u64>::open_or_create(&path).unwrap();
        assert!((1 << 20..2 << 27).contains(&array.reserved()), "{}", array.reserved());
        array.resize(1 << 20).unwrap();
        drop(array);
        let wish = MmapArray::<u64>::open_with(&path, writable().reservation(4 << 30));
        assert_eq!(wish.err(), Some(Error::Os(libc::ENOMEM)));
    });
}

/// The system drops the pages that won't be needed; in a private copy those are the only ones with the elements.
#[test]
fn no_advice_changes_an_element() {
    let directory = Place::Disk.directory();
    let path = directory.path().join("array");
    std::fs::write(&path, [1; 400_000]).unwrap();
    let ty = Type::from_char('I').unwrap();
    let mut memory = vec![0u32; 100_000];
    // SAFETY: the memory outlives the handle, and nobody else uses it meanwhile.
    let callers = unsafe { Array::from_memory(memory.as_mut_ptr().cast(), 400_000, ty, &writable()) };
    let anonymous = Array::anonymous(ty).unwrap();
    anonymous.resize(100_000).unwrap();
    for array in [
        Array::open(&path, ty, OpenOptions::new().private(true)).unwrap(),
        Array::open(&path, ty, &writable()).unwrap(),
        callers.unwrap(),
        anonymous,
    ] {
        let values: Vec<u8> = (0..100_000u32).flat_map(u32::to_ne_bytes).collect();
        array.write(0, &values).unwrap();
        for advise in [Advice::DontNeed, Advice::WillNeed, Advice::Random, Advice::Sequential, Advice::Normal]
        {
            for (start, count) in [(0, 100_000), (1024, 2048), (3, 5000), (100_000, 0)] {
                array.advise(start, count, advise).unwrap_or_else(|error| panic!("{advise:?}: {error}"));
            }
            assert_eq!(array.advise(0, 100_001, advise), Err(Error::Index));
            let mut found = vec![0; values.len()];
            array.read(0, &mut found).unwrap();
            assert!(found == values, "{array:?} after {advise:?}");
        }
    }
}

/// Files are as open(2) makes them; named memory is its owner's alone if nothing else is asked for.
#[test]
fn what_is_made_has_the_permissions_that_are_promised() {
    alone("what_is_made_has_the_permissions_that_are_promised", || {
        let directory = Place::Disk.directory();
        let name = format!("mba-permissions-{}", std::process::id());
        let shared = std::ffi::CString::new(format!("/{name}")).unwrap();
        let ty = Type::from_char('I').unwrap();
        let permissions = |path: &Path| std::fs::metadata(path).unwrap().mode() & 0o7777;
        for (umask, asked, of_file, of_memory) in
            [(0o022, 0, 0o644, 0o600), (0, 0, 0o666, 0o600), (0o027, 0o664, 0o640, 0o640)]
        {
            // SAFETY: no memory is passed.
            unsafe { libc::umask(umask) };
            let mut options = OpenOptions::new();
            options.write(true).create_new(true).mode(asked);
            let path = directory.path().join("array");
            drop(Array::open(&path, ty, &options).unwrap());
            assert_eq!(permissions(&path), of_file, "a file, umask {umask:o}, asked for {asked:o}");
            std::fs::remove_file(&path).unwrap();
            drop(Array::shm_open(&shared, ty, &options).unwrap());
            let found = permissions(&Path::new("/dev/shm").join(&name));
            Array::shm_unlink(&shared).unwrap();
            assert_eq!(found, of_memory, "named memory, umask {umask:o}, asked for {asked:o}");
        }
    });
}

static SIGNALS: AtomicU32 = AtomicU32::new(0);

extern "C" fn count_signal(_: i32) {
    SIGNALS.fetch_add(1, SeqCst);
}

/// A program may have timers whose signals interrupt system calls: a handler that was installed with `SA_RESTART` lets
/// a wait go on, and any other one ends it.
#[test]
fn a_signal_ends_waiting_for_the_lock_if_its_handler_says_so() {
    alone("a_signal_ends_waiting_for_the_lock_if_its_handler_says_so", || {
        for wait in [Wait::Forever, Wait::For(Duration::from_secs(60))] {
            for flags in [0, libc::SA_RESTART] {
                // SAFETY: the action has no field that mustn't be zero, and its handler does what handlers may. The
                // thread is this one.
                let thread = unsafe {
                    let mut action: libc::sigaction = std::mem::zeroed();
                    action.sa_sigaction = count_signal as *const () as usize;
                    action.sa_flags = flags;
                    assert_eq!(libc::sigaction(libc::SIGUSR1, &raw const action, std::ptr::null_mut()), 0);
                    libc::pthread_self()
                };
                SIGNALS.store(0, SeqCst);
                let directory = Place::Memory.directory();
                let path = directory.path().join("array");
                let mut first = MmapArray::<u64>::open_or_create(&path).unwrap();
                let mut second = MmapArray::<u64>::open_or_create(&path).unwrap();
                first.push(1).unwrap();
                std::thread::scope(|scope| {
                    scope.spawn(move || {
                        while SIGNALS.load(SeqCst) < 50 {
                            // SAFETY: the thread outlives this one.
                            unsafe { libc::pthread_kill(thread, libc::SIGUSR1) };
                            std::thread::sleep(Duration::from_micros(100));
                        }
                        first.unlock().unwrap();
                    });
                    let mut waits = 1;
                    let result = loop {
                        match second.lock(wait) {
                            Err(Error::Os(libc::EINTR)) => waits += 1,
                            result => break result,
                        }
                    };
                    assert_eq!(result, Ok(()));
                    assert_eq!(waits > 1, flags == 0, "{waits} waits, {wait:?}, flags {flags}");
                });
                assert!(SIGNALS.load(SeqCst) >= 50);
                second.push(2).unwrap();
                assert_eq!(second.to_vec(..), Ok(vec![1, 2]));
            }
        }
    });
}

/// On some kernels tmpfs undoes a `fallocate` that a signal interrupts. With a timer that is faster than the call
/// trying again would take for ever, and so growth goes on by smaller pieces.
#[test]
fn growth_that_is_interrupted_goes_on_by_smaller_pieces() {
    alone("growth_that_is_interrupted_goes_on_by_smaller_pieces", || {
        let directory = Place::Memory.directory();
        let path = directory.path().join("array");
        let mut array = MmapArray::<u64>::open_or_create(&path).unwrap();
        fail_from(libc::SYS_fallocate, 3, 100_000, libc::EINTR);
        array.reserve(1_000_000).unwrap();
        let blocks = std::fs::metadata(&path).unwrap().blocks();
        assert!(blocks * 512 >= 8_000_000, "all of it is reserved, not {blocks} blocks");
        array.resize(1_000_000).unwrap();
        array.close().unwrap();
        assert_eq!(file_size(&path), 8_000_000);
    });
}

/// What is handed out or taken in by descriptor shares no lock with it, so that neither a holder of the one keeps
/// the other's lock nor two handles of one descriptor take each other's for their own.
#[test]
fn a_descriptor_carries_no_lock() {
    // A process that another test is just starting would have the closed handle's lock for a moment.
    alone("a_descriptor_carries_no_lock", || {
        let directory = Place::Disk.directory();
        let path = directory.path().join("array");
        let mut array = MmapArray::<u32>::open_or_create(&path).unwrap();
        // SAFETY: the descriptor is the handle's, which exists.
        let fd = unsafe { BorrowedFd::borrow_raw(array.fd().unwrap()) };
        let handed = fd.try_clone_to_owned().unwrap();
        array.push(1).unwrap();
        let mut first = MmapArray::<u32>::from_fd(handed.as_fd(), &writable()).unwrap();
        let mut second = MmapArray::<u32>::from_fd(handed.as_fd(), &writable()).unwrap();
        assert_eq!(first.push(2), Err(Error::Locked));
        array.close().unwrap();
        first.push(2).unwrap();
        assert_eq!(second.push(3), Err(Error::Locked));
        first.close().unwrap();
        second.push(3).unwrap();
        assert_eq!(second.to_vec(..), Ok(vec![1, 2, 3]));
    });
}
