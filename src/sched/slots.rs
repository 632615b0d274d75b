//! The lowest free number of a pool. Pure.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

#[derive(Debug)]
pub struct Slots {
    size: usize,
    in_use: usize,
    /// Numbers from 1 up to the most that were ever in_use at once, less those that are in_use now.
    given_back: BinaryHeap<Reverse<usize>>,
    highest: usize,
    /// No more are given out than this, for now.
    most: Option<usize>,
}

impl Slots {
    pub fn new(size: usize) -> Slots {
        Slots { size, in_use: 0, given_back: BinaryHeap::new(), highest: 0, most: None }
    }

    /// More, or fewer: then nothing is in_use until so many have been given back.
    pub fn resize(&mut self, size: usize) {
        self.size = size;
    }

    /// How many more are in_use than there are.
    pub fn surplus(&self) -> usize {
        self.in_use.saturating_sub(self.size)
    }

    pub fn size(&self) -> usize {
        self.size
    }

    /// Fewer for a while, whatever the size.
    pub fn limit(&mut self, most: Option<usize>) {
        self.most = most;
    }

    /// Some would be free, but for that.
    pub fn is_limited(&self) -> bool {
        self.in_use < self.size && !self.free()
    }

    pub fn free(&self) -> bool {
        self.has_room(1)
    }

    /// So many of one task's. One that wants more than there are for now has its place when nothing else has.
    pub fn has_room(&self, width: usize) -> bool {
        let most = self.most.map_or(self.size, |most| most.min(self.size));
        self.in_use.saturating_add(width) <= most || (self.in_use == 0 && most > 0)
    }

    pub fn in_use(&self) -> usize {
        self.in_use
    }

    /// The lowest free number, from 1, for a task that takes so many: it has one number all the same.
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
