//! Ids: a type for each kind of number that names something, and a table of tasks by their place. Pure.
//!
//! A vector (or slice) that has one entry for each job is indexed by [`JobId`], `plan.jobs[job]`; likewise
//! for the other ids. A conversion from and to a bare number is spelled out where it is needed:
//! `JobId(number)`, `job.index()`.

use std::ops::{Index, IndexMut};

macro_rules! id {
    ($(#[$doc:meta])* $name:ident($number:ty)) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub $number);

        impl $name {
            /// Returns the number as an index into a table that has an entry for each of them.
            #[inline]
            pub const fn index(self) -> usize {
                self.0 as usize
            }
        }
    };
}

macro_rules! indexes_vectors {
    ($name:ident) => {
        impl $name {
            /// Returns the ids of a table with `count` entries, in order.
            pub fn all(count: usize) -> impl DoubleEndedIterator<Item = $name> + ExactSizeIterator + Clone {
                (0..count).map($name)
            }
        }

        impl<T> Index<$name> for Vec<T> {
            type Output = T;

            #[inline]
            fn index(&self, id: $name) -> &T {
                &self[id.0]
            }
        }

        impl<T> IndexMut<$name> for Vec<T> {
            #[inline]
            fn index_mut(&mut self, id: $name) -> &mut T {
                &mut self[id.0]
            }
        }

        impl<T> Index<$name> for [T] {
            type Output = T;

            #[inline]
            fn index(&self, id: $name) -> &T {
                &self[id.0]
            }
        }

        impl<T> IndexMut<$name> for [T] {
            #[inline]
            fn index_mut(&mut self, id: $name) -> &mut T {
                &mut self[id.0]
            }
        }
    };
}

id! {
    /// A job: index into the jobs of a plan, and of [`RunEvent::RunStarted`](super::RunEvent::RunStarted).
    JobId(usize)
}
id! {
    /// A queue: index into the queues of a plan.
    QueueId(usize)
}
id! {
    /// A lock: index into the locks of a plan.
    LockId(usize)
}
id! {
    /// A process of an attempt, and the stage of the job that it runs: 0 is the first of the pipeline. A task
    /// whose job has no pipeline has stage 0 alone, and so has a hook.
    StageId(usize)
}
id! {
    /// The place of an active task (or worker, or hook of the run) in tables: small, and used again when it
    /// has ended. At any time no two active tasks have the same.
    Place(u32)
}

indexes_vectors!(JobId);
indexes_vectors!(QueueId);
indexes_vectors!(LockId);
indexes_vectors!(StageId);

/// A table of active tasks by their place. It grows as needed, and never shrinks: places are used again.
#[derive(Debug, Clone)]
pub struct PlaceMap<T>(Vec<Option<T>>);

impl<T> Default for PlaceMap<T> {
    fn default() -> PlaceMap<T> {
        PlaceMap(Vec::new())
    }
}

impl<T> PlaceMap<T> {
    #[inline]
    pub fn get(&self, place: Place) -> Option<&T> {
        self.0.get(place.index())?.as_ref()
    }

    #[inline]
    pub fn get_mut(&mut self, place: Place) -> Option<&mut T> {
        self.0.get_mut(place.index())?.as_mut()
    }

    /// Puts `value` in the place, in place of what was there.
    #[inline]
    pub fn insert(&mut self, place: Place, value: T) {
        let index = place.index();
        if self.0.len() <= index {
            self.0.resize_with(index + 1, || None);
        }
        self.0[index] = Some(value);
    }

    /// Takes the value out; `None` if the place was empty.
    #[inline]
    pub fn take(&mut self, place: Place) -> Option<T> {
        self.0.get_mut(place.index())?.take()
    }

    /// Returns the values, in the order of their places.
    pub fn iter(&self) -> impl Iterator<Item = &T> {
        self.0.iter().flatten()
    }
}
