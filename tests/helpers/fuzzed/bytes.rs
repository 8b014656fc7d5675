//! A fuzzer's input, taken apart from its beginning.

use mmap_backed_array::Type;

/// What is left of an input. At its end everything is zero.
pub struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    pub fn new(input: &'a [u8]) -> Bytes<'a> {
        Bytes(input)
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The next `count` bytes, or as many as there are.
    pub fn take(&mut self, count: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(count.min(self.0.len()));
        self.0 = rest;
        taken
    }

    fn array<const N: usize>(&mut self) -> [u8; N] {
        let mut array = [0; N];
        let taken = self.take(N);
        array[..taken.len()].copy_from_slice(taken);
        array
    }

    pub fn byte(&mut self) -> u8 {
        u8::from_le_bytes(self.array())
    }

    pub fn short(&mut self) -> u16 {
        u16::from_le_bytes(self.array())
    }

    pub fn long(&mut self) -> u64 {
        u64::from_le_bytes(self.array())
    }

    pub fn coin(&mut self) -> bool {
        self.byte().is_multiple_of(2)
    }

    /// A number below `end`, which must not be 0.
    pub fn below(&mut self, end: usize) -> usize {
        usize::from(self.byte()) % end
    }

    pub fn ty(&mut self) -> Type {
        const RECORDS: [usize; 5] = [3, 12, 16, 40, 5000];
        let (types, byte) = (Type::all().count(), usize::from(self.byte()));
        if let Some(size) = RECORDS.iter().nth_back(255 - byte) {
            return Type::record(*size).expect("a record's size");
        }
        Type::all().nth(byte % types).expect("a number below the count")
    }
}
