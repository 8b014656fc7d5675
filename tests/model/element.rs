//! What elements mean, written a second time: values of bytes, `==` and `<` by type.

use std::cmp::Ordering;

use mmap_backed_array::{Kind, Type};

use crate::helpers::Numbers;

/// An element's value: of integers, characters and truth values the first, of floats one or two of the second.
#[derive(Clone, Copy, Debug)]
enum Value<'a> {
    Integer(i128),
    Float(f64),
    Complex(f64, f64),
    Record(&'a [u8]),
}

fn value(ty: Type, bytes: &[u8]) -> Value<'_> {
    if ty.kind() == Kind::Record {
        return Value::Record(bytes);
    }
    let mut wide = [0; 16];
    wide[..bytes.len()].copy_from_slice(bytes);
    let unsigned = u128::from_le_bytes(wide);
    let bits = 8 * bytes.len() as u32;
    match ty.kind() {
        Kind::Bool => Value::Integer(i128::from(unsigned != 0)),
        Kind::Int => Value::Integer(((unsigned << (128 - bits)) as i128) >> (128 - bits)),
        Kind::Float => Value::Float(float(bytes)),
        Kind::Complex => {
            let (re, im) = bytes.split_at(bytes.len() / 2);
            Value::Complex(float(re), float(im))
        }
        _ => Value::Integer(unsigned as i128),
    }
}

fn float(bytes: &[u8]) -> f64 {
    match *bytes {
        [a, b] => half(u16::from_ne_bytes([a, b])),
        [a, b, c, d] => f64::from(f32::from_ne_bytes([a, b, c, d])),
        _ => f64::from_ne_bytes(bytes.try_into().unwrap()),
    }
}

/// A half-precision float by its definition.
fn half(bits: u16) -> f64 {
    let sign = if bits & 0x8000 == 0 { 1.0 } else { -1.0 };
    let (exponent, fraction) = (i32::from(bits >> 10 & 31), f64::from(bits & 0x3ff));
    sign * match exponent {
        31 if fraction != 0.0 => f64::NAN,
        31 => f64::INFINITY,
        0 => fraction * 2f64.powi(-24),
        _ => (fraction + 1024.0) * 2f64.powi(exponent - 25),
    }
}

/// `==` as in C.
pub fn same(ty: Type, a: &[u8], b: &[u8]) -> bool {
    match (value(ty, a), value(ty, b)) {
        (Value::Integer(a), Value::Integer(b)) => a == b,
        (Value::Float(a), Value::Float(b)) => a == b,
        (Value::Complex(a, b), Value::Complex(c, d)) => a == c && b == d,
        (Value::Record(a), Value::Record(b)) => a == b,
        _ => unreachable!("a type's values are of one kind"),
    }
}

/// How two sequences compare; `None` where the first pair that differs has no order.
pub fn order(ty: Type, a: &[u8], b: &[u8]) -> Option<Ordering> {
    let pairs = a.chunks_exact(ty.size()).zip(b.chunks_exact(ty.size()));
    match pairs.filter(|(x, y)| x != y || value_is_nan(ty, x)).find(|(x, y)| !same(ty, x, y)) {
        None => Some(a.len().cmp(&b.len())),
        Some((x, y)) => match (value(ty, x), value(ty, y)) {
            (Value::Integer(x), Value::Integer(y)) => Some(x.cmp(&y)),
            (Value::Float(x), Value::Float(y)) => x.partial_cmp(&y),
            _ => None,
        },
    }
}

fn value_is_nan(ty: Type, bytes: &[u8]) -> bool {
    matches!(ty.kind(), Kind::Float | Kind::Complex) && !same(ty, bytes, bytes)
}

/// Bytes in each number of an element.
pub fn part_size(ty: Type) -> usize {
    if ty.kind() == Kind::Complex { ty.size() / 2 } else { ty.size() }
}

/// Any element: often one of a few special ones, so that they repeat.
pub fn element(seed: u64, ty: Type) -> Vec<u8> {
    let (size, part) = (ty.size(), part_size(ty));
    let mut bytes = vec![0; size];
    match seed % 10 {
        0 => {}
        1 => bytes.fill(0xff),
        2 => bytes[0] = 1,
        // Minus zero, where there is such a thing.
        3 => bytes.chunks_exact_mut(part).for_each(|part| part[part.len() - 1] = 0x80),
        // A NaN.
        4 if part >= 2 => bytes.chunks_exact_mut(part).for_each(|part| {
            part[part.len() - 1] = 0x7f;
            part[part.len() - 2] = 0xf8;
        }),
        5 => bytes[size - 1] = 1,
        _ => elements_into(seed, &mut bytes),
    }
    bytes
}

/// Any elements, among them some special ones.
pub fn elements(seed: u64, count: usize, ty: Type) -> Vec<u8> {
    let size = ty.size();
    let mut bytes = vec![0; count * size];
    elements_into(seed, &mut bytes);
    for at in (0..count).step_by(13) {
        bytes[at * size..][..size].copy_from_slice(&element(seed.wrapping_add(at as u64), ty));
    }
    bytes
}

fn elements_into(seed: u64, bytes: &mut [u8]) {
    let mut numbers = Numbers(seed);
    for chunk in bytes.chunks_mut(8) {
        let word = numbers.next().to_ne_bytes();
        chunk.copy_from_slice(&word[..chunk.len()]);
    }
}
