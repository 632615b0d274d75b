//! A pool of numbered slots, of which the lowest free number is taken. Pure.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

#[derive(Debug)]
pub struct Slots {
    size: usize,
    in_use: usize,
    /// Numbers up to `highest` that are free.
    given_back: BinaryHeap<Reverse<usize>>,
    highest: usize,
    /// A limit below the size, for now.
    most: Option<usize>,
}

impl Slots {
    pub fn new(size: usize) -> Slots {
        Slots { size, in_use: 0, given_back: BinaryHeap::new(), highest: 0, most: None }
    }

    /// Changes the size. If it becomes smaller than what is in use, nothing can be taken until enough has
    /// been given back.
    pub fn resize(&mut self, size: usize) {
        self.size = size;
    }

    /// Returns how many more slots are in use than there are.
    pub fn surplus(&self) -> usize {
        self.in_use.saturating_sub(self.size)
    }

    pub fn size(&self) -> usize {
        self.size
    }

    /// Sets a limit below the size, or clears it.
    pub fn limit(&mut self, most: Option<usize>) {
        self.most = most;
    }

    /// True if slots would be free without the limit.
    pub fn is_limited(&self) -> bool {
        self.in_use < self.size && !self.free()
    }

    pub fn free(&self) -> bool {
        self.has_room(1)
    }

    /// True if a task that takes `width` slots fits. A task that wants more than there are fits when nothing
    /// else is in use.
    pub fn has_room(&self, width: usize) -> bool {
        let most = self.most.map_or(self.size, |most| most.min(self.size));
        self.in_use.saturating_add(width) <= most || (self.in_use == 0 && most > 0)
    }

    pub fn in_use(&self) -> usize {
        self.in_use
    }

    /// Takes `width` slots for one task. Returns its number, the lowest that is free, from 1; it has one
    /// number however many slots it takes.
    pub fn take(&mut self, width: usize) -> usize {
        self.in_use += width;
        match self.given_back.pop() {
            Some(Reverse(slot)) => slot,
            None => {
                self.highest += 1;
                self.highest
            }
        }
    }

    pub fn give_back(&mut self, slot: usize, width: usize) {
        self.in_use -= width;
        self.given_back.push(Reverse(slot));
    }
}
