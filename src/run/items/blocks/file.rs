//! Blocks of a regular file: only where they end is looked at.

use std::fs::File;
use std::io::{self, Seek, SeekFrom};
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::rc::Rc;

use crate::flow::blocks::Cutter;
use crate::os;
use crate::run::block::{Block, Origin};
use crate::run::items::blocks::Next;

pub struct Parts {
    of: Rc<Origin>,
    /// Where the next block begins.
    at: u64,
    end: u64,
    window: Vec<u8>,
}

/// Looked at at once.
const WINDOW: usize = 64 << 10;
/// So much of a block is read from a disk before it is wanted.
const AHEAD: u64 = 4 << 20;

impl Parts {
    /// From where the file stands to its end.
    pub fn new(mut file: File, path: Option<PathBuf>, end: u64) -> io::Result<Parts> {
        let at = file.stream_position()?;
        Ok(Parts { of: Rc::new(Origin { file, path }), at, end, window: vec![0; WINDOW] })
    }

    pub fn next(&mut self, cutter: &mut Cutter) -> io::Result<Next> {
        if self.at >= self.end {
            return Ok(Next::End);
        }
        let (start, length) = (self.at, self.length(cutter)?);
        self.at += length;
        os::io::read_ahead(&self.of.file, start, length.min(AHEAD));
        // Whoever shares stdin goes on behind what was taken.
        (&self.of.file).seek(SeekFrom::Start(self.at))?;
        Ok(Next::Block(Block::Part { of: Rc::clone(&self.of), start, length }))
    }

    fn length(&mut self, cutter: &mut Cutter) -> io::Result<u64> {
        let all = self.end - self.at;
        loop {
            let seen = cutter.seen();
            let left = all.saturating_sub(seen as u64);
            let wanted = left.min(self.window.len() as u64) as usize;
            let count = self.of.file.read_at(&mut self.window[..wanted], self.at + seen as u64)?;
            if count == 0 {
                // Its end; or it became shorter, and whoever is given this will tell.
                return Ok(all);
            }
            if let Some(length) = cutter.find_end(seen, &self.window[..count]) {
                return Ok(length as u64);
            }
            if cutter.seen() == seen {
                // Only the beginning of a mark, at the very end.
                if wanted as u64 == left {
                    return Ok(all);
                }
                self.window.resize(self.window.len() * 2, 0);
            }
        }
    }
}
