//! Calls by handles: what a call is about to do, what it must say, and what is then different.

use std::os::unix::fs::FileExt;

use mmap_backed_array::capi::*;
use mmap_backed_array::{Kind as TypeKind, Type};

use super::board::MOST;
use super::calls::Status;
use super::footer::{self, PAGE};
use super::lead::Lead;
use super::model::{Checked, Holder, ensure, is_unsettled};
use super::steps::{Call, Content, Kind};
use super::talk::{Answer, Order, What};

/// Whether a call takes elements away or moves some.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Moves {
    No,
    /// It replaces the last ones, and appends more.
    Perhaps,
    Yes,
}

/// What the elements are after a call that changes the length.
struct Change {
    elements: Vec<u8>,
    moves: Moves,
}

/// A call that is about to be made.
struct Plan {
    order: Order,
    values: Vec<u8>,
    /// What it may say, if the handle is one that can do it and nobody has the lock; the first is the usual one.
    codes: Vec<i32>,
    sort: Sort,
    /// What it must give, in bytes and as a number.
    out: Option<Vec<u8>>,
    value: Option<u64>,
}

enum Sort {
    /// Needs the growth lock.
    Changes(Option<Change>),
    /// Needs none, and stores these bytes from there on.
    Stores(usize, Vec<u8>),
    Lock,
    Unlock,
    Refresh,
    Reads,
}

impl Plan {
    fn new(what: What, slot: usize, [a, b, c]: [usize; 3], codes: &[i32], sort: Sort) -> Plan {
        let order = Order::new(what, slot).with(a, b, c);
        Plan { order, values: Vec::new(), codes: codes.to_vec(), sort, out: None, value: None }
    }

    fn values(self, values: Vec<u8>) -> Plan {
        Plan { values, ..self }
    }

    fn out(self, out: Vec<u8>) -> Plan {
        Plan { out: Some(out), ..self }
    }

    fn value(self, value: usize) -> Plan {
        Plan { value: Some(value as u64), ..self }
    }
}

impl Lead<'_> {
    /// A call by a handle; `false` if it makes no sense now.
    pub(super) fn call(&mut self, at: usize, call: &Call) -> Checked<bool> {
        if matches!(call, Call::Look) {
            return self.look_at_status(at).map(|()| true);
        }
        let Some(plan) = self.plan(at, call) else { return Ok(false) };
        self.make(at, plan)?;
        Ok(true)
    }

    /// The last elements are replaced, whatever they may read as then.
    pub(super) fn write_last(&mut self, at: usize, count: u16, content: Content) -> Checked {
        let (slot, len, size) = (self.model.handles[at].slot, self.model.len(), self.model.size);
        let count = usize::from(count);
        let start = len - count;
        let values = self.content(content, start * size, count * size);
        let sort = Sort::Stores(start * size, values.clone());
        let plan = Plan::new(What::Write, slot, [start, count * size, 0], &[0], sort).values(values);
        self.make(at, plan)
    }

    fn make(&mut self, at: usize, plan: Plan) -> Checked {
        self.put_values(&plan.values);
        let process = self.model.handles[at].process;
        let answer = match self.order(process, plan.order) {
            Ok(answer) => answer,
            Err(error) => {
                self.tell_call(at, &plan, "nothing");
                return Err(error);
            }
        };
        self.tell_call(at, &plan, &answer.code.to_string());
        self.settle(at, plan, &answer)
    }

    fn tell_call(&self, at: usize, plan: &Plan, said: &str) {
        let (handle, order) = (&self.model.handles[at], &plan.order);
        let name = format!("{:?}", order.meaning()).to_lowercase();
        let (name, len) = (format!("{}: {name}", handle.name()), handle.len);
        let numbers = format!("({}, {}, {})", order.a, order.b, order.c);
        self.tell(&format!("{name} {numbers} = {said}    [{:?}, its length {len}]", handle.kind));
    }

    /// A call during which the process is killed.
    pub(super) fn kill_during(&mut self, at: usize, delay: u16, call: &Call) -> Checked<bool> {
        use Call::*;
        let happens_wholly = matches!(
            call,
            Append(_)
                | Push(..)
                | Extend(..)
                | Pop(1)
                | Resize(_)
                | Clear
                | Reserve(_)
                | Commit(..)
                | Shrink
                | Lock
                | Unlock
                | Refresh
        );
        if !happens_wholly {
            return Ok(false);
        }
        let Some(plan) = self.plan(at, call) else { return Ok(false) };
        self.put_values(&plan.values);
        let process = self.model.handles[at].process;
        self.send(process, &plan.order);
        self.kill_after(process, delay);
        if let Some(answer) = self.left_answer(process) {
            self.tell_call(at, &plan, &format!("{}, killed then", answer.code));
            self.settle(at, plan, &answer)?;
            self.end(process);
            return Ok(true);
        }
        self.tell_call(at, &plan, "nothing, killed before");
        let handle = &self.model.handles[at];
        let (is_writer, size) = (handle.is_writer(), self.model.size);
        let may_change = is_writer && (self.model.is_free() || self.model.holds(at));
        if matches!(plan.sort, Sort::Unlock) && self.model.holds(at) {
            self.model.holder = Holder::Lingers;
        }
        let lock_was_free = self.model.is_free();
        let has_relatives = self.model.has_relatives(at);
        self.end(process);
        if is_writer && lock_was_free && has_relatives {
            self.model.holder = Holder::Lingers;
        }
        let lingers = self.model.holder == Holder::Lingers;
        if !is_writer || !(may_change || lingers) {
            return Ok(true);
        }
        let Sort::Changes(Some(change)) = plan.sort else { return Ok(true) };
        let found = footer::read(&self.file, self.ty).map_err(|error| format!("after that: {error}"))?;
        let before = self.model.elements.len();
        let after = change.elements.len();
        let bytes = found.len * size;
        let one_by_one = matches!(call, Push(..)) && bytes > before && bytes <= after;
        if bytes == after || one_by_one {
            let shorter = after < before;
            self.model.elements = change.elements;
            self.model.elements.truncate(bytes);
            if shorter {
                self.model.has_moved();
            }
        } else if after < before {
            self.model.may_have_moved();
        }
        Ok(true)
    }

    /// What a handle sees in its first bytes: of a private copy, its own pages.
    pub(super) fn view(&self, at: usize, bytes: usize) -> Vec<u8> {
        let mut view = vec![0; bytes];
        let there = bytes.min(self.reading.size);
        self.file.read_exact_at(&mut view[..there], 0).unwrap();
        for (page, contents) in &self.model.handles[at].pages {
            put(&mut view, page * PAGE, contents);
        }
        view
    }

    fn plan(&self, at: usize, call: &Call) -> Option<Plan> {
        use Call::*;
        match *call {
            Append(_) | Push(..) | Extend(..) | ExtendOwn(..) | Reserve(_) | Commit(..) | Shrink => {
                self.plan_to_grow(at, call)
            }
            Pop(_) | Insert(..) | InsertBeyond | Remove(_) | RemoveBeyond | Splice(..) | Resize(_)
            | Clear => self.plan_to_change(at, call),
            Lock | LockWithin | Unlock | Refresh | Flush => {
                let slot = self.model.handles[at].slot;
                let (what, milliseconds, sort) = match call {
                    Lock => (What::Lock, 0, Sort::Lock),
                    LockWithin => (What::Lock, 1, Sort::Lock),
                    Unlock => (What::Unlock, 0, Sort::Unlock),
                    Refresh => (What::Refresh, 0, Sort::Refresh),
                    _ => (What::Flush, 0, Sort::Reads),
                };
                Some(Plan::new(what, slot, [milliseconds, 0, 0], &[0], sort))
            }
            _ => self.plan_in_place(at, call),
        }
    }

    /// Whether a length fits a handle.
    fn growth_codes(&self, at: usize, len: usize) -> Vec<i32> {
        let handle = &self.model.handles[at];
        let longest = len.max(self.model.len());
        let mut codes = vec![if longest > handle.most { MBA_ELIMIT } else { 0 }];
        // Close to the end of a small reservation a footer may have no place, or the page behind one that isn't.
        let end = (longest * self.model.size).max(self.reading.size);
        if handle.is_small && end + 2 * PAGE > handle.most * self.model.size {
            codes.push(MBA_ELIMIT);
        }
        codes
    }

    fn plan_to_grow(&self, at: usize, call: &Call) -> Option<Plan> {
        let (model, handle) = (&self.model, &self.model.handles[at]);
        let (slot, size, len, end) = (handle.slot, model.size, model.len(), model.elements.len());
        let most = MOST * 3 / 4 / size;
        let longer = |values: &[u8]| {
            let elements = [&model.elements, values].concat();
            Sort::Changes(Some(Change { elements, moves: Moves::No }))
        };
        let codes = |count: usize| self.growth_codes(at, len + count);
        match *call {
            Call::Append(content) if len < most => {
                let values = self.content(content, end, size);
                let sort = longer(&values);
                Some(Plan::new(What::Append, slot, [0; 3], &codes(1), sort).values(values))
            }
            Call::Push(count, content) => {
                let count = usize::from(count).min(most.saturating_sub(len));
                if codes(count) != [0] {
                    return None;
                }
                let values = self.content(content, end, count * size);
                let sort = if count > 0 { longer(&values) } else { Sort::Reads };
                Some(Plan::new(What::Push, slot, [count, 0, 0], &[0], sort).values(values))
            }
            Call::Extend(length, content) => {
                let target = length.of(len, model.reach(), size);
                let count =
                    if target > len { target - len } else { target.min(7).min(most.saturating_sub(len)) };
                if count == 0 {
                    return None;
                }
                let values = self.content(content, end, count * size);
                let sort = longer(&values);
                let plan = Plan::new(What::Extend, slot, [count * size, 0, 0], &codes(count), sort);
                Some(plan.values(values))
            }
            Call::ExtendOwn(place, count) => {
                let known = handle.len.min(len);
                let from = place.of(known, len, size);
                let count = usize::from(count).min(known - from.min(known)).min(most.saturating_sub(len));
                if count == 0 {
                    return None;
                }
                let sort = longer(&model.elements[from * size..(from + count) * size]);
                Some(Plan::new(What::ExtendOwn, slot, [from, count, 0], &codes(count), sort))
            }
            Call::Reserve(length) => {
                let capacity = length.of(len, model.reach(), size);
                let codes = self.growth_codes(at, capacity);
                let sort = Sort::Changes(None);
                Some(Plan::new(What::Reserve, slot, [capacity, 0, 0], &codes, sort))
            }
            Call::Commit(count, content) => {
                let count = usize::from(count).min(most.saturating_sub(len));
                let values = self.content(content, end, count * size);
                let mut codes = codes(count);
                if handle.kind == Kind::Exact && count > 0 {
                    // Where an exact file has spare room all the same, it works.
                    codes.insert(0, MBA_EINDEX);
                }
                let sort = longer(&values);
                Some(Plan::new(What::Commit, slot, [count * size, 0, 0], &codes, sort).values(values))
            }
            Call::Shrink => {
                Some(Plan::new(What::Shrink, slot, [0; 3], &self.growth_codes(at, 0), Sort::Changes(None)))
            }
            _ => None,
        }
    }

    fn plan_to_change(&self, at: usize, call: &Call) -> Option<Plan> {
        let (model, handle) = (&self.model, &self.model.handles[at]);
        let (slot, size, len) = (handle.slot, model.size, model.len());
        let most = MOST * 3 / 4 / size;
        let spliced = |start: usize, removed: usize, values: &[u8]| {
            let (before, behind) =
                (&model.elements[..start * size], &model.elements[(start + removed) * size..]);
            let elements = [before, values, behind].concat();
            let count = values.len() / size;
            let moves = if count < removed || count > removed && start + removed < len {
                Moves::Yes
            } else if removed > 0 && count > removed {
                Moves::Perhaps
            } else {
                Moves::No
            };
            Sort::Changes(Some(Change { elements, moves }))
        };
        let element = |index: usize| model.elements[index * size..][..size].to_vec();
        let codes = |after: usize| self.growth_codes(at, after);
        match *call {
            Call::Pop(count) => {
                let (count, taken) = (usize::from(count), usize::from(count).min(len));
                let mut codes = codes(0);
                if taken < count {
                    codes[0] = if codes[0] == 0 { MBA_EEMPTY } else { codes[0] };
                }
                let sort = if taken > 0 { spliced(len - taken, taken, &[]) } else { Sort::Changes(None) };
                let out: Vec<u8> = (len - taken..len).rev().flat_map(element).collect();
                Some(Plan::new(What::Pop, slot, [count, 0, 0], &codes, sort).out(out).value(taken))
            }
            Call::Insert(place, content) if len < most => {
                let index = place.of(len + 1, len, size);
                let values = self.content(content, index * size, size);
                let sort = spliced(index, 0, &values);
                Some(Plan::new(What::Insert, slot, [index, 0, 0], &codes(len + 1), sort).values(values))
            }
            Call::InsertBeyond => {
                let values = vec![1; size];
                let mut codes = codes(0);
                codes[0] = if codes[0] == 0 { MBA_EINDEX } else { codes[0] };
                let sort = Sort::Changes(None);
                Some(Plan::new(What::Insert, slot, [len + 1, 0, 0], &codes, sort).values(values))
            }
            Call::Remove(place) if len > 0 => {
                let index = place.of(len, len, size);
                let sort = spliced(index, 1, &[]);
                Some(Plan::new(What::Remove, slot, [index, 0, 0], &codes(0), sort).out(element(index)))
            }
            Call::RemoveBeyond => {
                let mut codes = codes(0);
                codes[0] = if codes[0] == 0 { MBA_EINDEX } else { codes[0] };
                Some(Plan::new(What::Remove, slot, [len, 0, 0], &codes, Sort::Changes(None)))
            }
            Call::Splice(place, removed, count, content) => {
                let start = place.of(len + 1, len, size);
                let removed = usize::from(removed).min(len - start);
                let count = usize::from(count).min(removed + most.saturating_sub(len));
                if count == removed {
                    return None;
                }
                let values = self.content(content, start * size, count * size);
                let (sort, codes) = (spliced(start, removed, &values), codes(len - removed + count));
                Some(
                    Plan::new(What::Splice, slot, [start, removed, count * size], &codes, sort)
                        .values(values),
                )
            }
            Call::Resize(_) | Call::Clear => {
                let after = match *call {
                    Call::Resize(length) => length.of(len, model.reach(), size),
                    _ => 0,
                };
                let sort = if after < len {
                    spliced(after, len - after, &[])
                } else {
                    spliced(len, 0, &vec![0; (after - len) * size])
                };
                let what = if matches!(call, Call::Clear) { What::Clear } else { What::Resize };
                let sort = if after == len { Sort::Changes(None) } else { sort };
                Some(Plan::new(what, slot, [after, 0, 0], &codes(after), sort))
            }
            _ => None,
        }
    }

    fn plan_in_place(&self, at: usize, call: &Call) -> Option<Plan> {
        let (model, handle) = (&self.model, &self.model.handles[at]);
        let (slot, size, len) = (handle.slot, model.size, model.len());
        let (known, seen) = (handle.len, handle.seen);
        let refusal = (handle.kind == Kind::ReadOnly).then_some(MBA_EREADONLY);
        let range = |place: super::steps::At, count: u16, end: usize| {
            let start = place.of(end, len, size);
            (start, usize::from(count).min(end - start.min(end)))
        };
        // Of a call that stores: the range, if there is one.
        let store = |what: What, numbers: [usize; 3], start: usize, bytes: Vec<u8>, passed: Vec<u8>| {
            let codes = [refusal.unwrap_or(0)];
            Some(Plan::new(what, slot, numbers, &codes, Sort::Stores(start * size, bytes)).values(passed))
        };
        match *call {
            Call::Set(place, content) if known > 0 => {
                let (index, _) = range(place, 1, known);
                let value = self.content(content, index * size, size);
                store(What::Set, [index, 0, 0], index, value.clone(), value)
            }
            Call::Write(..) | Call::WriteAll(_) => {
                let (start, count, content) = match *call {
                    Call::Write(place, count, content) => {
                        let (start, count) = range(place, count, known);
                        (start, count, content)
                    }
                    Call::WriteAll(content) => (0, known, content),
                    _ => unreachable!("one of these"),
                };
                let values = self.content(content, start * size, count * size);
                let plan = store(What::Write, [start, count * size, 0], start, values.clone(), values);
                plan.filter(|_| count > 0)
            }
            Call::Fill(place, count, content) => {
                let (start, count) = range(place, count, known);
                let value = self.content(content, start * size, size);
                let plan = store(What::Fill, [start, count, 0], start, value.repeat(count), value);
                plan.filter(|_| count > 0)
            }
            Call::Poke(place, count, content) if refusal.is_none() => {
                let (start, count) = range(place, count, seen);
                let values = self.content(content, start * size, count * size);
                let numbers = [start * size, count * size, 0];
                store(What::Poke, numbers, start, values.clone(), values).filter(|_| count > 0)
            }
            Call::PokeBeyond(content) if refusal.is_none() && seen > len => {
                let values = self.content(content, len * size, (seen - len) * size);
                store(What::Poke, [len * size, values.len(), 0], len, values.clone(), values)
            }
            Call::OutOfRange => {
                let codes: Vec<i32> = [MBA_EINDEX].into_iter().chain(refusal).collect();
                let plan = Plan::new(What::Set, slot, [known, 0, 0], &codes, Sort::Reads);
                Some(plan.values(vec![1; size]))
            }
            Call::Reverse | Call::Byteswap if handle.kind != Kind::Private => {
                let view = self.view(at, known * size);
                let is_record = self.ty.kind() == TypeKind::Record;
                let part = if self.ty.kind() == TypeKind::Complex { size / 2 } else { size };
                let mut bytes = view.clone();
                let what = if matches!(call, Call::Reverse) {
                    for (to, from) in bytes.chunks_exact_mut(size).zip(view.chunks_exact(size).rev()) {
                        to.copy_from_slice(from);
                    }
                    What::Reverse
                } else {
                    bytes.chunks_exact_mut(part).for_each(<[u8]>::reverse);
                    What::Byteswap
                };
                if what == What::Byteswap && is_record {
                    let codes: Vec<i32> = [MBA_ETYPE].into_iter().chain(refusal).collect();
                    return Some(Plan::new(what, slot, [0; 3], &codes, Sort::Reads));
                }
                store(what, [0; 3], 0, bytes, Vec::new())
            }
            Call::Get(place) if known > 0 => {
                let (index, _) = range(place, 1, known);
                let plan = Plan::new(What::Get, slot, [index, 0, 0], &[0], Sort::Reads);
                let view = self.view(at, (index + 1) * size);
                Some(if index < len { plan.out(view[index * size..].to_vec()) } else { plan })
            }
            Call::Read(place, count) => {
                let (start, count) = range(place, count, known);
                let plan = Plan::new(What::Read, slot, [start, count, 0], &[0], Sort::Reads);
                let view = self.view(at, (start + count) * size);
                Some(if start + count <= len { plan.out(view[start * size..].to_vec()) } else { plan })
            }
            Call::Find(place) if known > 0 && known <= len => {
                let (index, _) = range(place, 1, known);
                let view = self.view(at, known * size);
                let value = view[index * size..][..size].to_vec();
                let first = view.chunks(size).position(|element| element == value).expect("it is there");
                let is_whole = matches!(self.ty.kind(), TypeKind::Uint | TypeKind::Record);
                let codes: &[i32] = if is_whole { &[0] } else { &[0, MBA_ENOTFOUND] };
                let plan = Plan::new(What::Find, slot, [0; 3], codes, Sort::Reads).values(value);
                Some(if is_whole { plan.value(first) } else { plan })
            }
            Call::Advice(place, count, advice) => {
                let (start, count) = range(place, count, known);
                let numbers = [start, count, usize::from(advice % 5)];
                Some(Plan::new(What::Advice, slot, numbers, &[0], Sort::Reads))
            }
            _ => None,
        }
        .filter(|plan| match &plan.sort {
            Sort::Stores(from, bytes) => !self.would_be_mistaken(at, *from, bytes),
            _ => true,
        })
    }

    /// Whether stores would make the last elements of a file without spare room read as a footer, which only the holder
    /// of the growth lock may do, and then nobody else can open the file.
    fn would_be_mistaken(&self, at: usize, from: usize, bytes: &[u8]) -> bool {
        if self.reading.has_footer || self.model.handles[at].kind == Kind::Private {
            return false;
        }
        // What comes before the last page doesn't matter.
        let end = self.model.elements.len();
        let Some(last) = end.checked_sub(PAGE).filter(|_| end.is_multiple_of(PAGE)) else { return false };
        let mut page = self.model.elements[last..].to_vec();
        match from.checked_sub(last) {
            Some(at) => put(&mut page, at, bytes),
            None => put(&mut page, 0, bytes.get(last - from..).unwrap_or_default()),
        }
        footer::ends_alike(&page)
    }

    /// Compares what a call said and gave, and follows it in the model.
    fn settle(&mut self, at: usize, plan: Plan, answer: &Answer) -> Checked {
        let handle = &self.model.handles[at];
        let (name, what) = (handle.name(), plan.order.meaning());
        let held = self.model.holds(at);
        let refusal = match (&plan.sort, handle.kind) {
            (Sort::Changes(_) | Sort::Lock, Kind::ReadOnly) => Some(MBA_EREADONLY),
            (Sort::Changes(_) | Sort::Lock, Kind::Private) => Some(MBA_EFIXED),
            _ => None,
        };
        let needs_lock = matches!(plan.sort, Sort::Changes(_) | Sort::Lock);
        let timed = matches!(plan.sort, Sort::Lock) && plan.order.a > 0;
        let locked = if timed { libc::ETIMEDOUT } else { MBA_ELOCKED };
        let mut codes = plan.codes.clone();
        match (refusal, self.model.holder) {
            (Some(code), _) => codes = vec![code],
            (None, Holder::Handle(_)) if needs_lock && !held => codes = vec![locked],
            (None, Holder::Lingers) if needs_lock => codes.push(locked),
            _ => {}
        }
        let too_long = self.model.len() > handle.most;
        if matches!(plan.sort, Sort::Lock) && too_long && refusal.is_none() && codes[0] == 0 {
            codes = vec![MBA_ELIMIT];
        }
        if matches!(plan.sort, Sort::Lock) && handle.is_small && codes[0] == 0 {
            // Others may have seen more than it has room for.
            codes.extend(self.growth_codes(at, 0));
        }
        let small_and_alike = handle.is_small && footer::ends_alike(&self.model.elements);
        if matches!(plan.sort, Sort::Unlock) && small_and_alike {
            codes.push(MBA_ELIMIT);
        }
        if matches!(plan.sort, Sort::Refresh) && handle.is_small && handle.kind != Kind::Private && too_long {
            codes = vec![MBA_ELIMIT];
            if self.model.len() * self.model.size <= handle.most * self.model.size + PAGE {
                codes.push(0);
            }
        }
        let said = answer.code;
        ensure!(codes.contains(&said), "{name}: {what:?} says {said}, and should say one of {codes:?}");
        let reached = plan.codes.contains(&said) && refusal.is_none() && said != locked;
        if said == 0 || said == MBA_EEMPTY && reached {
            if let Some(value) = plan.value {
                ensure!(
                    answer.value == value,
                    "{name}: {what:?} gives {}, and should give {value}",
                    answer.value
                );
            }
            if let Some(out) = &plan.out {
                ensure!(self.board.out(out.len()) == out, "{name}: {what:?} gives other elements");
            }
        }
        match plan.sort {
            Sort::Stores(from, bytes) if said == 0 => {
                self.store(at, from, &bytes);
                self.agree(at, answer, false)
            }
            Sort::Unlock if said == 0 => {
                if held {
                    self.model.holder = Holder::Nobody;
                }
                self.agree(at, answer, false)
            }
            Sort::Refresh if said == 0 && self.model.handles[at].kind != Kind::Private => {
                self.agree(at, answer, true)
            }
            Sort::Changes(change) => {
                let happened = said == 0 || said == MBA_EEMPTY && reached && answer.value > 0;
                self.take_lock(at, answer)?;
                self.changed(at, plan.order, answer, change.filter(|_| happened), said)
            }
            Sort::Lock => {
                self.take_lock(at, answer)?;
                ensure!(said != 0 || self.model.holds(at), "{name}: has locked, and hasn't the lock");
                let looks = said == 0 || self.has_looked_and_failed(at, answer);
                self.agree(at, answer, looks)
            }
            _ => self.agree(at, answer, false),
        }
    }

    /// A call that can take the lock may have taken it, also if it failed later.
    fn take_lock(&mut self, at: usize, answer: &Answer) -> Checked {
        let held = self.model.holds(at);
        let handle = &self.model.handles[at];
        if answer.has_lock == 1 && !held {
            let free = !matches!(self.model.holder, Holder::Handle(_));
            ensure!(free && handle.is_writer(), "{}: has the lock, which another handle has", handle.name());
            self.model.holder = Holder::Handle(handle.id);
            if self.reading.is_unsettled() {
                // A killed process has begun to take elements away or to move some; the next holder puts an end to that.
                self.model.may_have_moved();
            }
            let len = self.model.len();
            let handle = &mut self.model.handles[at];
            (handle.len, handle.seen) = (len, handle.seen.max(len));
        }
        // A child that asks for the lock does so through a description of its own, from then on.
        let has_asked = answer.has_lock == 1 || answer.code == MBA_ELOCKED || answer.code == libc::ETIMEDOUT;
        let number = self.model.number();
        let handle = &mut self.model.handles[at];
        if has_asked && handle.is_writer() && !handle.has_own_lock {
            (handle.has_own_lock, handle.family) = (true, number);
        }
        Ok(())
    }

    /// A call that changes the length, and may have failed: what is different now.
    fn changed(
        &mut self,
        at: usize,
        order: Order,
        answer: &Answer,
        change: Option<Change>,
        said: i32,
    ) -> Checked {
        let what = order.meaning();
        let was = self.model.len();
        let moved = match change {
            None => Moves::No,
            Some(change) => {
                self.model.elements = change.elements;
                let handle = &mut self.model.handles[at];
                handle.has_changed = true;
                ensure!(answer.has_lock == 1, "{}: has changed the length without the lock", handle.name());
                change.moves
            }
        };
        match moved {
            Moves::Yes => self.model.has_moved(),
            Moves::Perhaps => self.model.may_have_moved(),
            Moves::No => {}
        }
        let len = self.model.len();
        // Also where it takes away what others have taken away already.
        let truncates = matches!(what, What::Pop | What::Remove | What::Resize | What::Clear);
        if len < was || said == 0 && truncates {
            self.model.handles[at].seen = len;
        }
        let is_exact = self.model.handles[at].kind == Kind::Exact;
        let is_alone = self.is_alone(at);
        let only_appended = self.model.taken == super::model::Taken::No;
        if said == 0 && (what == What::Shrink || is_exact && len != was) {
            if what == What::Shrink {
                self.model.handles[at].seen = len;
            }
            // What the handle itself has seen stays, but for what its own calls have taken away.
            let has_seen_more = self.model.handles[at].seen > len;
            self.must_be_exact = (is_alone || only_appended) && !has_seen_more;
        }
        if said == 0 && what == What::Reserve && !is_exact {
            let capacity = answer.capacity;
            let wanted = order.a;
            ensure!(capacity >= wanted, "a capacity of {capacity}, and {wanted} were reserved");
        }
        let looks = self.model.holds(at) || self.has_looked_and_failed(at, answer);
        self.agree(at, answer, looks)
    }

    /// Where a small reservation has no place for the footer, a call fails when it has taken up the length already.
    fn has_looked_and_failed(&self, at: usize, answer: &Answer) -> bool {
        let handle = &self.model.handles[at];
        handle.is_small && answer.code == MBA_ELIMIT && answer.len == self.model.len() as u64
    }

    /// Whether no other handle is open, and no descriptor was duplicated.
    fn is_alone(&self, at: usize) -> bool {
        let id = self.model.handles[at].id;
        self.model.handles.iter().all(|handle| handle.id == id) && !self.somebody_has_duplicates()
    }

    /// What a handle shows after a call is what the model says.
    fn agree(&mut self, at: usize, answer: &Answer, looks: bool) -> Checked {
        if looks {
            self.model.look(at, answer.epoch)?;
        }
        let handle = &self.model.handles[at];
        let name = handle.name();
        ensure!(answer.data == handle.data, "{name}: the address has changed");
        ensure!(
            answer.len == handle.len as u64,
            "{name}: knows {}, and should know {}",
            answer.len,
            handle.len
        );
        ensure!(
            answer.capacity >= answer.len,
            "{name}: a capacity of {} for {}",
            answer.capacity,
            answer.len
        );
        let has_lock = u64::from(self.model.holds(at));
        ensure!(answer.has_lock == has_lock, "{name}: has_lock says {}", answer.has_lock);
        let epoch = handle.looked.epoch;
        let are_unsettled = is_unsettled(epoch) && is_unsettled(answer.epoch);
        ensure!(
            answer.epoch == epoch || are_unsettled,
            "{name}: its epoch has become {}, from {epoch}",
            answer.epoch
        );
        Ok(())
    }

    /// Bytes were stored through a handle.
    fn store(&mut self, at: usize, from: usize, bytes: &[u8]) {
        if self.model.handles[at].kind != Kind::Private {
            put(&mut self.model.elements, from, bytes);
            return;
        }
        // The pages become the handle's own as they are in the file now.
        for page in from / PAGE..(from + bytes.len()).div_ceil(PAGE) {
            if !self.model.handles[at].pages.contains_key(&page) {
                let mut contents = vec![0; PAGE];
                let there = self.reading.size.saturating_sub(page * PAGE).min(PAGE);
                self.file.read_exact_at(&mut contents[..there], (page * PAGE) as u64).unwrap();
                self.model.handles[at].pages.insert(page, contents);
            }
        }
        let mut place = from;
        while place < from + bytes.len() {
            let next = ((place / PAGE + 1) * PAGE).min(from + bytes.len());
            let contents = self.model.handles[at].pages.get_mut(&(place / PAGE)).expect("its own by now");
            put(contents, place % PAGE, &bytes[place - from..next - from]);
            place = next;
        }
    }

    /// What the library says of the array, through the handle and by its name.
    fn look_at_status(&mut self, at: usize) -> Checked {
        let (process, slot) = (self.model.handles[at].process, self.model.handles[at].slot);
        let name = self.model.handles[at].name();
        for what in [What::ArrayInfo, What::Info] {
            let answer = self.order(process, Order::new(what, slot))?;
            self.tell(&format!("{name}: {what:?} = {}", answer.code));
            ensure!(answer.code == 0, "{name}: {what:?} says {}", answer.code);
            // SAFETY: the process has put the structure there, which is plain words.
            let status: Status = unsafe {
                let bytes = self.board.out(size_of::<Status>());
                bytes.as_ptr().cast::<Status>().read_unaligned()
            };
            self.check_status(at, what, &status).map_err(|error| format!("{what:?} of {name}: {error}"))?;
        }
        let answer = self.order(process, Order::new(What::IsReplaced, slot))?;
        ensure!((answer.code, answer.value) == (0, 0), "{name}: is_replaced says {answer:?}");
        Ok(())
    }

    fn check_status(&self, at: usize, what: What, status: &Status) -> Checked {
        let (reading, handle) = (&self.reading, &self.model.handles[at]);
        // Without a footer a file doesn't say what its elements are.
        let known = what == What::ArrayInfo || reading.has_footer;
        let (len, itemsize) = if known { (self.model.len(), self.model.size) } else { (0, 0) };
        ensure!((status.len, status.itemsize) == (len as u64, itemsize as u64), "length {len}, {status:?}");
        // To a file, types of one class and size are one.
        let ty = Type::from_code(status.ty as i32).map(|ty| (ty.kind(), ty.size()));
        let expected = known.then_some((self.ty.kind(), self.ty.size()));
        ensure!(ty.ok() == expected, "type {expected:?}, {status:?}");
        ensure!(status.file_size == reading.size as u64, "file size {}, {status:?}", reading.size);
        ensure!(status.offset == 0, "offset 0, {status:?}");
        let said = (status.epoch, status.holder);
        ensure!(said == (reading.epoch, reading.holder), "{reading:?}, {status:?}");
        ensure!(status.has_footer == u64::from(reading.has_footer), "{reading:?}, {status:?}");
        let locked = match self.model.holder {
            Holder::Nobody => Some(false),
            Holder::Handle(_) => Some(true),
            Holder::Lingers => None,
        };
        ensure!(
            locked.is_none_or(|locked| status.is_locked == u64::from(locked)),
            "locked {locked:?}, {status:?}"
        );
        // A child shares what its parent's presence is by, and so does a duplicate.
        let shared = match what {
            What::Info => Some(true),
            _ if self.model.handles.iter().any(|other| other.opening != handle.opening) => Some(true),
            _ if self.is_alone(at) => Some(false),
            _ => None,
        };
        ensure!(
            shared.is_none_or(|shared| status.is_shared == u64::from(shared)),
            "shared {shared:?}, {status:?}"
        );
        Ok(())
    }
}

/// Puts bytes where there are elements.
fn put(elements: &mut [u8], from: usize, bytes: &[u8]) {
    let end = elements.len();
    let count = bytes.len().min(end.saturating_sub(from));
    if count > 0 {
        elements[from..from + count].copy_from_slice(&bytes[..count]);
    }
}
