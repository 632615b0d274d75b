//! The terminal that indicatif draws on: a buffer.

use std::fmt;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use indicatif::TermLike;

use super::Size;

/// A terminal that keeps what is written to it until [`Canvas::take`]. It moves the cursor and erases lines;
/// it never hides the cursor, so there is nothing to restore. Clones share the bytes.
#[derive(Clone)]
pub struct Canvas(Arc<Shared>);

struct Shared {
    size: Size,
    /// A lock because indicatif requires `Sync`; nobody else holds it.
    bytes: Mutex<Vec<u8>>,
}

impl Canvas {
    pub fn new(size: Size) -> Canvas {
        Canvas(Arc::new(Shared { size, bytes: Mutex::default() }))
    }

    /// Returns the columns and lines of the real terminal.
    pub fn size(&self) -> (u16, u16) {
        (self.0.size)()
    }

    /// Appends the bytes written since the last call to `out`.
    pub fn take(&self, out: &mut Vec<u8>) {
        out.append(&mut self.bytes());
    }

    fn bytes(&self) -> MutexGuard<'_, Vec<u8>> {
        self.0.bytes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self, bytes: &[u8]) -> io::Result<()> {
        self.bytes().extend_from_slice(bytes);
        Ok(())
    }

    fn move_cursor(&self, n: usize, direction: char) -> io::Result<()> {
        // A terminal takes 0 for 1.
        if n == 0 { Ok(()) } else { self.write(format!("\x1b[{n}{direction}").as_bytes()) }
    }
}

impl fmt::Debug for Canvas {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Canvas")
    }
}

impl TermLike for Canvas {
    fn width(&self) -> u16 {
        self.size().0
    }

    fn height(&self) -> u16 {
        self.size().1
    }

    fn move_cursor_up(&self, n: usize) -> io::Result<()> {
        self.move_cursor(n, 'A')
    }

    fn move_cursor_down(&self, n: usize) -> io::Result<()> {
        self.move_cursor(n, 'B')
    }

    fn move_cursor_right(&self, n: usize) -> io::Result<()> {
        self.move_cursor(n, 'C')
    }

    fn move_cursor_left(&self, n: usize) -> io::Result<()> {
        self.move_cursor(n, 'D')
    }

    fn write_line(&self, line: &str) -> io::Result<()> {
        self.write(line.as_bytes())?;
        self.write(b"\n")
    }

    fn write_str(&self, text: &str) -> io::Result<()> {
        self.write(text.as_bytes())
    }

    fn clear_line(&self) -> io::Result<()> {
        self.write(b"\r\x1b[2K")
    }

    fn flush(&self) -> io::Result<()> {
        Ok(())
    }
}
