//! A random run: each operation on the array and on the model, and a comparison after each.

use std::ptr;

use mmap_backed_array::capi::*;
use mmap_backed_array::{Kind, Type, Wait};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestCaseError, TestError, TestRunner};

use super::backing::{Backing, Home, anonymous};
use super::element::{element, elements, order, part_size, same};
use super::face::Face;
use super::operation::{Length, Operation, Outside, operation};
use crate::helpers::footer;
use crate::helpers::raw::Code;

type Checked = Result<(), TestCaseError>;

/// The model stays below about this many bytes.
const MOST: usize = 400_000;

/// Runs so many random runs, and panics with the shortest one that goes wrong.
pub fn try_many<F: Face>(backing: Backing, ty: Type, runs: u32) {
    let config =
        Config { cases: runs, failure_persistence: None, max_shrink_iters: 500, ..Config::default() };
    let start = prop_oneof![Just(0usize), 0..50usize, 0..5000usize];
    let strategy = (start, proptest::collection::vec(operation(), 1..80));
    let result = TestRunner::new(config).run(&strategy, |(start, operations)| {
        let mut run = Run::<F>::new(backing, ty, start);
        run.check()?;
        for operation in &operations {
            run.step(operation)?;
            run.check()?;
        }
        run.finish()
    });
    let story = format!("{backing:?}, {}, {}", ty.name(), F::NAME);
    match result {
        Ok(()) => {}
        Err(TestError::Fail(reason, (start, operations))) => {
            panic!("{story}: {reason}\nstarting with {start} elements: {operations:#?}");
        }
        Err(TestError::Abort(reason)) => panic!("{story}: {reason}"),
    }
}

/// The array under test, and what it must be.
struct Run<F> {
    /// `None` only while it is being opened again.
    array: Option<F>,
    follower: Option<F>,
    home: Home,
    ty: Type,
    size: usize,
    model: Vec<u8>,
    /// What the file held at the beginning, and holds all the while if the array is a private copy.
    start: Vec<u8>,
    address: *mut u8,
}

impl<F: Face> Run<F> {
    fn new(backing: Backing, ty: Type, start: usize) -> Run<F> {
        let start = if backing == Backing::Anonymous { 0 } else { start };
        let start = elements(start as u64, start, ty);
        let mut home = Home::new(backing, ty, &start);
        let array = home.open::<F>();
        let follower = follow(&mut home);
        let address = array.data();
        let size = ty.size();
        Run { array: Some(array), follower, home, ty, size, model: start.clone(), start, address }
    }

    fn array(&mut self) -> &mut F {
        self.array.as_mut().expect("the array is open")
    }

    fn len(&self) -> usize {
        self.model.len() / self.size
    }

    fn is_fixed(&self) -> bool {
        self.home.backing.is_fixed()
    }

    /// Everything that must hold after every step.
    fn check(&mut self) -> Checked {
        let (len, address, size) = (self.len(), self.address, self.size);
        prop_assert_eq!(self.array().len(), len, "length");
        prop_assert_eq!(self.array().data(), address, "address");
        prop_assert!(self.array().capacity() >= len && self.array().reserved() >= len);
        // SAFETY: the array has so many elements, and nobody changes them now.
        prop_assert!(unsafe { is_at(address, &self.model) }, "elements {}", self.difference());
        if self.home.backing.is_exact() {
            prop_assert_eq!(self.home.file_size(), Some((len * size) as u64), "size of an exact file");
        }
        Ok(())
    }

    fn difference(&self) -> String {
        // SAFETY: the array has so many bytes.
        let found = |at: usize| unsafe { self.address.add(at).read() };
        match (0..self.model.len()).find(|at| found(*at) != self.model[*at]) {
            None => "differ no more".to_owned(),
            Some(at) => format!(
                "differ from byte {at} of {} on: {:#x}, not {:#x}",
                self.model.len(),
                found(at),
                self.model[at]
            ),
        }
    }

    /// A call that changes the length: it must succeed, or say that the length is fixed.
    fn grew<T>(&self, result: Code<T>) -> Result<Option<T>, TestCaseError> {
        if self.is_fixed() {
            prop_assert_eq!(result.err(), Some(MBA_EFIXED));
            return Ok(None);
        }
        done(result).map(Some)
    }

    fn refused<T>(&self, result: Code<T>, code: i32) -> Checked {
        prop_assert_eq!(result.err(), Some(code));
        Ok(())
    }

    /// What a length comes to, within what the model may become.
    fn target(&mut self, length: &Length) -> usize {
        let (len, size) = (self.len(), self.size);
        let target = match *length {
            Length::More(count) => len + usize::from(count),
            Length::Edge { page, before_footer, off } => {
                let end = usize::from(page) * 4096 + if before_footer { 4096 - footer::SIZE } else { 4096 };
                (end / size).saturating_add_signed(off.into())
            }
            Length::Capacity(off) => self.array().capacity().saturating_add_signed(off.into()),
        };
        if target * size > MOST { len.min(MOST / 2 / size) } else { target }
    }

    fn value(&mut self, seed: u64) -> Vec<u8> {
        let value = element(seed, self.ty);
        self.array().read_as(&value)
    }

    fn values(&mut self, seed: u64, count: usize) -> Vec<u8> {
        let values = elements(seed, count, self.ty);
        self.as_read(&values)
    }

    /// What the face makes of elements: the same, but for types that don't take all bits.
    fn as_read(&mut self, elements: &[u8]) -> Vec<u8> {
        let size = self.size;
        let array = self.array();
        if array.read_as(&vec![0xff; size]) == vec![0xff; size] {
            return elements.to_vec();
        }
        elements.chunks_exact(size).flat_map(|element| array.read_as(element)).collect()
    }

    fn element(&self, index: usize) -> &[u8] {
        &self.model[index * self.size..][..self.size]
    }

    /// A place for a new element.
    fn gap(&self, raw: u32) -> usize {
        raw as usize % (self.len() + 1)
    }

    /// An element's place, if there are elements.
    fn place(&self, raw: u32) -> Option<usize> {
        (raw as usize).checked_rem(self.len())
    }

    /// A range within the array.
    fn range(&self, start: u32, count: u16) -> (usize, usize) {
        let start = self.gap(start);
        (start, usize::from(count).min(self.len() - start))
    }

    fn splice_model(&mut self, start: usize, removed: usize, values: &[u8]) {
        let size = self.size;
        self.model.splice(start * size..(start + removed) * size, values.iter().copied());
    }

    fn step(&mut self, operation: &Operation) -> Checked {
        use Operation::*;
        match operation.clone() {
            Append(seed) => self.append(seed),
            AppendMany(count, seed) => {
                for at in 0..u64::from(count) {
                    self.append(seed.wrapping_add(at))?;
                }
                Ok(())
            }
            Extend(length, seed) => {
                let count = self.target(&length).saturating_sub(self.len());
                let values = self.values(seed, count);
                let result = self.array().extend(&values);
                if self.grew(result)?.is_some() {
                    self.model.extend_from_slice(&values);
                }
                Ok(())
            }
            Insert(at, seed) => {
                let (at, value) = (self.gap(at), self.value(seed));
                let Some(result) = self.array().insert(at, &value) else { return Ok(()) };
                if self.grew(result)?.is_some() {
                    self.splice_model(at, 0, &value);
                }
                Ok(())
            }
            Remove(at) => self.remove(at),
            Pop => self.pop(),
            PopMany(count) => {
                for _ in 0..usize::from(count).min(self.len()) {
                    self.pop()?;
                }
                Ok(())
            }
            Splice(start, removed, count, seed) => {
                let (start, removed) = self.range(start, removed);
                let values = self.values(seed, usize::from(count));
                let result = self.array().splice(start, removed, &values);
                self.spliced(result, start, removed, &values)
            }
            Resize(length) => {
                let len = self.target(&length);
                let result = self.array().resize(len);
                if self.grew(result)?.is_some() {
                    self.model.resize(len * self.size, 0);
                }
                Ok(())
            }
            Clear => {
                let result = self.array().clear();
                if self.grew(result)?.is_some() {
                    self.model.clear();
                }
                Ok(())
            }
            ExtendFromItself(..) | InsertFromItself(..) | SpliceFromItself(..) | WriteFromItself(..)
            | FillFromItself(..) => self.step_from_itself(operation),
            Get(..) | Set(..) | Read(..) | Write(..) | Fill(..) | Find(..) | Count(..) | Compare(..)
            | Swap(..) | Reverse | Byteswap => self.step_in_place(operation),
            Outside(outside) => self.step_outside(outside),
            _ => self.step_storage(operation),
        }
    }

    fn append(&mut self, seed: u64) -> Checked {
        let value = self.value(seed);
        let result = self.array().append(&value);
        if self.grew(result)?.is_some() {
            self.model.extend_from_slice(&value);
        }
        Ok(())
    }

    fn pop(&mut self) -> Checked {
        let Some(result) = self.array().pop() else { return Ok(()) };
        if !self.is_fixed() && self.model.is_empty() {
            return self.refused(result, MBA_EEMPTY);
        }
        if let Some(value) = self.grew(result)? {
            let last = self.model.split_off(self.model.len() - self.size);
            prop_assert_eq!(value, self.as_read(&last), "what pop gives");
        }
        Ok(())
    }

    fn remove(&mut self, at: u32) -> Checked {
        let Some(at) = self.place(at) else { return Ok(()) };
        let Some(result) = self.array().remove(at) else { return Ok(()) };
        if let Some(value) = self.grew(result)? {
            let old = self.element(at).to_vec();
            prop_assert_eq!(value, self.as_read(&old), "what remove gives");
            self.splice_model(at, 1, &[]);
        }
        Ok(())
    }

    /// After a splice: one that doesn't change the length is allowed where that is fixed.
    fn spliced(&mut self, result: Code<()>, start: usize, removed: usize, values: &[u8]) -> Checked {
        if removed * self.size == values.len() {
            done(result)?;
        } else if self.grew(result)?.is_none() {
            return Ok(());
        }
        self.splice_model(start, removed, values);
        Ok(())
    }

    /// Values that are the array's own.
    fn step_from_itself(&mut self, operation: &Operation) -> Checked {
        use Operation::*;
        let size = self.size;
        let part = |run: &Run<F>, from: u32, count: u16| {
            let (from, count) = run.range(from, count);
            (from, count, run.model[from * size..(from + count) * size].to_vec())
        };
        if self.array().raw().is_none() {
            return Ok(());
        }
        match *operation {
            ExtendFromItself(from, count) => {
                let (from, count, values) = part(self, from, count);
                let result = self.array().raw().unwrap().extend_from_itself(from, count);
                if self.grew(result)?.is_some() {
                    self.model.extend_from_slice(&values);
                }
            }
            InsertFromItself(at, from) => {
                let Some(from) = self.place(from) else { return Ok(()) };
                let (at, value) = (self.gap(at), self.element(from).to_vec());
                let result = self.array().raw().unwrap().insert_from_itself(at, from);
                if self.grew(result)?.is_some() {
                    self.splice_model(at, 0, &value);
                }
            }
            SpliceFromItself(start, removed, from, count) => {
                let (start, removed) = self.range(start, removed);
                let (from, count, values) = part(self, from, count);
                let result = self.array().raw().unwrap().splice_from_itself(start, removed, from, count);
                self.spliced(result, start, removed, &values)?;
            }
            WriteFromItself(start, from, count) => {
                let (from, count, values) = part(self, from, count);
                let start = self.gap(start).min(self.len() - count);
                done(self.array().raw().unwrap().write_from_itself(start, from, count))?;
                self.splice_model(start, count, &values);
            }
            FillFromItself(start, count, from) => {
                let Some(from) = self.place(from) else { return Ok(()) };
                let ((start, count), value) = (self.range(start, count), self.element(from).to_vec());
                done(self.array().raw().unwrap().fill_from_itself(start, count, from))?;
                self.splice_model(start, count, &value.repeat(count));
            }
            _ => unreachable!("{operation:?} takes no values of the array's own"),
        }
        Ok(())
    }

    /// What leaves the length alone.
    fn step_in_place(&mut self, operation: &Operation) -> Checked {
        use Operation::*;
        match *operation {
            Get(at) => {
                let Some(at) = self.place(at) else { return Ok(()) };
                let expected = self.element(at).to_vec();
                prop_assert_eq!(self.array().get(at), Ok(self.as_read(&expected)), "what get gives");
            }
            Set(at, seed) => {
                let Some(at) = self.place(at) else { return Ok(()) };
                let value = self.value(seed);
                done(self.array().set(at, &value))?;
                self.splice_model(at, 1, &value);
            }
            Read(start, count) => {
                let (start, count) = self.range(start, count);
                let expected = self.model[start * self.size..(start + count) * self.size].to_vec();
                let expected = self.as_read(&expected);
                prop_assert!(self.array().read(start, count) == Ok(expected), "what read gives");
            }
            Write(start, count, seed) => {
                let (start, count) = self.range(start, count);
                let values = self.values(seed, count);
                done(self.array().write(start, &values))?;
                self.splice_model(start, count, &values);
            }
            Fill(start, count, seed) => {
                let ((start, count), value) = (self.range(start, count), self.value(seed));
                let Some(result) = self.array().fill(start, count, &value) else { return Ok(()) };
                done(result)?;
                self.splice_model(start, count, &value.repeat(count));
            }
            Find(seed, start, stop) => {
                // Half of the time something that is there.
                let value = match self.place(seed as u32) {
                    Some(at) if seed % 2 == 0 => {
                        let element = self.element(at).to_vec();
                        self.as_read(&element)
                    }
                    _ => self.value(seed),
                };
                let (start, stop) = (self.gap(start), self.gap(stop));
                let elements = self.model.chunks_exact(self.size).take(stop).skip(start);
                let expected = elements
                    .zip(start..)
                    .find(|(element, _)| same(self.ty, element, &value))
                    .map_or(Err(MBA_ENOTFOUND), |(_, at)| Ok(at));
                let Some(found) = self.array().find(&value, start, stop) else { return Ok(()) };
                prop_assert_eq!(found, expected, "what find gives from {} to {}", start, stop);
            }
            Count(seed) => {
                let value = match self.place(seed as u32) {
                    Some(at) if seed % 2 == 0 => {
                        let element = self.element(at).to_vec();
                        self.as_read(&element)
                    }
                    _ => self.value(seed),
                };
                let elements = self.model.chunks_exact(self.size);
                let expected = elements.filter(|element| same(self.ty, element, &value)).count();
                let Some(found) = self.array().count(&value) else { return Ok(()) };
                prop_assert_eq!(found, Ok(expected), "what count gives");
            }
            Compare(at, seed, cut) => {
                let mut other = self.model.clone();
                if let Some(at) = self.place(at) {
                    other[at * self.size..][..self.size].copy_from_slice(&element(seed, self.ty));
                    if cut {
                        other.truncate(at * self.size);
                    }
                }
                let second = anonymous::<F>(self.ty, &self.as_read(&other));
                // Extending may have changed what isn't a value; compare with what is there.
                // SAFETY: the array has so many elements.
                let other = unsafe { std::slice::from_raw_parts(second.data(), other.len()) }.to_vec();
                let expected = order(self.ty, &self.model, &other);
                let equal = expected == Some(std::cmp::Ordering::Equal);
                prop_assert_eq!(self.array().equal(&second), Ok(equal), "what equal gives");
                let expected = expected.map_or(MBA_UNORDERED, |order| order as i32);
                if let Some(found) = self.array().compare(&second) {
                    prop_assert_eq!(found, Ok(expected), "what compare gives");
                }
            }
            Swap(i, j) => {
                let (Some(i), Some(j)) = (self.place(i), self.place(j)) else {
                    let result = self.array().swap(0, 0);
                    return self.refused(result, MBA_EINDEX);
                };
                done(self.array().swap(i, j))?;
                for byte in 0..self.size {
                    self.model.swap(i * self.size + byte, j * self.size + byte);
                }
                let beyond = self.len();
                let result = self.array().swap(i, beyond);
                self.refused(result, MBA_EINDEX)?;
            }
            Reverse => {
                done(self.array().reverse())?;
                let reversed = self.model.chunks_exact(self.size).rev().flatten().copied().collect();
                self.model = reversed;
            }
            Byteswap if self.ty.kind() == Kind::Record => {
                let result = self.array().byteswap();
                self.refused(result, MBA_ETYPE)?;
            }
            Byteswap => {
                done(self.array().byteswap())?;
                self.model.chunks_exact_mut(part_size(self.ty)).for_each(<[u8]>::reverse);
            }
            _ => unreachable!("{operation:?} doesn't leave the length alone"),
        }
        Ok(())
    }

    /// The lock, spare room, other handles.
    fn step_storage(&mut self, operation: &Operation) -> Checked {
        use Operation::*;
        let (len, size) = (self.len(), self.size);
        match *operation {
            Reserve(ref length) => {
                let capacity = self.target(length);
                let result = self.array().reserve(capacity);
                if self.grew(result)?.is_some() && !self.home.backing.is_exact() {
                    prop_assert!(self.array().capacity() >= capacity, "reserve makes room");
                }
            }
            ShrinkToFit => {
                // As long as somebody else has the file open, it keeps what he has seen.
                self.follower = None;
                let result = self.array().shrink_to_fit();
                if self.grew(result)?.is_some() && self.home.backing != Backing::Anonymous {
                    let expected = self.home.file().map(|_| self.model.clone());
                    prop_assert!(self.home.file() == expected, "the file is its elements once shrunk");
                }
                self.follower = follow(&mut self.home);
            }
            Commit(count, seed) => self.commit(usize::from(count), seed)?,
            Scribble(seed) => {
                let room = self.array().capacity() - len;
                if self.array().has_lock() && room > 0 {
                    let values = elements(seed | 1, room.min(MOST / size), self.ty);
                    // SAFETY: the handle has the lock and room for so many elements behind its length.
                    unsafe { self.address.add(len * size).copy_from(values.as_ptr(), values.len()) };
                }
            }
            Lock => {
                let result = self.array().lock(Wait::No);
                if self.grew(result)?.is_some() {
                    prop_assert!(self.array().has_lock());
                }
            }
            Unlock => {
                done(self.array().unlock())?;
                prop_assert!(!self.array().has_lock());
            }
            Refresh => done(self.array().refresh())?,
            Flush => done(self.array().flush())?,
            Follow => self.follow()?,
            Reopen => {
                self.close()?;
                let array = self.home.open::<F>();
                self.follower = follow(&mut self.home);
                self.address = array.data();
                self.array = Some(array);
            }
            Another(seed) => self.another(seed)?,
            _ => unreachable!("{operation:?} isn't about storage"),
        }
        Ok(())
    }

    /// Stores behind the last element through the pointer, and publishes.
    fn commit(&mut self, count: usize, seed: u64) -> Checked {
        let (len, size) = (self.len(), self.size);
        let result = self.array().reserve(len + count);
        if self.grew(result)?.is_none() {
            let result = self.array().commit(len + count);
            return self.refused(result, MBA_EFIXED);
        }
        if self.home.backing.is_exact() && count > 0 {
            let result = self.array().commit(len + count);
            return self.refused(result, MBA_EINDEX);
        }
        let values = self.values(seed, count);
        // SAFETY: the handle has the lock and room for so many elements behind its length.
        unsafe { self.address.add(len * size).copy_from(values.as_ptr(), values.len()) };
        done(self.array().commit(len + count))?;
        self.model.extend_from_slice(&values);
        Ok(())
    }

    fn follow(&mut self) -> Checked {
        let mut late = if self.home.backing.is_exact() { self.home.follow() } else { None };
        let Some(follower) = self.follower.as_mut().or(late.as_mut()) else { return Ok(()) };
        done(follower.refresh())?;
        prop_assert_eq!(follower.len() * self.size, self.model.len(), "length for a second handle");
        // SAFETY: the second handle has so many elements, and nobody changes them now.
        prop_assert!(unsafe { is_at(follower.data(), &self.model) }, "elements for a second handle");
        Ok(())
    }

    fn another(&mut self, seed: u64) -> Checked {
        let value = self.value(seed);
        let Some(mut other) = self.home.another::<F>() else { return Ok(()) };
        prop_assert_eq!(other.len(), self.len(), "length for a handle opened later");
        if self.array().has_lock() {
            prop_assert_eq!(other.append(&value), Err(MBA_ELOCKED));
            prop_assert_eq!(other.lock(Wait::No), Err(MBA_ELOCKED));
            done(self.array().unlock())?;
        }
        done(other.append(&value))?;
        prop_assert_eq!(self.array().append(&value), Err(MBA_ELOCKED));
        prop_assert_eq!(self.array().resize(0), Err(MBA_ELOCKED));
        done(other.close())?;
        self.model.extend_from_slice(&value);
        done(self.array().refresh())
    }

    /// Calls that must be refused, and leave all as it is.
    fn step_outside(&mut self, outside: Outside) -> Checked {
        let (len, value) = (self.len(), self.value(1));
        let growing = if self.is_fixed() { MBA_EFIXED } else { MBA_EINDEX };
        let limit = if self.is_fixed() { MBA_EFIXED } else { MBA_ELIMIT };
        let (capacity, reserved) = (self.array().capacity(), self.array().reserved());
        let array = self.array();
        let (result, code) = match outside {
            Outside::Get => (Some(array.get(len).map(drop)), MBA_EINDEX),
            Outside::GetLast => (Some(array.get(usize::MAX).map(drop)), MBA_EINDEX),
            Outside::Set => (Some(array.set(len, &value)), MBA_EINDEX),
            Outside::Read => (Some(array.read(len, 1).map(drop)), MBA_EINDEX),
            Outside::ReadNothing => (Some(array.read(len + 1, 0).map(drop)), MBA_EINDEX),
            Outside::Write => (Some(array.write(len, &value)), MBA_EINDEX),
            Outside::WriteNothing => (Some(array.write(len + 1, &[])), MBA_EINDEX),
            Outside::Fill => (array.fill(len, 1, &value), MBA_EINDEX),
            Outside::Insert => (array.insert(len + 1, &value), growing),
            Outside::Remove => (array.remove(len).map(|result| result.map(drop)), growing),
            Outside::Splice => {
                // The typed face looks at the range before it looks at the memory.
                let result = array.splice(len, 1, &[]);
                (Some(if result == Err(MBA_EINDEX) { Err(growing) } else { result }), growing)
            }
            Outside::SpliceBehind => {
                let result = array.splice(len + 1, 0, &value);
                (Some(if result == Err(MBA_EINDEX) { Err(growing) } else { result }), growing)
            }
            Outside::CommitBack if len == 0 => (None, 0),
            Outside::CommitBack => (Some(array.commit(len - 1)), growing),
            Outside::CommitBeyond => {
                // Without the lock the capacity isn't known before the call.
                let beyond = if array.has_lock() { capacity + 1 } else { reserved + 1 };
                (Some(array.commit(beyond)), growing)
            }
            Outside::ResizeBeyond => (Some(array.resize(reserved + 1)), limit),
            Outside::ResizeMost => (Some(array.resize(usize::MAX)), limit),
            Outside::ReserveMost => (Some(array.reserve(usize::MAX)), limit),
        };
        match result {
            Some(result) => self.refused(result, code),
            None => Ok(()),
        }
    }

    /// Closes the array, and looks at what is left.
    fn close(&mut self) -> Checked {
        let array = self.array.take().expect("the array is open");
        // As long as somebody else has the file open, it keeps what he has seen.
        self.follower = None;
        done(array.close())?;
        let expected = if self.home.backing == Backing::Private { &self.start } else { &self.model };
        if let Some(file) = self.home.file() {
            prop_assert!(file == *expected, "a closed file is its elements: {} bytes", file.len());
        }
        if self.home.backing == Backing::Private {
            // What was set in the copy is gone with it.
            self.model.clone_from(&self.start);
        }
        Ok(())
    }

    fn finish(mut self) -> Checked {
        self.follow()?;
        self.close()
    }
}

/// A second handle that follows all the while. Not of an exact file, which would have to keep what it has seen.
fn follow<F: Face>(home: &mut Home) -> Option<F> {
    if home.backing.is_exact() { None } else { home.follow() }
}

fn done<T>(result: Code<T>) -> Result<T, TestCaseError> {
    result.map_err(|code| TestCaseError::fail(format!("an error: {code}")))
}

/// Whether these bytes are at an address.
///
/// # Safety
/// There must be so many bytes, which nobody changes.
unsafe fn is_at(address: *const u8, bytes: &[u8]) -> bool {
    assert!(!ptr::eq(address, ptr::null()));
    // SAFETY: the caller's promise.
    bytes.is_empty() || unsafe { std::slice::from_raw_parts(address, bytes.len()) } == bytes
}
