//! Which row of the tally a statement counts on.

use std::sync::{Mutex, PoisonError};

/// So many rows at most, whatever the number of replicas.
const N_SLOTS: u32 = 4096;

/// Statements that run side by side count on different rows, so that none waits for another's commit. Every process
/// begins at a random row; two that meet on one only wait.
#[derive(Debug)]
pub(super) struct Slots {
    first: u32,
    in_use: Mutex<Vec<bool>>,
}

/// A slot in use.
#[derive(Debug)]
pub(super) struct Slot<'a> {
    slots: &'a Slots,
    idx: usize,
}

impl Slots {
    pub(super) fn new() -> Self {
        Self {
            first: rand::random_range(0..N_SLOTS),
            in_use: Mutex::new(Vec::new()),
        }
    }

    /// The lowest free one, so that few rows are touched.
    pub(super) fn take(&self) -> Slot<'_> {
        let mut in_use = self.in_use.lock().unwrap_or_else(PoisonError::into_inner);
        let idx = in_use.iter().position(|it| !it).unwrap_or(in_use.len());
        match in_use.get_mut(idx) {
            Some(it) => *it = true,
            None => in_use.push(true),
        }
        Slot { slots: self, idx }
    }
}

impl Slot<'_> {
    pub(super) fn number(&self) -> i32 {
        let idx = u32::try_from(self.idx).unwrap_or(0);
        i32::try_from(self.slots.first.wrapping_add(idx) % N_SLOTS).unwrap_or(0)
    }
}

impl Drop for Slot<'_> {
    fn drop(&mut self) {
        let mut in_use = self.slots.in_use.lock().unwrap_or_else(PoisonError::into_inner);
        in_use[self.idx] = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_in_use_differ_and_are_used_again() {
        let slots = Slots::new();
        let (first, second) = (slots.take(), slots.take());
        assert_ne!(first.number(), second.number());
        let number = first.number();
        drop(first);
        assert_eq!(slots.take().number(), number);
    }
}
