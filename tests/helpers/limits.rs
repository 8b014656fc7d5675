//! Limits of a process, and many arrays in one.

use mmap_backed_array::MmapArray;

// The C libraries don't agree.
#[cfg(target_env = "musl")]
pub type Resource = libc::c_int;
#[cfg(not(target_env = "musl"))]
pub type Resource = libc::__rlimit_resource_t;

/// Sets a soft limit of this process; and the hard one, if it is lower and may be raised.
pub fn set_limit(resource: Resource, soft: u64) {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the structure is there to be filled, and then to be read.
    unsafe {
        assert_eq!(libc::getrlimit(resource, &raw mut limit), 0);
        limit.rlim_cur = soft;
        limit.rlim_max = limit.rlim_max.max(soft);
        let result = libc::setrlimit(resource, &raw const limit);
        assert_eq!(result, 0, "a limit of {soft}: {}", std::io::Error::last_os_error());
    }
}

/// Sets a soft limit of this process, and returns what it was.
pub fn set_limit_of_this_process(resource: Resource, soft: u64) -> u64 {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the structure is there to be filled.
    assert_eq!(unsafe { libc::getrlimit(resource, &raw mut limit) }, 0);
    let before = limit.rlim_cur;
    set_limit(resource, soft);
    before
}

/// Lets this process have so many descriptors.
pub fn raise_descriptor_limit(least: usize) {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the structure is there to be filled.
    unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) };
    if limit.rlim_cur < least as u64 {
        set_limit(libc::RLIMIT_NOFILE, least as u64);
    }
}

/// Opens so many arrays, some of which grow: all work, and so does all else that a process does.
pub fn many_at_once(count: usize) {
    // Those that grow have a second one.
    raise_descriptor_limit(count + count / 97 + 100);
    let mut arrays: Vec<MmapArray<u32>> =
        (0..count).map(|at| MmapArray::anonymous().unwrap_or_else(|e| panic!("array {at}: {e}"))).collect();
    for (at, array) in arrays.iter_mut().enumerate().step_by(97) {
        array.extend_from_slice(&[at as u32; 50_000]).unwrap();
    }
    assert!(arrays.iter().all(|array| array.reserved() > 1 << 20), "each can grow well");
    let large = vec![1u8; 256 << 20];
    assert_eq!(large.iter().step_by(4096).count(), 65_536);
    // SAFETY: a new mapping, at an address that the system chooses, and its end.
    unsafe {
        let (length, flags) = (1 << 40, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE);
        let map = libc::mmap(std::ptr::null_mut(), length, libc::PROT_NONE, flags, -1, 0);
        assert_ne!(map, libc::MAP_FAILED, "a terabyte of address space is left");
        libc::munmap(map, length);
    }
    std::thread::spawn(|| {}).join().unwrap();
    for (at, array) in arrays.iter().enumerate().step_by(97) {
        assert!(array.iter().all(|element| element == at as u32));
    }
}
