//! The operations of a random run, and how proptest draws them.

use proptest::prelude::*;

/// One operation. Numbers are raw: indices are taken modulo what is there.
#[derive(Clone, Debug)]
pub enum Operation {
    Append(u64),
    AppendMany(u8, u64),
    Extend(Length, u64),
    ExtendFromItself(u32, u16),
    Insert(u32, u64),
    InsertFromItself(u32, u32),
    Remove(u32),
    Pop,
    PopMany(u8),
    Splice(u32, u16, u16, u64),
    SpliceFromItself(u32, u16, u32, u16),
    Resize(Length),
    Clear,
    Get(u32),
    Set(u32, u64),
    Read(u32, u16),
    Write(u32, u16, u64),
    WriteFromItself(u32, u32, u16),
    Fill(u32, u16, u64),
    FillFromItself(u32, u16, u32),
    Find(u64, u32, u32),
    Count(u64),
    Compare(u32, u64, bool),
    Swap(u32, u32),
    Reverse,
    Byteswap,
    Reserve(Length),
    ShrinkToFit,
    /// Stores through the pointer and publishes.
    Commit(u16, u64),
    /// Stores behind the last element, and doesn't publish.
    Scribble(u64),
    Lock,
    Unlock,
    Refresh,
    Flush,
    /// Looks through the second handle.
    Follow,
    Reopen,
    /// Another handle tries to append, and can once this one has unlocked.
    Another(u64),
    Outside(Outside),
}

/// A length to go to.
#[derive(Clone, Debug)]
pub enum Length {
    /// So many elements more.
    More(u16),
    /// Where a page of the file ends, or a footer in it begins; and a little before or behind.
    Edge { page: u8, before_footer: bool, off: i8 },
    /// As many as there is room for; and a little before or behind.
    Capacity(i8),
}

/// A call that must be refused.
#[derive(Clone, Copy, Debug)]
pub enum Outside {
    Get,
    GetLast,
    Set,
    Read,
    ReadNothing,
    Write,
    WriteNothing,
    Fill,
    Insert,
    Remove,
    Splice,
    SpliceBehind,
    CommitBack,
    CommitBeyond,
    ResizeBeyond,
    ResizeMost,
    ReserveMost,
}

fn index() -> impl Strategy<Value = u32> {
    prop_oneof![0..4u32, 0..200u32, any::<u32>()]
}

fn count() -> impl Strategy<Value = u16> {
    prop_oneof![0..3u16, 0..70u16, 0..3000u16]
}

fn length() -> impl Strategy<Value = Length> {
    prop_oneof![
        (0..600u16).prop_map(Length::More),
        (0..24u8, any::<bool>(), -1..=1i8).prop_map(|(page, before_footer, off)| Length::Edge {
            page,
            before_footer,
            off
        }),
        (-1..=1i8).prop_map(Length::Capacity),
    ]
}

fn outside() -> impl Strategy<Value = Outside> {
    use Outside::*;
    proptest::sample::select(vec![
        Get,
        GetLast,
        Set,
        Read,
        ReadNothing,
        Write,
        WriteNothing,
        Fill,
        Insert,
        Remove,
        Splice,
        SpliceBehind,
        CommitBack,
        CommitBeyond,
        ResizeBeyond,
        ResizeMost,
        ReserveMost,
    ])
}

pub fn operation() -> impl Strategy<Value = Operation> {
    use Operation::*;
    let seed = any::<u64>;
    let growing = prop_oneof![
        3 => seed().prop_map(Append),
        3 => (any::<u8>(), seed()).prop_map(|(count, seed)| AppendMany(count, seed)),
        4 => (length(), seed()).prop_map(|(length, seed)| Extend(length, seed)),
        1 => (index(), count()).prop_map(|(from, count)| ExtendFromItself(from, count)),
        2 => (index(), seed()).prop_map(|(at, seed)| Insert(at, seed)),
        1 => (index(), index()).prop_map(|(at, from)| InsertFromItself(at, from)),
        2 => (index(), count(), count(), seed()).prop_map(|(at, out, new, seed)| Splice(at, out, new, seed)),
        1 => (index(), count(), index(), count())
            .prop_map(|(at, out, from, new)| SpliceFromItself(at, out, from, new)),
        4 => length().prop_map(Resize),
        2 => (count(), seed()).prop_map(|(count, seed)| Commit(count, seed)),
    ];
    let shrinking = prop_oneof![
        2 => index().prop_map(Remove),
        2 => Just(Pop),
        2 => any::<u8>().prop_map(PopMany),
        1 => Just(Clear),
    ];
    let in_place = prop_oneof![
        2 => index().prop_map(Get),
        2 => (index(), seed()).prop_map(|(at, seed)| Set(at, seed)),
        2 => (index(), count()).prop_map(|(at, count)| Read(at, count)),
        2 => (index(), count(), seed()).prop_map(|(at, count, seed)| Write(at, count, seed)),
        1 => (index(), index(), count()).prop_map(|(at, from, count)| WriteFromItself(at, from, count)),
        2 => (index(), count(), seed()).prop_map(|(at, count, seed)| Fill(at, count, seed)),
        1 => (index(), count(), index()).prop_map(|(at, count, from)| FillFromItself(at, count, from)),
        2 => (seed(), index(), index()).prop_map(|(seed, start, stop)| Find(seed, start, stop)),
        2 => seed().prop_map(Count),
        2 => (index(), seed(), any::<bool>()).prop_map(|(at, seed, cut)| Compare(at, seed, cut)),
        2 => (index(), index()).prop_map(|(i, j)| Swap(i, j)),
        1 => Just(Reverse),
        1 => Just(Byteswap),
    ];
    let storage = prop_oneof![
        4 => length().prop_map(Reserve),
        4 => Just(ShrinkToFit),
        8 => seed().prop_map(Scribble),
        4 => Just(Lock),
        8 => Just(Unlock),
        4 => Just(Refresh),
        1 => Just(Flush),
        8 => Just(Follow),
        8 => Just(Reopen),
        4 => seed().prop_map(Another),
    ];
    prop_oneof![5 => growing, 3 => shrinking, 3 => in_place, 3 => storage, 2 => outside().prop_map(Outside)]
}
