//! The memory of the search: values by number. A world is a few numbers, and equal worlds have equal numbers.

use std::cell::RefCell;
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hash, Hasher};
use std::rc::Rc;

/// A map with a quick hash: only the model itself chooses the keys.
pub(super) type Map<K, V> = HashMap<K, V, BuildHasherDefault<Quick>>;

/// Multiply and rotate, as compilers hash their own tables.
#[derive(Default)]
pub(super) struct Quick(u64);

impl Quick {
    const fn mix(&mut self, value: u64) {
        self.0 = (self.0.rotate_left(23) ^ value).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }
}

impl Hasher for Quick {
    fn finish(&self) -> u64 {
        let z = (self.0 ^ (self.0 >> 32)).wrapping_mul(0xd6e8_feb8_6659_fd93);
        z ^ (z >> 32)
    }

    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.mix(u64::from_le_bytes(word));
        }
    }

    fn write_u8(&mut self, value: u8) {
        self.mix(value.into());
    }

    fn write_u32(&mut self, value: u32) {
        self.mix(value.into());
    }

    fn write_u64(&mut self, value: u64) {
        self.mix(value);
    }

    fn write_usize(&mut self, value: usize) {
        self.mix(value as u64);
    }

    fn write_isize(&mut self, value: isize) {
        self.mix(value as u64);
    }
}

/// Orders by number: equal ones have one number.
pub(super) struct Shelf<T> {
    values: Vec<Rc<T>>,
    numbers: HashMap<String, u32>,
}

impl<T: std::fmt::Debug> Shelf<T> {
    pub(super) fn new() -> Self {
        Self { values: Vec::new(), numbers: HashMap::new() }
    }

    pub(super) fn put(&mut self, value: T) -> u32 {
        let key = format!("{value:?}");
        if let Some(number) = self.numbers.get(&key) {
            return *number;
        }
        let number = u32::try_from(self.values.len()).expect("a model has fewer orders than that");
        self.values.push(Rc::new(value));
        self.numbers.insert(key, number);
        number
    }

    pub(super) fn get(&self, number: u32) -> Rc<T> {
        Rc::clone(&self.values[number as usize])
    }
}

/// Parts of worlds by number. Exact: two parts have one number only if they are equal.
pub(super) struct Parts<T> {
    values: RefCell<Vec<T>>,
    numbers: RefCell<Map<T, u32>>,
}

impl<T: Clone + Eq + Hash> Parts<T> {
    pub(super) fn new() -> Self {
        Self { values: RefCell::default(), numbers: RefCell::default() }
    }

    pub(super) fn put(&self, value: &T) -> u32 {
        let mut numbers = self.numbers.borrow_mut();
        if let Some(number) = numbers.get(value) {
            return *number;
        }
        let mut values = self.values.borrow_mut();
        let number = u32::try_from(values.len()).expect("a model has fewer parts than that");
        values.push(value.clone());
        numbers.insert(value.clone(), number);
        number
    }

    pub(super) fn get(&self, number: u32) -> T {
        self.values.borrow()[number as usize].clone()
    }

    pub(super) fn len(&self) -> usize {
        self.values.borrow().len()
    }
}
