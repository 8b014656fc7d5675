//! What happens in a case, drawn from a seed. Numbers in steps are meant in relation to what there is when their turn
//! comes, so that a case still makes sense when some of its steps are left out.

use mmap_backed_array::Type;

use super::board::MOST;
use super::footer::{FOOTER, PAGE};
use super::worker::ForkCall;
use crate::helpers::{Numbers, Place};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    ReadOnly,
    Writable,
    Exact,
    Private,
}

/// Where a handle comes from.
#[derive(Clone, Copy, Debug)]
pub enum From {
    Path,
    /// With a reservation of so many pages more than the file has.
    Reserving(u8),
    Descriptor,
    /// The descriptor of another handle of the process.
    Handle(u8),
}

#[derive(Clone, Copy, Debug)]
pub enum Length {
    Elements(u16),
    Bytes(u32),
    /// Bytes before or behind the end of a page.
    PageEnd(u8, i16),
    /// Elements more than there are, or fewer.
    More(i16),
    /// As long as the longest that a handle has seen, and so many elements more.
    Reach(i8),
    Now,
}

impl Length {
    /// In elements.
    pub fn of(self, len: usize, reach: usize, size: usize) -> usize {
        let more = |from: usize, more: isize| from.saturating_add_signed(more);
        let len = match self {
            Length::Elements(count) => usize::from(count),
            Length::Bytes(bytes) => bytes as usize / size,
            Length::PageEnd(page, delta) => more(usize::from(page) * PAGE, delta.into()).div_ceil(size),
            Length::More(elements) => more(len, elements.into()),
            Length::Reach(elements) => more(reach, elements.into()),
            Length::Now => len,
        };
        len.min(MOST * 3 / 4 / size)
    }
}

/// An index, or where a range begins.
#[derive(Clone, Copy, Debug)]
pub enum At {
    Start(u8),
    /// So many elements before the end that the handle knows.
    End(u8),
    Anywhere(u32),
    PageEnd(u8, i16),
    /// At or behind the end that the file has now.
    Length(i8),
}

impl At {
    /// An index below `end`, unless that is 0.
    pub fn of(self, end: usize, len: usize, size: usize) -> usize {
        let at = match self {
            At::Start(at) => at.into(),
            At::End(back) => end.saturating_sub(1 + usize::from(back)),
            At::Anywhere(at) => at as usize % end.max(1),
            At::PageEnd(page, delta) => (usize::from(page) * PAGE).saturating_add_signed(delta.into()) / size,
            At::Length(delta) => len.saturating_add_signed(delta.into()),
        };
        at.min(end.saturating_sub(1))
    }
}

/// What is stored.
#[derive(Clone, Copy, Debug)]
pub enum Content {
    Any(u32),
    Zero,
    Ones,
    /// A footer, or what begins as one, wherever a file could end with it; else anything.
    Alike(u32),
}

#[derive(Clone, Debug)]
pub enum Call {
    Append(Content),
    Push(u16, Content),
    Extend(Length, Content),
    ExtendOwn(At, u16),
    Pop(u16),
    Insert(At, Content),
    InsertBeyond,
    Remove(At),
    RemoveBeyond,
    Splice(At, u16, u16, Content),
    Resize(Length),
    Clear,
    Reserve(Length),
    Commit(u16, Content),
    Shrink,
    Set(At, Content),
    Write(At, u16, Content),
    WriteAll(Content),
    Fill(At, u16, Content),
    /// Through the pointer, wherever the handle has seen elements.
    Poke(At, u16, Content),
    /// Through the pointer, in all that the handle has seen and that is no element any more.
    PokeBeyond(Content),
    OutOfRange,
    Reverse,
    Byteswap,
    Get(At),
    Read(At, u16),
    Find(At),
    Lock,
    LockWithin,
    Unlock,
    Refresh,
    Flush,
    Advice(At, u16, u8),
    Look,
}

#[derive(Clone, Debug)]
pub enum Step {
    Start,
    Open(u8, Kind, From),
    Close(u8),
    /// Handles of different processes close at once: those whose bit is set.
    CloseTogether(u16),
    Fork(u8, ForkCall),
    Program(u8, bool),
    EndProgram(u8),
    Exit(u8, bool),
    Kill(u8),
    /// A call, and a kill after so many half microseconds.
    KillDuring(u8, u16, Call),
    KillClosing(u8, u16),
    Duplicate(u8),
    CloseDuplicate(u8),
    /// With force, which changes nothing where the footer is sound.
    Tidy(u8, bool),
    Replace,
    /// Who has the lock makes the last elements of a file without spare room read as a footer, and gives the lock back:
    /// by closing, or not.
    Mimic(u8, bool),
    Call(u8, Call),
}

/// All that a seed determines.
#[derive(Clone, Debug)]
pub struct Case {
    pub ty: Type,
    pub place: Place,
    /// The array's length to begin with, and what is in it.
    pub start: (usize, Content),
    pub processes: usize,
    /// How many handles are open at once, not counting those of children: with one the writer is often alone, but for
    /// children.
    pub handles: usize,
    pub steps: Vec<Step>,
}

/// How likely a thing is in this case: in each some are left out, and some prevail.
struct Weights {
    all: Vec<u64>,
    sum: u64,
}

impl Weights {
    fn new(base: &[u64], numbers: &mut Numbers) -> Weights {
        let mut all: Vec<u64> = base.to_vec();
        for weight in &mut all {
            *weight *= [0, 1, 1, 2, 6][numbers.below(5) as usize];
        }
        if all.iter().all(|weight| *weight == 0) {
            all = base.to_vec();
        }
        let sum = all.iter().sum();
        Weights { all, sum }
    }

    fn draw(&self, numbers: &mut Numbers) -> usize {
        let mut roll = numbers.below(self.sum);
        self.all
            .iter()
            .position(|weight| {
                let here = roll < *weight;
                roll = roll.wrapping_sub(*weight);
                here
            })
            .expect("the roll is below the sum")
    }
}

const CALLS: [u64; 35] = [
    30, 30, 40, 8, 30, 8, 2, 8, 2, 15, 30, 8, 8, 15, 12, 15, 12, 5, 8, 12, 12, 4, 4, 3, 5, 5, 3, 12, 3, 20,
    8, 1, 3, 5, 10,
];
const STEPS: [u64; 16] = [2, 90, 45, 10, 14, 2, 2, 8, 8, 10, 4, 3, 3, 6, 2, 6];
const KINDS: [u64; 4] = [10, 20, 6, 5];
const FROMS: [u64; 4] = [10, 2, 3, 3];
const LENGTHS: [u64; 6] = [6, 4, 12, 8, 6, 2];
const PLACES: [u64; 5] = [4, 8, 4, 6, 6];
const CONTENTS: [u64; 4] = [12, 3, 1, 5];

struct Drawing {
    numbers: Numbers,
    calls: Weights,
    steps: Weights,
    kinds: Weights,
    froms: Weights,
    lengths: Weights,
    places: Weights,
    contents: Weights,
    size: usize,
    /// How many handles there are before a step opens one more only now and then.
    calls_share: u64,
}

impl Case {
    pub fn new(seed: u64, several: bool) -> Case {
        let mut numbers = Numbers(seed);
        let types = ["B", "H", "I", "Q", "D", "3", "24", "100", "5000"];
        let ty = match types[numbers.below(types.len() as u64) as usize] {
            code if code.chars().all(char::is_alphabetic) => {
                Type::from_char(code.chars().next().unwrap()).unwrap()
            }
            size => Type::record(size.parse().unwrap()).unwrap(),
        };
        let place = if numbers.below(3) == 0 { Place::Disk } else { Place::Memory };
        let mut weights = |base: &[u64]| Weights::new(base, &mut numbers);
        let mut drawing = Drawing {
            calls: weights(&CALLS),
            steps: weights(&STEPS),
            kinds: weights(&KINDS),
            froms: weights(&FROMS),
            lengths: weights(&LENGTHS),
            places: weights(&PLACES),
            contents: weights(&CONTENTS),
            numbers,
            size: ty.size(),
            calls_share: 0,
        };
        drawing.calls_share = 50 + drawing.numbers.below(45);
        let start = (drawing.length().of(0, 0, ty.size()), drawing.content());
        let processes = if several { 2 + drawing.below(2) as usize } else { 1 };
        let handles = 1 + drawing.below(5) as usize;
        let steps = match drawing.below(12) {
            0 | 1 if several => drawing.rounds_of_closing(),
            2 | 3 => drawing.rounds_with_children(),
            4 | 5 => drawing.rounds_at_the_end_of_pages(),
            _ => {
                let count = 20 + drawing.below(130);
                let mut steps: Vec<Step> = (0..2).map(|_| drawing.open()).collect();
                steps.extend((0..count).map(|_| drawing.step()));
                steps
            }
        };
        Case { ty, place, start, processes, handles, steps }
    }
}

impl Drawing {
    fn below(&mut self, end: u64) -> u64 {
        self.numbers.below(end)
    }

    fn byte(&mut self) -> u8 {
        self.below(256) as u8
    }

    /// Handles that may write are opened, one of them changes the length, and all are closed at once, over and over.
    fn rounds_of_closing(&mut self) -> Vec<Step> {
        let mut steps = Vec::new();
        for _ in 0..20 + self.below(20) {
            for process in 0..2 + self.below(2) {
                let kind = if self.below(6) == 0 { Kind::Exact } else { Kind::Writable };
                steps.push(Step::Open(process as u8, kind, From::Path));
            }
            for _ in 0..1 + self.below(2) {
                steps.push(Step::Call(self.byte(), self.call()));
            }
            steps.push(Step::CloseTogether(u16::MAX));
        }
        steps
    }

    /// A handle and its copies in children, one of which makes the array shorter and gives spare room back.
    fn rounds_with_children(&mut self) -> Vec<Step> {
        let mut steps = Vec::new();
        for _ in 0..10 + self.below(10) {
            let kind = if self.below(4) == 0 { Kind::Exact } else { Kind::Writable };
            steps.push(Step::Open(self.byte(), kind, From::Path));
            steps.push(Step::Call(self.byte(), Call::Extend(self.length(), self.content())));
            steps.push(Step::Fork(self.byte(), ForkCall::ALL[self.below(3) as usize]));
            let shorter = match self.below(4) {
                0 => Call::Pop(self.few()),
                1 => Call::Clear,
                2 => Call::Splice(self.at(), self.few(), 0, Content::Zero),
                _ => Call::Resize(self.length()),
            };
            let who = self.byte();
            steps.push(Step::Call(who, shorter));
            match self.below(3) {
                0 => steps.push(Step::Call(who, Call::Shrink)),
                1 => steps.push(Step::Close(who)),
                _ => steps.push(self.step()),
            }
            match self.below(6) {
                0 | 1 => steps.push(Step::Kill(self.byte())),
                2 | 3 => steps.push(Step::Exit(self.byte(), true)),
                4 => steps.push(self.step()),
                _ => steps.push(Step::Close(self.byte())),
            }
        }
        steps
    }

    /// The elements end where a page ends, often so that they would read as a footer there.
    fn rounds_at_the_end_of_pages(&mut self) -> Vec<Step> {
        let mut steps = Vec::new();
        // Of elements of 24 bytes three pages hold a whole number, of others that divide a page, each.
        let pages = |pages: u64| Length::PageEnd(3 * pages as u8, 0);
        for _ in 0..10 + self.below(15) {
            let (who, seed) = (self.byte(), 4 * self.below(1 << 20) as u32 + self.below(4) as u32);
            let content = Content::Alike(seed);
            let page = 1 + self.below(4);
            match self.below(9) {
                0 | 1 => {
                    let kind = if self.below(2) == 0 { Kind::Exact } else { Kind::Writable };
                    steps.push(Step::Open(self.byte(), kind, From::Path));
                }
                2 => {
                    steps.push(Step::Call(who, Call::Extend(pages(page), content)));
                    steps.push(Step::Call(who, Call::Pop(1)));
                    steps.push(Step::Call(who, Call::Append(content)));
                }
                3 => steps.push(Step::Call(who, Call::Resize(pages(page)))),
                4 => {
                    steps.push(Step::Call(who, Call::Extend(pages(page), content)));
                    // A footer's worth of elements in the midst goes, and what was before the end is the end.
                    let removed = (3 * PAGE / self.size) as u16;
                    steps.push(Step::Call(who, Call::Splice(At::Start(0), removed, 0, content)));
                }
                5 => steps.push(Step::Close(who)),
                6 => steps.push(Step::Mimic(who, self.below(2) == 0)),
                7 => steps.push(Step::Call(who, Call::Extend(pages(page), content))),
                _ => steps.push(self.step()),
            }
        }
        steps
    }

    fn step(&mut self) -> Step {
        if self.below(100) < self.calls_share {
            return Step::Call(self.byte(), self.call());
        }
        match self.steps.draw(&mut self.numbers) {
            0 => Step::Start,
            1 => self.open(),
            2 => Step::Close(self.byte()),
            3 => Step::CloseTogether(self.below(1 << 16) as u16),
            4 => Step::Fork(self.byte(), ForkCall::ALL[self.below(3) as usize]),
            5 => Step::Program(self.byte(), self.below(2) == 0),
            6 => Step::EndProgram(self.byte()),
            7 => Step::Exit(self.byte(), self.below(2) == 0),
            8 => Step::Kill(self.byte()),
            9 => Step::KillDuring(self.byte(), self.delay(), self.call()),
            10 => Step::KillClosing(self.byte(), self.delay()),
            11 => Step::Duplicate(self.byte()),
            12 => Step::CloseDuplicate(self.byte()),
            13 => Step::Tidy(self.byte(), self.below(2) == 0),
            14 => Step::Replace,
            _ => Step::Mimic(self.byte(), self.below(2) == 0),
        }
    }

    fn delay(&mut self) -> u16 {
        let longest = [20, 100, 400, 2000][self.below(4) as usize];
        self.below(longest) as u16
    }

    fn open(&mut self) -> Step {
        let kinds = [Kind::ReadOnly, Kind::Writable, Kind::Exact, Kind::Private];
        let kind = kinds[self.kinds.draw(&mut self.numbers)];
        let from = match self.froms.draw(&mut self.numbers) {
            0 => From::Path,
            1 => From::Reserving(self.byte()),
            2 => From::Descriptor,
            _ => From::Handle(self.byte()),
        };
        Step::Open(self.byte(), kind, from)
    }

    /// Bytes from the end of a page: none, elements, about as much as a footer has.
    fn delta(&mut self) -> i16 {
        let (size, footer) = (self.size as i64, FOOTER as i64);
        let delta = match self.below(10) {
            0..=2 => 0,
            3 => size,
            4 => -size,
            5 => -footer,
            6 => 1 - footer,
            7 => -footer - size,
            8 => self.below(2 * FOOTER as u64) as i64 - footer,
            _ => self.below(PAGE as u64) as i64,
        };
        delta as i16
    }

    fn page(&mut self) -> u8 {
        match self.below(4) {
            0..=2 => 1 + self.below(5) as u8,
            _ => 1 + self.below(60) as u8,
        }
    }

    fn length(&mut self) -> Length {
        match self.lengths.draw(&mut self.numbers) {
            0 => Length::Elements(self.below(40) as u16),
            1 => Length::Bytes(self.below(MOST as u64 / 2) as u32),
            2 => Length::PageEnd(self.page(), self.delta()),
            3 => Length::More(self.below(400) as i16 - 200),
            4 => Length::Reach(self.below(7) as i8 - 3),
            _ => Length::Now,
        }
    }

    fn at(&mut self) -> At {
        match self.places.draw(&mut self.numbers) {
            0 => At::Start(self.below(20) as u8),
            1 => At::End(self.below(20) as u8),
            2 => At::Anywhere(self.below(1 << 32) as u32),
            3 => At::PageEnd(self.page(), self.delta()),
            _ => At::Length(self.below(9) as i8 - 4),
        }
    }

    fn content(&mut self) -> Content {
        match self.contents.draw(&mut self.numbers) {
            0 => Content::Any(self.below(1 << 32) as u32),
            1 => Content::Zero,
            2 => Content::Ones,
            _ => Content::Alike(self.below(1 << 32) as u32),
        }
    }

    fn few(&mut self) -> u16 {
        let most = [3, 20, 300, 3000][self.below(4) as usize];
        1 + self.below(most) as u16
    }

    fn call(&mut self) -> Call {
        match self.calls.draw(&mut self.numbers) {
            0 => Call::Append(self.content()),
            1 => Call::Push(self.few(), self.content()),
            2 => Call::Extend(self.length(), self.content()),
            3 => Call::ExtendOwn(self.at(), self.few()),
            4 => Call::Pop(if self.below(2) == 0 { 1 } else { self.few() }),
            5 => Call::Insert(self.at(), self.content()),
            6 => Call::InsertBeyond,
            7 => Call::Remove(self.at()),
            8 => Call::RemoveBeyond,
            9 => Call::Splice(self.at(), self.few() - 1, self.few() - 1, self.content()),
            10 => Call::Resize(self.length()),
            11 => Call::Clear,
            12 => Call::Reserve(self.length()),
            13 => Call::Commit(self.few() - 1, self.content()),
            14 => Call::Shrink,
            15 => Call::Set(self.at(), self.content()),
            16 => Call::Write(self.at(), self.few(), self.content()),
            17 => Call::WriteAll(self.content()),
            18 => Call::Fill(self.at(), self.few(), self.content()),
            19 => Call::Poke(self.at(), self.few(), self.content()),
            20 => Call::PokeBeyond(self.content()),
            21 => Call::OutOfRange,
            22 => Call::Reverse,
            23 => Call::Byteswap,
            24 => Call::Get(self.at()),
            25 => Call::Read(self.at(), self.few()),
            26 => Call::Find(self.at()),
            27 => Call::Lock,
            28 => Call::LockWithin,
            29 => Call::Unlock,
            30 => Call::Refresh,
            31 => Call::Flush,
            32 => Call::Advice(self.at(), self.few(), self.byte()),
            33 => Call::Look,
            _ => Call::Extend(Length::Reach(self.below(5) as i8 - 2), self.content()),
        }
    }
}
