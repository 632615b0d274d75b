//! FIFOs that prun writes to, each by a thread of its own: a reader that does not read stops that thread, and nothing
//! else. A FIFO is closed when the last destination that leads to it is.

use std::fs::File;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender};

use crate::event::JobId;
use crate::os::waker::Waker;
use crate::run::output::disk::Disk;

/// One FIFO.
struct Fifo {
    thread: Disk,
    /// The numbers of the destinations that lead there, and that are not closed.
    numbers: Vec<u32>,
    /// The open file; `None` if the thread opens it.
    file: Option<Arc<File>>,
    path: PathBuf,
    /// The jobs whose output goes there.
    jobs: Vec<JobId>,
}

/// All FIFOs that prun writes to.
#[derive(Default)]
pub struct Fifos {
    fifos: Vec<Fifo>,
}

impl Fifos {
    /// Adds a destination that leads to a FIFO. Without a file, the FIFO has no reader yet, and is opened when it has.
    pub fn add(
        &mut self,
        number: u32,
        path: PathBuf,
        file: Option<Arc<File>>,
        job: Option<JobId>,
        waker: &Arc<Waker>,
    ) {
        let same = |fifo: &&mut Fifo| match (&fifo.file, &file) {
            (Some(one), Some(other)) => Arc::ptr_eq(one, other),
            _ => fifo.path == path,
        };
        let open = self.fifos.iter_mut().find(|fifo| !fifo.numbers.is_empty() && same(fifo));
        let fifo = match open {
            Some(open) => open,
            None => {
                let thread = Disk::new(Arc::clone(waker), true);
                let (file, path) = (file.clone(), path.clone());
                self.fifos.push(Fifo { thread, numbers: Vec::new(), file, path, jobs: Vec::new() });
                let at = self.fifos.len() - 1;
                &mut self.fifos[at]
            }
        };
        // A thread that opens the FIFO itself does so once.
        let file = if fifo.numbers.is_empty() { file } else { file.or_else(|| fifo.file.clone()) };
        fifo.jobs.extend(job);
        fifo.numbers.push(number);
        fifo.thread.open(number, path, file);
    }

    /// Returns the thread that a destination belongs to, if that is a FIFO.
    pub fn of(&mut self, number: u32) -> Option<&mut Disk> {
        self.fifos.iter_mut().find(|fifo| fifo.numbers.contains(&number)).map(|fifo| &mut fifo.thread)
    }

    /// Copies a temporary file to a FIFO.
    pub fn copy(&mut self, spilled: Receiver<io::Result<File>>, number: u32, length: u64) {
        if let Some(thread) = self.of(number) {
            thread.copy_from(spilled, number, length);
        }
    }

    /// Closes a destination. Returns false if it does not lead to a FIFO.
    pub fn close(&mut self, number: u32) -> bool {
        let Some(fifo) = self.fifos.iter_mut().find(|fifo| fifo.numbers.contains(&number)) else {
            return false;
        };
        fifo.numbers.retain(|of| *of != number);
        fifo.thread.close(number);
        if fifo.numbers.is_empty() {
            fifo.file = None;
            fifo.thread.close_down();
        }
        true
    }

    /// Asks all threads that write output of the job, or all of them, to drop the sender when that is written.
    pub fn flush(&mut self, job: Option<JobId>, sender: &Sender<()>) {
        let all = self.fifos.iter_mut();
        for fifo in all.filter(|fifo| job.is_none_or(|job| fifo.jobs.contains(&job))) {
            fifo.thread.flush(sender.clone());
        }
    }

    /// Returns the largest number of bytes that wait for one reader.
    pub fn queued(&self) -> usize {
        self.fifos.iter().map(|fifo| fifo.thread.queued()).max().unwrap_or(0)
    }

    /// Returns a failure to write, once.
    pub fn take_failure(&self) -> Option<String> {
        self.fifos.iter().find_map(|fifo| fifo.thread.take_failure())
    }

    pub fn awaits_thread(&self) -> bool {
        self.fifos.iter().any(|fifo| fifo.thread.awaits_thread())
    }

    pub fn retry_threads(&mut self) {
        self.fifos.iter_mut().for_each(|fifo| fifo.thread.retry_thread());
    }

    /// Ends the threads that have nothing to write, and waits for them. The others end with prun.
    pub fn finish(&mut self) {
        self.fifos.iter_mut().filter(|fifo| fifo.thread.queued() == 0).for_each(|fifo| fifo.thread.finish());
    }
}
