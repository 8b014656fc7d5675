//! The promises that are nobody else's topic: what the speed rests on, and what the library needs.

use std::alloc::{GlobalAlloc, Layout, System};
use std::collections::BTreeSet;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use crate::helpers::{Place, alone, binary_directory, output_of, writable};
use mmap_backed_array::MmapArray;

// As fast as the hardware: the benchmarks measure it; here is what it rests on.

struct Counting;

static ALLOCATIONS: AtomicUsize = AtomicUsize::new(0);

// SAFETY: all is left to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Relaxed);
        // SAFETY: the caller's promise.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise.
        unsafe { System.dealloc(memory, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// In a process that the kernel kills at its first system call other than exit.
#[test]
fn getting_setting_appending_and_popping_make_no_system_call_and_no_allocation() {
    alone("getting_setting_appending_and_popping_make_no_system_call_and_no_allocation", || {
        let directory = Place::Memory.directory();
        let path = directory.path().join("array");
        std::fs::write(&path, []).unwrap();
        // SAFETY: the child makes no use of what other threads may have held; it ends by a system call.
        let child = unsafe { libc::fork() };
        assert!(child >= 0);
        if child == 0 {
            let mut array = MmapArray::<u64>::open_with(&path, &writable()).unwrap();
            array.reserve(3_000).unwrap();
            let values = [7; 1000];
            let before = ALLOCATIONS.load(Relaxed);
            // SAFETY: no memory is passed.
            let strict = unsafe { libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_STRICT) };
            let mut right = strict == 0;
            for at in 0..1000 {
                right &= array.push(at) == Ok(()) && array.set(0, at) == Ok(());
                right &= array.get(at as usize).is_some();
            }
            right &= array.extend_from_slice(&values) == Ok(()) && array.pop() == Ok(Some(7));
            right &= array.len() == 1999 && array.count(7) == 1000 && array.find(998, ..) == Ok(998);
            right &= ALLOCATIONS.load(Relaxed) == before;
            // SAFETY: ends the process, whose only thread this is.
            unsafe { libc::syscall(libc::SYS_exit, i64::from(!right)) };
        }
        let mut status = 0;
        // SAFETY: waits for the child made above, and stores its status.
        assert_eq!(unsafe { libc::waitpid(child, &raw mut status, 0) }, child);
        assert!(
            libc::WIFEXITED(status),
            "a system call was made: the child ended by signal {}",
            libc::WTERMSIG(status)
        );
        assert_eq!(libc::WEXITSTATUS(status), 0, "a wrong result, or an allocation");
    });
}

// Small and stable.

#[test]
fn there_are_two_dependencies_at_run_time() {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args([
        "tree",
        "--package",
        "mmap_backed_array",
        "--edges",
        "normal",
        "--prefix",
        "none",
        "--format",
        "{p}",
        "--locked",
        "--offline",
    ]);
    cargo.current_dir(env!("CARGO_MANIFEST_DIR"));
    let tree = output_of(&mut cargo, "cargo");
    let names: BTreeSet<&str> = tree.lines().filter_map(|line| line.split_whitespace().next()).collect();
    assert_eq!(names, BTreeSet::from(["mmap_backed_array", "libc", "memmap2"]));
}

/// The shared library of this very build.
fn library() -> std::path::PathBuf {
    binary_directory().join("libmmap_backed_array.so")
}

#[test]
fn the_library_has_its_soname_and_needs_the_c_library_only() {
    let output = output_of(Command::new("readelf").args(["--dynamic", "--wide"]).arg(library()), "binutils");
    let values = |kind: &str| -> Vec<String> {
        let lines = output.lines().filter(|line| line.contains(kind));
        lines.filter_map(|line| Some(line.split_once('[')?.1.split_once(']')?.0.to_owned())).collect()
    };
    let version = env!("CARGO_PKG_VERSION");
    let (minor, _) = version.rsplit_once('.').unwrap();
    let abi = if minor.starts_with("0.") { minor } else { minor.split_once('.').unwrap().0 };
    assert_eq!(values("(SONAME)"), [format!("libmmap_backed_array.so.{abi}")]);
    let system = ["libc.so", "libgcc_s.so.", "ld-linux", "libm.so.", "libpthread.so.", "libdl.so."];
    for needed in values("(NEEDED)") {
        assert!(system.iter().any(|name| needed.starts_with(name)), "the library needs {needed}");
    }
}
