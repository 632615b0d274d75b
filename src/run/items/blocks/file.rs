//! Blocks of a regular file. Only the ends of blocks are read; their bytes go from the file to the tasks within the
//! kernel.

use std::fs::File;
use std::io::{self, Seek, SeekFrom};
use std::path::PathBuf;
use std::rc::Rc;

use crate::flow::blocks::{Cutter, Found};
use crate::os;
use crate::run::block::{Block, BlockFile};
use crate::run::items::blocks::NextBlock;

/// A file that is cut into blocks.
pub struct FileBlocks {
    source: Rc<BlockFile>,
    /// The offset of the next block.
    at: u64,
    end: u64,
    /// The bytes in which the end of a block is searched.
    window: Vec<u8>,
}

/// Bytes that are searched by one read: at first, where most records end, and then.
const NEAR: usize = 4 << 10;
const WINDOW: usize = 64 << 10;
/// Bytes that are searched in one turn of the loop, at most.
const TURN: usize = 4 << 20;
/// Bytes of a block that the kernel is asked to read from the disk before they are wanted.
const AHEAD: u64 = 4 << 20;

impl FileBlocks {
    /// Returns the blocks from the file's position to `end`.
    pub fn new(mut file: File, path: Option<PathBuf>, end: u64) -> io::Result<FileBlocks> {
        let at = file.stream_position()?;
        Ok(FileBlocks { source: Rc::new(BlockFile { file, path }), at, end, window: vec![0; WINDOW] })
    }

    /// Returns the next block, and moves the file's position behind it.
    pub fn next(&mut self, cutter: &mut Cutter) -> io::Result<NextBlock> {
        if self.at >= self.end {
            return Ok(NextBlock::End);
        }
        let Some(Found { length, too_long }) = self.find(cutter)? else { return Ok(NextBlock::Again) };
        let (start, length) = (self.at, length as u64);
        self.at += length;
        // Whoever shares stdin goes on behind the bytes that were taken.
        (&self.source.file).seek(SeekFrom::Start(self.at))?;
        if let Some(size) = too_long {
            return Ok(NextBlock::TooLong(size));
        }
        os::io::read_ahead(&self.source.file, start, length.min(AHEAD));
        Ok(NextBlock::Block(Block::Range { source: Rc::clone(&self.source), start, length }))
    }

    /// Searches the end of the next block, for one turn of the loop at most.
    fn find(&mut self, cutter: &mut Cutter) -> io::Result<Option<Found>> {
        let all = self.end - self.at;
        let mut searched = 0;
        while searched < TURN {
            let seen = cutter.seen();
            let left = all.saturating_sub(seen as u64);
            let window = if searched == 0 { NEAR } else { self.window.len() };
            let wanted = left.min(window as u64) as usize;
            let at = self.at + seen as u64;
            let count = os::io::read_at(&self.source.file, &mut self.window[..wanted], at)?;
            if count == 0 {
                // The end. If the file has become shorter, sending the block will fail and report it.
                return Ok(Some(cutter.end(all as usize)));
            }
            searched += count;
            if let Some(found) = cutter.find_end(seen, &self.window[..count]) {
                return Ok(Some(found));
            }
            if cutter.seen() == seen {
                // The window holds only the beginning of a separator; at the very end, that is none.
                if wanted as u64 == left {
                    return Ok(Some(cutter.end(all as usize)));
                }
                if window == self.window.len() {
                    self.window.resize(window * 2, 0);
                }
            }
        }
        Ok(None)
    }
}
