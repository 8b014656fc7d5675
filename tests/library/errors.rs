//! Every call answers: misuse and bad files get an error that says what is wrong, and change nothing.

use std::path::Path;
use std::process::Command;

use crate::helpers::footer::{self, at};
use crate::helpers::{Place, file_size, output_of, writable};
use mmap_backed_array::{Argument, Array, Error, MmapArray, OpenOptions, Type, Wait};

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
