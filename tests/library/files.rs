//! A file is just its elements, also in the cases where sizes and bytes look like something else than they are. And
//! how files and descriptors are opened and made.

use std::io::Write;
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;

use crate::helpers::footer::{self, Footer, MAGIC};
use crate::helpers::trace::{Stop, Traced};
use crate::helpers::{Place, alone, file_size, output_of, seal, sealable_memory, writable};
use mmap_backed_array::{Argument, Array, Error, MmapArray, OpenOptions, Type, Wait};

/// The first step of growth takes a file to 64 KiB, so that a file which was so large to begin with seems to be as
/// it was.
#[test]
fn a_file_that_has_the_size_it_had_is_trimmed_all_the_same() {
    for place in [Place::Disk, Place::Memory] {
        let directory = place.directory();
        let path = directory.path().join("array");
        std::fs::write(&path, [1; 65536]).unwrap();
        let mut array = MmapArray::<u32>::open_with(&path, &writable()).unwrap();
        array.clear().unwrap();
        array.shrink_to_fit().unwrap();
        array.push(7).unwrap();
        array.unlock().unwrap();
        assert_eq!(file_size(&path), 65536, "or this test is about nothing");
        array.close().unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), 7u32.to_ne_bytes());
    }
}

/// Elements at the end of a file without spare room that are set so that they read as a footer: the handle
/// that holds the lock puts a true record behind them before anyone else relies on the file.
#[test]
fn elements_set_to_what_reads_as_a_record_stay_elements() {
    for (exact, ends_by_unlock) in [(false, false), (false, true), (true, false), (true, true)] {
        let directory = Place::Memory.directory();
        let path = directory.path().join("array");
        let mut array = MmapArray::<u8>::open_with(&path, writable().create(true).exact(exact)).unwrap();
        array.resize(4096).unwrap();
        array.shrink_to_fit().unwrap();
        array.write(4096 - footer::SIZE, &MAGIC).unwrap();
        let expected = array.to_vec(..).unwrap();
        if ends_by_unlock {
            array.unlock().unwrap();
            let other = MmapArray::<u8>::open(&path).unwrap();
            assert_eq!(other.to_vec(..), Ok(expected.clone()));
        }
        array.close().unwrap();
        let mut again = MmapArray::<u8>::open_with(&path, &writable()).unwrap();
        assert_eq!(again.to_vec(..), Ok(expected), "exact: {exact}, by unlock: {ends_by_unlock}");
        again.set(4096 - footer::SIZE, 0).unwrap();
        again.shrink_to_fit().unwrap();
        assert_eq!(file_size(&path), 4096, "without the likeness the page goes");
    }
}

/// Sealed memory can't be truncated, so that where it can't get a record either nothing may have moved.
/// It can become shorter, by being truncated, as long as nobody else has it.
#[test]
fn memory_sealed_against_growth_has_a_length_that_cannot_grow() {
    for len in [4096, 5000] {
        let mut memory = std::fs::File::from(sealable_memory());
        memory.write_all(&vec![7; len]).unwrap();
        seal(&memory, libc::F_SEAL_GROW);
        let mut array = MmapArray::<u8>::from_fd(memory.as_fd(), &writable()).unwrap();
        for result in
            [array.push(8), array.extend_from_slice(&[8; 5]), array.insert(0, 8), array.reserve(len + 1)]
        {
            assert_eq!(result, Err(Error::Fixed));
        }
        assert_eq!(array.to_vec(..), Ok(vec![7; len]));
        assert_eq!(array.pop(), Ok(Some(7)));
        let reader = MmapArray::<u8>::from_fd(memory.as_fd(), &OpenOptions::new()).unwrap();
        assert_eq!(reader.to_vec(..), Ok(vec![7; len - 1]));
        assert_eq!(array.pop(), Err(Error::Fixed), "somebody else has it");
        assert_eq!(array.push(8), Err(Error::Fixed));
        assert_eq!(array.to_vec(..), Ok(vec![7; len - 1]));
    }
}

/// Seals can come at any time.
#[test]
fn memory_that_was_sealed_while_it_was_open_is_closed_as_it_is() {
    for has_lock in [true, false] {
        let memory = sealable_memory();
        let mut array = MmapArray::<u32>::from_fd(memory.as_fd(), &writable()).unwrap();
        array.extend_from_slice(&[7; 10_000]).unwrap();
        if !has_lock {
            array.unlock().unwrap();
        }
        seal(&memory, libc::F_SEAL_SHRINK);
        assert_eq!(array.close(), Ok(()), "with the lock: {has_lock}");
        let array = MmapArray::<u32>::from_fd(memory.as_fd(), &OpenOptions::new()).unwrap();
        assert_eq!(array.to_vec(..), Ok(vec![7; 10_000]));
    }
}

#[test]
fn sealed_memory_without_room_for_a_record_stays_as_it_is() {
    alone("sealed_memory_without_room_for_a_record_stays_as_it_is", || {
        let memory = sealable_memory();
        let bytes: Vec<u8> = (0..4096u32).map(|at| (at % 251) as u8).collect();
        // SAFETY: the bytes are valid for their length.
        unsafe { assert_eq!(libc::write(memory.as_raw_fd(), bytes.as_ptr().cast(), bytes.len()), 4096) };
        seal(&memory, libc::F_SEAL_SHRINK);
        limit_files_to(4096);
        let mut array = MmapArray::<u8>::from_fd(memory.as_fd(), OpenOptions::new().write(true)).unwrap();
        let full = Err(Error::Os(libc::EFBIG));
        assert_eq!(array.remove(0).map(drop), full);
        assert_eq!(array.splice(0..100, &[1, 2]), full);
        assert_eq!(array.pop().map(drop), full);
        assert_eq!(array.to_vec(..), Ok(bytes));
    });
}

/// The files of sysfs say that they have a page, and give fewer bytes.
#[test]
fn a_file_that_has_not_the_bytes_it_claims_is_no_array() {
    let path = "/sys/kernel/mm/transparent_hugepage/enabled";
    if std::fs::metadata(path).is_ok_and(|metadata| metadata.len() == 4096) {
        assert_eq!(MmapArray::<u8>::open(path).err(), Some(Error::Os(libc::ENODEV)));
    }
}

/// A record that claims the file for its own, behind spare room without blocks: to reserve them could take all the
/// memory there is.
#[test]
fn spare_room_of_a_size_that_somebody_made_up_takes_no_memory() {
    let directory = Place::Memory.directory();
    let path = directory.path().join("array");
    let mut array = MmapArray::<u32>::open_or_create(&path).unwrap();
    array.extend_from_slice(&[1, 2, 3]).unwrap();
    array.reserve(1000).unwrap();
    let sound = std::fs::read(&path).unwrap();
    // The handle holds on to the file as it is until it is closed.
    let size = 1u64 << 30;
    let file = std::fs::OpenOptions::new().read(true).write(true).open(&path).unwrap();
    let honest = Footer::decode(sound.last_chunk().unwrap());
    assert_eq!(honest.len, 3, "or this test is about nothing");
    file.set_len(size).unwrap();
    let made_up = Footer { file_size: size, ..honest }.encode();
    file.write_all_at(&made_up, size - footer::SIZE as u64).unwrap();
    drop(array);
    let mut array = MmapArray::<u32>::open_with(&path, &writable()).unwrap();
    assert_eq!(array.to_vec(..), Ok(vec![1, 2, 3]), "or this test is about nothing");
    array.push(4).unwrap();
    let taken = file.metadata().unwrap().blocks() * 512;
    assert!(taken < 1 << 20, "{taken} bytes are taken");
    array.close().unwrap();
    assert_eq!(file_size(&path), 16);
}

/// Limits the size of this process's files, as a full disk does.
fn limit_files_to(size: u64) {
    let limit = libc::rlimit { rlim_cur: size, rlim_max: size };
    // SAFETY: the structure is read only.
    assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_FSIZE, &raw const limit) }, 0);
}

/// Elements that come to read as a record by moving to the end need a page behind them. Where there is none to be
/// had, nothing moves.
#[test]
fn what_would_read_as_a_record_after_a_move_stays_where_it_is() {
    alone("what_would_read_as_a_record_after_a_move_stays_where_it_is", || {
        let directories = [Place::Disk, Place::Memory].map(Place::directory);
        limit_files_to(8200);
        for directory in &directories {
            for exact in [false, true] {
                let path = directory.path().join(format!("exact {exact}"));
                let mut elements: Vec<u64> = (0..1025).collect();
                elements[1025 - footer::SIZE / 8] = u64::from_ne_bytes(MAGIC);
                let bytes: Vec<u8> = elements.iter().flat_map(|element| element.to_ne_bytes()).collect();
                std::fs::write(&path, bytes).unwrap();
                let mut array = MmapArray::<u64>::open_with(&path, writable().exact(exact)).unwrap();
                assert_eq!(array.remove(0), Err(Error::Os(libc::EFBIG)), "exact: {exact}");
                assert_eq!(array.to_vec(..), Ok(elements), "exact: {exact}");
                // Another element can go: then there is no likeness at the end.
                assert_eq!(array.remove(1020), Ok(1020), "exact: {exact}");
            }
        }
    });
}

/// A file that can't be left as it is keeps its lock, and with it the chance to mend it.
#[test]
fn unlocking_what_reads_as_a_record_needs_room() {
    const AT: usize = 1024 - footer::SIZE / 8;
    alone("unlocking_what_reads_as_a_record_needs_room", || {
        let directory = Place::Memory.directory();
        let path = directory.path().join("array");
        std::fs::write(&path, [0; 8192]).unwrap();
        limit_files_to(8192);
        let mut array = MmapArray::<u64>::open_with(&path, &writable()).unwrap();
        array.lock(Wait::No).unwrap();
        array.set(AT, u64::from_ne_bytes(MAGIC)).unwrap();
        assert_eq!(array.unlock(), Err(Error::Os(libc::EFBIG)));
        assert!(array.has_lock());
        array.set(AT, 1).unwrap();
        array.unlock().unwrap();
        assert!(!array.has_lock());
        let other = MmapArray::<u64>::open(&path).unwrap();
        assert_eq!((other.len(), other.get(AT)), (1024, Some(1)));
    });
}

/// A time long ago.
fn old() -> std::time::SystemTime {
    std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1_000_000_000)
}

/// Gives a file an old time of change.
fn make_old(path: &std::path::Path) {
    std::fs::OpenOptions::new().write(true).open(path).unwrap().set_modified(old()).unwrap();
}

/// Whether it has that still, as backups see it.
fn is_old(path: &std::path::Path) -> bool {
    std::fs::metadata(path).unwrap().modified().unwrap() == old()
}

/// The system doesn't see stores through a mapping that is there already. Without our help a copy that was made by the
/// file's time of change would stay what it was for ever.
#[test]
fn what_was_stored_shows_in_the_files_time_of_change() {
    type Act = fn(&mut MmapArray<u64>);
    let stores: [(&str, Act); 5] = [
        ("set", |array| array.set(5, 222).unwrap()),
        ("write", |array| array.write(5, &[1, 2, 3]).unwrap()),
        ("fill", |array| array.fill(2..9, 7).unwrap()),
        ("push", |array| array.push(5).unwrap()),
        ("pop", |array| assert!(array.pop().unwrap().is_some())),
    ];
    for place in [Place::Disk, Place::Memory] {
        for (name, store) in stores {
            for end in ["flush", "unlock", "close"] {
                let directory = place.directory();
                let path = directory.path().join("array");
                std::fs::write(&path, [1; 8000]).unwrap();
                let mut array = MmapArray::<u64>::open_with(&path, &writable()).unwrap();
                array.reserve(1100).unwrap();
                // All pages are there, and dirty.
                array.fill(.., 1).unwrap();
                store(&mut array);
                make_old(&path);
                store(&mut array);
                match end {
                    "flush" => array.flush().unwrap(),
                    "unlock" => array.unlock().unwrap(),
                    _ => array.close().unwrap(),
                }
                assert!(!is_old(&path), "{place:?}: {name}, then {end}");
            }
        }
        // Who has stored nothing leaves it alone.
        let directory = place.directory();
        let path = directory.path().join("array");
        std::fs::write(&path, [1; 8000]).unwrap();
        make_old(&path);
        let array = MmapArray::<u64>::open_with(&path, &writable()).unwrap();
        assert_eq!(array.count(0x0101_0101_0101_0101), 1000);
        array.close().unwrap();
        MmapArray::<u64>::open(&path).unwrap().close().unwrap();
        assert!(is_old(&path), "{place:?}: nothing was stored");
    }
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

/// Whoever gets the lock next adopts the spare room of the one before, also of a file that was renamed; but a
/// copy's spare room may have no blocks, so it is truncated first.
#[test]
fn a_copy_is_cut_to_its_elements_and_a_renamed_file_is_not() {
    for place in [Place::Disk, Place::Memory] {
        let directory = place.directory();
        let [path, copy, renamed] = ["array", "copy", "renamed"].map(|name| directory.path().join(name));
        let mut array = MmapArray::<u32>::open_or_create(&path).unwrap();
        array.extend_from_slice(&[1, 2, 3]).unwrap();
        output_of(std::process::Command::new("cp").args([&path, &copy]), "coreutils");
        std::fs::rename(&path, &renamed).unwrap();
        let roomy = file_size(&copy);
        assert!(roomy > 4096 && roomy == file_size(&renamed), "the copy has the spare room too");
        array.unlock().unwrap();

        let mut copied = MmapArray::<u32>::open_with(&copy, &writable()).unwrap();
        assert_eq!(copied.to_vec(..), Ok(vec![1, 2, 3]));
        copied.lock(Wait::No).unwrap();
        assert_eq!(file_size(&copy), 12, "a copy is truncated by whoever takes its lock");
        copied.push(5).unwrap();
        copied.close().unwrap();
        assert_eq!(std::fs::read(&copy).unwrap(), [1, 2, 3, 5].map(u32::to_ne_bytes).concat());

        let mut moved = MmapArray::<u32>::open_with(&renamed, &writable()).unwrap();
        moved.lock(Wait::No).unwrap();
        assert_eq!(file_size(&renamed), roomy, "the same file keeps its spare room for the next one");
        moved.push(4).unwrap();
        assert_eq!(file_size(&renamed), roomy);
        array.refresh().unwrap();
        assert_eq!(array.to_vec(..), Ok(vec![1, 2, 3, 4]));
        moved.close().unwrap();
        array.close().unwrap();
        assert_eq!(std::fs::read(&renamed).unwrap(), [1, 2, 3, 4].map(u32::to_ne_bytes).concat());
    }
}

/// A copy that nobody appends to is brought back to its elements by the close of a handle that could.
#[test]
fn a_copy_that_is_only_opened_is_trimmed_too() {
    // A child that another test is starting would have the file open for a moment longer.
    alone("a_copy_that_is_only_opened_is_trimmed_too", || {
        let directory = Place::Memory.directory();
        let [path, copy] = ["array", "copy"].map(|name| directory.path().join(name));
        let mut array = MmapArray::<u32>::open_or_create(&path).unwrap();
        array.extend_from_slice(&[1, 2, 3]).unwrap();
        std::fs::copy(&path, &copy).unwrap();
        let reader = MmapArray::<u32>::open(&copy).unwrap();
        assert_eq!(reader.to_vec(..), Ok(vec![1, 2, 3]));
        reader.close().unwrap();
        assert!(file_size(&copy) > 12, "a reader leaves the file alone");
        MmapArray::<u32>::open_with(&copy, &writable()).unwrap().close().unwrap();
        assert_eq!(std::fs::read(&copy).unwrap(), [1, 2, 3].map(u32::to_ne_bytes).concat());
    });
}

/// The system may copy a record while another process, which has just made the file longer, stores elements where
/// it was. Here it is made to seem so, in either of the two readings that must agree.
#[test]
fn a_record_that_is_read_torn_is_read_again() {
    alone("a_record_that_is_read_torn_is_read_again", || {
        let directory = Place::Memory.directory();
        let path = directory.path().join("array");
        let mut array = MmapArray::<u64>::open_or_create(&path).unwrap();
        array.extend_from_slice(&[7; 1000]).unwrap();
        for torn in [0, 1] {
            // All of the footer, its magic alone, and all but that.
            for part in [0..footer::SIZE, 0..8, 8..footer::SIZE] {
                let mut child = Traced::start(|| {
                    let reader = MmapArray::<u64>::open(&path);
                    assert_eq!(reader.map(|reader| reader.len()), Ok(1000));
                });
                let memory =
                    std::fs::OpenOptions::new().write(true).open(format!("/proc/{}/mem", child.id()));
                let memory = memory.unwrap();
                let mut readings = 0;
                while let Some(stop) = child.next_stop() {
                    let Stop::Entry { call: libc::SYS_pread64, arguments } = stop else { continue };
                    assert_eq!(child.next_stop(), Some(Stop::Exit));
                    if readings == torn {
                        let elements = [7; footer::SIZE];
                        memory
                            .write_all_at(&elements[part.clone()], arguments[1] + part.start as u64)
                            .unwrap();
                    }
                    readings += 1;
                }
                assert!(readings > 2, "torn in reading {torn}: {readings} readings");
            }
        }
    });
}

#[test]
fn a_flat_file_is_just_its_elements() {
    for place in [Place::Disk, Place::Memory] {
        let directory = place.directory();
        let path = directory.path().join("array");
        let values: Vec<f64> = (0..100_000).map(|n| f64::from(n).sqrt()).collect();
        let mut array = MmapArray::<f64>::open_or_create(&path).unwrap();
        array.extend_from_slice(&values).unwrap();
        let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_ne_bytes()).collect();
        let open = std::fs::read(&path).unwrap();
        assert!(
            open.len() > bytes.len() && open[..bytes.len()] == bytes,
            "element 0 is at byte 0 all the while"
        );
        array.shrink_to_fit().unwrap();
        assert!(std::fs::read(&path).unwrap() == bytes, "exactly its elements once shrunk");
        array.push(0.5).unwrap();
        array.close().unwrap();
        let closed = std::fs::read(&path).unwrap();
        assert!(closed == [&bytes[..], &0.5f64.to_ne_bytes()].concat(), "exactly its elements once closed");
    }
}

#[test]
fn any_old_file_of_numbers_can_be_opened() {
    let directory = Place::Disk.directory();
    let path = directory.path().join("old");
    // Also of sizes at which a footer could be, and none is.
    for bytes in [0, 2, 4094, 4096, 8192, 12_290] {
        let old: Vec<u8> = (0..bytes).map(|at| (at * 7) as u8).collect();
        std::fs::write(&path, &old).unwrap();
        let array = MmapArray::<u16>::open(&path).unwrap();
        let read: Vec<u8> = array.iter().flat_map(u16::to_ne_bytes).collect();
        assert!(read == old, "{bytes} bytes");
        drop(array);
        let mut array = MmapArray::<u16>::open_or_create(&path).unwrap();
        array.push(0xabcd).unwrap();
        array.close().unwrap();
        assert!(
            std::fs::read(&path).unwrap() == [old, 0xabcd_u16.to_ne_bytes().to_vec()].concat(),
            "{bytes} bytes"
        );
    }
}

/// The one file whose elements would read as a record keeps a page of spare room, and loses nothing.
#[test]
fn elements_that_look_like_a_record_stay_elements() {
    let directory = Place::Memory.directory();
    let [path, copy] = ["array", "copy"].map(|name| directory.path().join(name));
    let mut array = MmapArray::<u8>::open_or_create(&path).unwrap();
    array.extend_from_slice(&[5; 1000]).unwrap();
    // The true record of a file with spare room, now as elements at the end of a page.
    let record = std::fs::read(&path).unwrap()[65_536 - footer::SIZE..].to_vec();
    array.clear().unwrap();
    array.extend_from_slice(&[5; 65_536 - footer::SIZE]).unwrap();
    array.extend_from_slice(&record).unwrap();
    array.close().unwrap();
    let array = MmapArray::<u8>::open(&path).unwrap();
    assert_eq!(array.len(), 65_536);
    assert_eq!(array.to_vec(65_536 - footer::SIZE..), Ok(record.clone()));
    std::fs::copy(&path, &copy).unwrap();
    assert_eq!(MmapArray::<u8>::open(&copy).unwrap().len(), 65_536);
    drop(array);
    let mut array = MmapArray::<u8>::open_with(&path, &writable()).unwrap();
    assert_eq!(array.pop().unwrap(), record.last().copied());
    array.close().unwrap();
    assert_eq!(file_size(&path), 65_535);
}

/// The same for whoever closes a file that another has left with spare room.
#[test]
fn elements_that_look_like_a_record_stay_elements_when_others_clean_up() {
    let directory = Place::Memory.directory();
    let path = directory.path().join("array");
    let mut elements = vec![5; 8192 - footer::SIZE];
    elements.extend_from_slice(&MAGIC);
    elements.resize(8192, 6);
    let mut array = MmapArray::<u8>::open_or_create(&path).unwrap();
    array.extend_from_slice(&elements).unwrap();
    let other = MmapArray::<u8>::open_with(&path, &writable()).unwrap();
    array.unlock().unwrap();
    other.close().unwrap();
    assert_eq!(MmapArray::<u8>::open(&path).unwrap().to_vec(..), Ok(elements.clone()));
    array.refresh().unwrap();
    array.close().unwrap();
    let mut array = MmapArray::<u8>::open_with(&path, &writable()).unwrap();
    assert_eq!(array.to_vec(..), Ok(elements));
    array.push(7).unwrap();
    array.close().unwrap();
    assert_eq!(file_size(&path), 8193);
}

/// And for an exact file, whose elements come one by one.
#[test]
fn elements_that_look_like_a_record_stay_elements_in_an_exact_file() {
    let directory = Place::Memory.directory();
    let path = directory.path().join("array");
    let words = footer::SIZE as u64 / 8;
    let magic = u64::from_ne_bytes(MAGIC);
    let mut elements: Vec<u64> = (1..=512 - words).chain([magic]).chain(1..words).collect();
    let mut array = MmapArray::<u64>::open_with(&path, writable().create(true).exact(true)).unwrap();
    for element in &elements {
        array.push(*element).unwrap();
    }
    assert_eq!(MmapArray::<u64>::open(&path).map(|reader| reader.len()), Ok(512));
    assert_eq!(array.to_vec(..), Ok(elements.clone()));
    array.push(8).unwrap();
    elements.push(8);
    assert_eq!(file_size(&path), 513 * 8, "exact again as soon as that can be");
    array.close().unwrap();
    assert_eq!(MmapArray::<u64>::open(&path).unwrap().to_vec(..), Ok(elements));
}

/// The elements of a copy that read as a footer have a true one behind them, of the file that was copied. Whoever changes the
/// length makes it the copy's own: from then on it counts who has the copy open.
#[test]
fn a_copy_whose_elements_read_as_a_footer_has_one_of_its_own() {
    for tidied in [false, true] {
        let directory = Place::Disk.directory();
        let (path, copy) = (directory.path().join("array"), directory.path().join("copy"));
        let mut array = MmapArray::<u8>::open_or_create(&path).unwrap();
        let mut bytes: Vec<u8> = (0..8192u32).map(|at| at as u8).collect();
        bytes[8192 - 128..][..8].copy_from_slice(&MAGIC);
        array.extend_from_slice(&bytes).unwrap();
        array.close().unwrap();
        assert_eq!(file_size(&path), 8192 + 4096, "or this test is about nothing");
        std::fs::copy(&path, &copy).unwrap();
        if tidied {
            mmap_backed_array::tidy(&copy, None, false).unwrap();
        }
        let mut array = MmapArray::<u8>::open_with(&copy, &writable()).unwrap();
        let mut reader = MmapArray::<u8>::open(&copy).unwrap();
        assert_eq!(reader.to_vec(..).as_ref(), Ok(&bytes));
        array.resize(548).unwrap();
        array.close().unwrap();
        assert_eq!(reader.get(8000), Some(bytes[8000]), "what a reader has seen stays");
        let epoch = reader.epoch();
        reader.refresh().unwrap();
        assert_eq!(reader.len(), 548);
        assert_ne!(reader.epoch(), epoch);
    }
}

/// The same of a copy that was made while the array had spare room: the footer moves to behind the elements first, and that is
/// where whoever has the lock publishes.
#[test]
fn a_copy_with_spare_room_whose_elements_read_as_a_footer_is_published_where_others_look() {
    let directory = Place::Disk.directory();
    let (path, copy) = (directory.path().join("array"), directory.path().join("copy"));
    let mut array = MmapArray::<u8>::open_or_create(&path).unwrap();
    let mut bytes = vec![1; 8192];
    bytes[8192 - 128..][..8].copy_from_slice(&MAGIC);
    array.extend_from_slice(&bytes).unwrap();
    assert!(file_size(&path) > 8192 + 4096, "or this test is about nothing");
    std::fs::copy(&path, &copy).unwrap();
    let mut array = MmapArray::<u8>::open_with(&copy, &writable()).unwrap();
    array.lock(Wait::No).unwrap();
    array.resize(1000).unwrap();
    array.extend_from_slice(&[2; 500]).unwrap();
    let reader = MmapArray::<u8>::open(&copy).unwrap();
    assert_eq!(reader.to_vec(..), Ok([vec![1; 1000], vec![2; 500]].concat()));
    drop(reader);
    array.close().unwrap();
    assert_eq!(file_size(&copy), 1500);
}
