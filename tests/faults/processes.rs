//! Other processes: that grow the same array in turns, follow it, inherit it, or make it shorter.

use std::os::fd::BorrowedFd;
use std::path::Path;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{Acquire, Release};
use std::time::{Duration, Instant};

use mmap_backed_array::{Error, MmapArray, OpenOptions, Type, Wait};

use crate::campaign::{Cases, Fault, Forked, in_child};
use crate::helpers::raw::Raw;
use crate::helpers::space::{check_closed, number};
use crate::helpers::trace::{Stop, Traced};
use crate::helpers::{Numbers, Place, Words, file_size, writable};

pub const FAULTS: &[Fault] = &[
    Fault {
        name: "turns of two growing processes",
        answer: "all appends of both are there, once",
        cases: turns,
    },
    Fault {
        name: "impatient process beside one that locks again at once",
        answer: "a wait with a limit gets the lock as one without",
        cases: impatience,
    },
    Fault {
        name: "follow-readers beside a writer",
        answer: "no element is seen before it is written",
        cases: followers,
    },
    Fault {
        name: "instruction-by-instruction publishing",
        answer: "no element is seen before it is written",
        cases: instructions,
    },
    Fault {
        name: "family-parent and children all append",
        answer: "all appends are there, once",
        cases: family,
    },
    Fault {
        name: "exiting children of a parent that appends",
        answer: "file, lock and elements stay the parent's",
        cases: exits,
    },
    Fault {
        name: "shrinking under pointers",
        answer: "what stays is whole; what was seen never faults",
        cases: shrinking,
    },
];

/// A forked child that runs a body at the same time, and must end well.
struct Child(libc::pid_t);

impl Child {
    fn fork(body: impl FnOnce()) -> Child {
        // SAFETY: the process has one thread; the child runs the body and ends by _exit.
        let child = unsafe { libc::fork() };
        assert!(child >= 0, "{}", std::io::Error::last_os_error());
        if child == 0 {
            let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(body));
            // SAFETY: ends the child without running the destructors that are the parent's.
            unsafe { libc::_exit(i32::from(result.is_err())) };
        }
        Child(child)
    }

    fn kill(&self) {
        // SAFETY: the child isn't waited for yet, so the number is its.
        unsafe { libc::kill(self.0, libc::SIGKILL) };
    }

    fn join(self) -> i32 {
        let mut status = 0;
        // SAFETY: waits for the child, and stores its status.
        assert_eq!(unsafe { libc::waitpid(self.0, &raw mut status, 0) }, self.0);
        status
    }
}

/// All appends of so many processes are there, each in its order and once.
fn check_appends(array: &MmapArray<u64>, rounds: u64, processes: usize) {
    let mut next = vec![0; processes];
    for element in array.iter() {
        let who = (element >> 32) as usize;
        assert_eq!(element & 0xffff_ffff, next[who], "an append of {who} is missing or twice there");
        next[who] += 1;
    }
    assert_eq!(next, vec![rounds; processes]);
}

/// A parent and its child append to one file, each under the lock, thousands of times.
fn turns(cases: &mut Cases) {
    let rounds = cases.scale(2_000, 20_000, 100_000);
    for place in [Place::Disk, Place::Memory] {
        let directory = place.directory();
        let path = directory.path().join("array");
        drop(MmapArray::<u64>::open_or_create(&path).unwrap());
        let append = |who: u64| {
            let mut array = MmapArray::<u64>::open_or_create(&path).unwrap();
            for round in 0..rounds {
                array.lock(Wait::Forever).unwrap();
                array.push(who << 32 | round).unwrap();
                array.unlock().unwrap();
            }
        };
        let child = Child::fork(|| append(1));
        append(0);
        let status = child.join();
        cases.case(format!("{place:?}"), || {
            assert_eq!(status, 0);
            check_appends(&MmapArray::open(&path).unwrap(), rounds, 2);
        });
        cases.add(2 * rounds - 1, None);
    }
}

/// One process has the lock nearly always: it gives it back and takes it again at once. Whoever waits gets it next all
/// the same, also with a limit, which the system's locks know nothing of.
fn impatience(cases: &mut Cases) {
    let rounds = cases.scale(10, 200, 5_000);
    for place in [Place::Disk, Place::Memory] {
        let directory = place.directory();
        let path = directory.path().join("array");
        drop(MmapArray::<u64>::open_or_create(&path).unwrap());
        let busy = Forked::start(|| {
            let mut array = MmapArray::<u64>::open_or_create(&path).unwrap();
            loop {
                array.lock(Wait::Forever).unwrap();
                array.push(1).unwrap();
                // Work, which takes a millisecond.
                let start = Instant::now();
                while start.elapsed() < Duration::from_millis(1) {}
                array.unlock().unwrap();
            }
        });
        let mut array = MmapArray::<u64>::open_or_create(&path).unwrap();
        while array.is_empty() {
            array.refresh().unwrap();
        }
        for wait in [Wait::For(Duration::from_secs(10)), Wait::Forever] {
            cases.case(format!("{place:?}, {wait:?}"), || {
                let mut turns = 0;
                for round in 0..rounds {
                    let known = array.len();
                    array.lock(wait).unwrap_or_else(|error| panic!("round {round}: {error}"));
                    turns += array.len() - known;
                    array.push(2).unwrap();
                    array.unlock().unwrap();
                    // The next time when the other one has it again.
                    let known = array.len();
                    while array.len() == known {
                        assert!(!busy.has_ended());
                        array.refresh().unwrap();
                    }
                }
                // Nearly none; hundreds, where the other one doesn't stand aside.
                assert!(turns <= 10 * rounds as usize, "{turns} turns of the other in {rounds} waits");
            });
            cases.add(rounds - 1, None);
        }
        let is_busy = !busy.has_ended();
        drop(busy);
        cases.case(format!("{place:?}, what they have appended"), || {
            array.refresh().unwrap();
            assert_eq!(array.count(2), 2 * rounds as usize);
            assert!(is_busy && array.count(1) >= 2 * rounds as usize, "{} of the other", array.count(1));
            array.close().unwrap();
        });
    }
}

/// The ways in which a writer makes an array longer.
#[derive(Clone, Copy, Debug)]
enum Way {
    Push,
    Extend,
    Commit,
    Exact,
}

/// Appends up to `end`, whose elements are all [`number`]s.
fn write(array: &mut MmapArray<u64>, way: Way, end: usize) -> mmap_backed_array::Result<()> {
    let mut numbers = Numbers(end as u64);
    while array.len() < end {
        let len = array.len();
        let count = (1 + numbers.below(700) as usize).min(end - len);
        match way {
            Way::Push => array.push(number(len))?,
            Way::Extend | Way::Exact => {
                array.extend_from_slice(&(len..len + count).map(number).collect::<Vec<_>>())?;
            }
            Way::Commit => {
                array.reserve(len + count)?;
                for at in len..len + count {
                    // SAFETY: this handle has the lock, and room for so many elements behind its length.
                    unsafe { array.as_ptr().add(at).write(number(at)) };
                }
                array.commit(len + count)?;
            }
        }
    }
    Ok(())
}

/// Looks at all elements that a refresh shows, until there are `end`, and tells how many it has seen; at last that
/// it waits for no more.
fn follow(array: &mut MmapArray<u64>, end: usize, told: &AtomicU64) {
    let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| follow_up_to(array, end, told)));
    told.store(u64::MAX, Release);
    result.unwrap();
}

fn follow_up_to(array: &mut MmapArray<u64>, end: usize, told: &AtomicU64) {
    let mut known = 0;
    while known < end {
        array.refresh().unwrap();
        let len = array.len();
        assert!(len >= known, "the length fell from {known} to {len}");
        // The newest first, which were there for the shortest time.
        for at in (known..len).rev() {
            assert_eq!(array.get(at), Some(number(at)), "element {at} of {len}");
        }
        known = len;
        told.store(known as u64, Release);
    }
}

/// A writer, and two readers that follow it: by a handle of their own, or by one that was inherited.
fn followers(cases: &mut Cases) {
    let (rounds, count) = cases.scale((1, 200_000), (10, 1_000_000), (100, 2_000_000));
    let mut exact = OpenOptions::new();
    exact.write(true).exact(true);
    for _ in 0..rounds {
        for way in [Way::Push, Way::Extend, Way::Commit, Way::Exact] {
            for place in [Some(Place::Disk), Some(Place::Memory), None] {
                let exactly = matches!(way, Way::Exact);
                if exactly && place.is_none() {
                    continue;
                }
                let end = if exactly { count / 4 } else { count };
                let directory = place.unwrap_or(Place::Memory).directory();
                let path = directory.path().join("array");
                let mut array = match place {
                    Some(_) => MmapArray::<u64>::open_or_create(&path).unwrap(),
                    None => MmapArray::<u64>::anonymous().unwrap(),
                };
                if exactly {
                    array = MmapArray::open_with(&path, &exact).unwrap();
                }
                let inherited = &raw mut array;
                let words = Words::create(&directory.path().join("words"), 2);
                let readers = [0, 1].map(|reader| {
                    Child::fork(|| {
                        if reader == 0 {
                            // SAFETY: the child's own copy, of which there is no other use here.
                            follow(unsafe { &mut *inherited }, end, &words[0]);
                        } else if place.is_some() {
                            follow(&mut MmapArray::open(&path).unwrap(), end, &words[1]);
                        } else {
                            // SAFETY: as above; the descriptor is open as long as the array.
                            let fd = unsafe { BorrowedFd::borrow_raw((*inherited).fd().unwrap()) };
                            follow(&mut MmapArray::from_fd(fd, &OpenOptions::new()).unwrap(), end, &words[1]);
                        }
                    })
                });
                // The readers keep up, by and large, so that they see it grow.
                let mut written = Ok(());
                for part in 1..=8 {
                    let part = end * part / 8;
                    written = written.and_then(|()| write(&mut array, way, part));
                    while written.is_ok() && (0..2).any(|at| words[at].load(Acquire) < part as u64) {
                        std::thread::yield_now();
                    }
                }
                if written.is_err() {
                    readers.iter().for_each(Child::kill);
                }
                let statuses = readers.map(Child::join);
                cases.case(format!("{way:?}, {place:?}"), || {
                    assert_eq!(written, Ok(()));
                    assert_eq!(statuses, [0, 0], "the readers' ends; what they saw is said above");
                });
            }
        }
    }
}

/// From which element on zeros are expected, and whether the writer is between its first and last call.
const ZEROS_FROM: usize = 0;
const STATE: usize = 1;

/// After each single instruction of a writer, all that is published is written.
fn instructions(cases: &mut Cases) {
    let starts = cases.scale(vec![0], vec![0, 8190], (0..32).map(|n| n * 263).collect());
    let both = [Place::Memory, Place::Disk];
    for place in &both[..cases.scale(1, 2, 2)] {
        // An exact file takes more instructions, for system calls around each change.
        for exact in &[false, true][..cases.scale(1, 2, 2)] {
            for start in &starts {
                let label = format!("{place:?}, exact: {exact}, from {start} elements");
                let mut steps = 0;
                cases.case(&label, || steps = one_by_one(*place, *exact, *start));
                cases.add(steps, None);
            }
        }
    }
}

fn change(array: &mut MmapArray<u64>, exact: bool, words: &Words) -> mmap_backed_array::Result<()> {
    for _ in 0..3 {
        array.push(number(array.len()))?;
    }
    let len = array.len();
    let values = [0, 1, 2, 3].map(|at| number(len + at));
    array.extend_from_slice(&values)?;
    array.splice(len + 4.., &[4, 5].map(|at| number(len + at)))?;
    if !exact {
        for at in len + 6..len + 9 {
            // SAFETY: this handle has the lock, and room for the elements behind its length.
            unsafe { array.as_ptr().add(at).write(number(at)) };
        }
        array.commit(len + 9)?;
    }
    // What was popped is in the spare room still, and must not come back.
    let len = array.len();
    array.pop()?;
    array.resize(len - 4)?;
    words[ZEROS_FROM].store(len as u64 - 4, Release);
    array.resize(len + 2)
}

/// Returns the number of instructions.
fn one_by_one(place: Place, exact: bool, start: usize) -> u64 {
    let (directory, memory) = (place.directory(), Place::Memory.directory());
    let path = directory.path().join("array");
    let words = Words::create(&memory.path().join("words"), 2);
    words[ZEROS_FROM].store(u64::MAX, Release);
    let elements: Vec<u8> = (0..start).flat_map(|at| number(at).to_ne_bytes()).collect();
    std::fs::write(&path, elements).unwrap();
    let mut child = Traced::start(|| {
        let mut array = MmapArray::<u64>::open_with(&path, writable().exact(exact)).unwrap();
        if start > 0 && !exact {
            // So that there is room for some, and then a step of growth.
            let len = array.len();
            array.push(number(len)).unwrap();
            let room = array.capacity();
            for at in len + 1..room - 2 {
                array.push(number(at)).unwrap();
            }
        }
        // SAFETY: no memory is passed. Where the parent begins to look.
        unsafe { libc::getppid() };
        change(&mut array, exact, &words).unwrap();
        words[STATE].store(1, Release);
    });
    let marker = |stop| matches!(stop, Stop::Entry { call: libc::SYS_getppid, .. });
    while !marker(child.next_stop().expect("the writer comes to its marker")) {}
    let mut reader = MmapArray::<u64>::open(&path).unwrap();
    let (mut known, mut steps, mut changes) = (reader.len(), 0, 0);
    while words[STATE].load(Acquire) == 0 {
        assert!(child.step(), "the writer ended before its marker");
        steps += 1;
        reader.refresh().unwrap();
        let (len, zeros) = (reader.len(), words[ZEROS_FROM].load(Acquire) as usize);
        changes += u64::from(len != known);
        for at in known.min(len)..len {
            let expected = if at >= zeros { 0 } else { number(at) };
            assert_eq!(reader.get(at), Some(expected), "element {at} of {len}, after {steps} instructions");
        }
        known = len;
    }
    assert!(changes >= 5, "only {changes} lengths were seen in {steps} instructions");
    while child.next_stop().is_some() {}
    steps
}

/// A parent and its forked children append to one array, by handles that they have inherited or opened.
fn family(cases: &mut Cases) {
    let rounds = cases.scale(500, 5_000, 50_000);
    for place in [Some(Place::Disk), Some(Place::Memory), None] {
        for children in [1, 3] {
            let directory = place.unwrap_or(Place::Memory).directory();
            let path = directory.path().join("array");
            let mut array = match place {
                Some(_) => MmapArray::<u64>::open_or_create(&path).unwrap(),
                None => MmapArray::<u64>::anonymous().unwrap(),
            };
            // The parent has the lock, and room, when it forks.
            array.push(0).unwrap();
            let inherited = &raw mut array;
            let append = |who: u64, array: &mut MmapArray<u64>| {
                for round in u64::from(who == 0)..rounds {
                    array.lock(Wait::Forever).unwrap();
                    array.push(who << 32 | round).unwrap();
                    array.unlock().unwrap();
                }
            };
            let running: Vec<Child> = (1..=children)
                .map(|who| {
                    Child::fork(|| {
                        // SAFETY: the child's own copy, of which there is no other use here.
                        append(who, unsafe { &mut *inherited });
                    })
                })
                .collect();
            append(0, &mut array);
            let statuses: Vec<i32> = running.into_iter().map(Child::join).collect();
            cases.case(format!("{place:?}, {children} children"), || {
                assert!(statuses.iter().all(|status| *status == 0), "{statuses:?}");
                array.refresh().unwrap();
                check_appends(&array, rounds, children as usize + 1);
                array.close().unwrap();
            });
            cases.add(rounds * (children + 1) - 1, None);
        }
    }
}

/// How a child ends.
#[derive(Clone, Copy, Debug)]
enum End {
    Exit,
    AtOnce,
    Free,
    Close,
    Killed,
    Unlock,
    /// It has tried to append before.
    Refused,
}

/// Children that end in all ways, beside a parent that appends.
fn exits(cases: &mut Cases) {
    let rounds = cases.scale(2, 100, 2_000);
    let ty = Type::from_char('Q').unwrap();
    use mmap_backed_array::capi::{MBA_CREATE, MBA_EXACT, MBA_RDWR};
    let kinds =
        [(Some(Place::Disk), 0), (Some(Place::Memory), 0), (Some(Place::Memory), MBA_EXACT), (None, 0)];
    for (place, flags) in kinds {
        let directory = place.unwrap_or(Place::Memory).directory();
        let path = directory.path().join("array");
        let open = || match place {
            Some(_) => Raw::open(&path, ty, MBA_RDWR | MBA_CREATE | flags),
            None => Raw::anonymous(ty),
        };
        let mut array = Some(open().unwrap());
        let inherited = &raw mut array;
        // SAFETY: it is there until the end, and only the children use the pointer meanwhile, each its own copy.
        let parents = unsafe { (*inherited).as_ref() }.unwrap();
        let size = |parents: &Raw| file_size(Path::new(&format!("/proc/self/fd/{}", parents.fd())));
        for round in 0..rounds {
            for end in [End::Exit, End::AtOnce, End::Free, End::Close, End::Killed, End::Unlock, End::Refused]
            {
                let at = parents.len();
                parents.append(&number(at).to_ne_bytes()).unwrap();
                // Every other time somebody else could have the lock.
                let locked = round % 2 == 0;
                if !locked {
                    parents.unlock().unwrap();
                }
                let (before, capacity) = (size(parents), parents.capacity());
                let (status, text) = in_child(|| {
                    // SAFETY: the child's own copy, of which there is no other use here.
                    let own = unsafe { &mut *inherited };
                    match end {
                        // SAFETY: ends the child, by what the C library has for that; no memory is passed.
                        End::Exit => unsafe { libc::exit(0) },
                        // SAFETY: as above.
                        End::AtOnce => unsafe { libc::_exit(0) },
                        End::Free => drop(own.take()),
                        End::Close => own.take().unwrap().close().unwrap(),
                        // SAFETY: no memory is passed.
                        End::Killed => unsafe { _ = libc::raise(libc::SIGKILL) },
                        End::Unlock => own.as_ref().unwrap().unlock().unwrap(),
                        End::Refused if locked => {
                            let refused = own.as_ref().unwrap().append(&[7; 8]);
                            assert_eq!(refused, Err(Error::Locked.code()));
                            own.take().unwrap().close().unwrap();
                        }
                        End::Refused => {}
                    }
                });
                cases.case(format!("{place:?}, flags {flags}, {end:?}, locked: {locked}"), || {
                    let killed = matches!(end, End::Killed);
                    assert_eq!(status, if killed { libc::SIGKILL } else { 0 }, "{text}");
                    assert_eq!(size(parents), before, "the file's size");
                    assert_eq!((parents.len(), parents.has_lock()), (at + 1, locked));
                    assert_eq!(parents.capacity(), capacity);
                    parents.append(&number(at + 1).to_ne_bytes()).unwrap();
                });
            }
        }
        let len = parents.len();
        cases.case(format!("{place:?}, flags {flags}, at the end"), || {
            for at in 0..len {
                assert_eq!(parents.get(at), Ok(number(at).to_ne_bytes().to_vec()));
            }
            // SAFETY: the borrow above isn't used any more.
            unsafe { (*inherited).take() }.unwrap().close().unwrap();
            if place.is_some() {
                check_closed(&path, len);
            }
        });
    }
}

/// How a writer makes an array shorter while others hold pointers.
#[derive(Clone, Copy, Debug)]
enum Shorter {
    Pop,
    Clear,
    ShrinkToFit,
    Close,
}

/// What readers can touch afterwards: what stays, and what was given up, as long as they have the array open.
fn shrinking(cases: &mut Cases) {
    let lens = cases.scale(
        vec![40_000],
        vec![600, 5_000, 40_000, 300_000],
        (0..100).map(|n| 513 + n * 997).collect(),
    );
    for place in [Some(Place::Disk), Some(Place::Memory), None] {
        for how in [Shorter::Pop, Shorter::Clear, Shorter::ShrinkToFit, Shorter::Close] {
            for len in &lens {
                shrunk(cases, place, how, *len);
            }
        }
    }
}

fn shrunk(cases: &mut Cases, place: Option<Place>, how: Shorter, len: usize) {
    let directory = place.unwrap_or(Place::Memory).directory();
    let path = directory.path().join("array");
    let mut array = match place {
        Some(_) => MmapArray::<u64>::open_or_create(&path).unwrap(),
        None => MmapArray::<u64>::anonymous().unwrap(),
    };
    write(&mut array, Way::Extend, len).unwrap();
    // SAFETY: the descriptor is open as long as the array.
    let fd = unsafe { BorrowedFd::borrow_raw(array.fd().unwrap()) };
    let mut reader = MmapArray::<u64>::from_fd(fd, &OpenOptions::new()).unwrap();
    let data = reader.as_ptr();
    let kept = if matches!(how, Shorter::Clear) { 0 } else { len / 3 };
    match how {
        Shorter::Clear => array.clear().unwrap(),
        _ => {
            let popped = array.pop();
            assert_eq!(popped, Ok(Some(number(len - 1))));
            array.resize(kept).unwrap();
        }
    }
    if matches!(how, Shorter::ShrinkToFit) {
        array.shrink_to_fit().unwrap();
    }
    let mut array = Some(array);
    if matches!(how, Shorter::Close) {
        array.take().unwrap().close().unwrap();
    }
    let label = format!("{place:?}, {how:?}, {kept} of {len} elements stay");
    // SAFETY: the mapping of the reader covers the element, which is what may be missing from the file behind it.
    let at = |index: usize| unsafe { data.add(index).read_volatile() };
    cases.child(&label, || {
        for index in 0..kept {
            assert_eq!(at(index), number(index), "{label}: element {index}");
            assert_eq!(reader.get(index), Some(number(index)));
        }
        reader.refresh().unwrap();
        assert_eq!((reader.len(), reader.get(kept)), (kept, None), "{label}");
        assert!(reader.iter().enumerate().all(|(index, element)| element == number(index)));
        for index in kept..len {
            let found = at(index);
            assert!(found == number(index) || found == 0, "{label}: {found:#x} at {index}");
        }
    });
    let seen = file_size(Path::new(&format!("/proc/self/fd/{}", reader.fd().unwrap())));
    drop(reader);
    cases.case(format!("{label}, when the reader has gone"), || {
        assert!(seen >= len as u64 * 8, "a file of {seen} bytes, and {len} elements were seen");
        if place.is_some() {
            array
                .take()
                .unwrap_or_else(|| MmapArray::open_with(&path, &writable()).unwrap())
                .close()
                .unwrap();
            check_closed(&path, kept);
        }
    });
}
