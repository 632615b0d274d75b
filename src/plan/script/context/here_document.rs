//! Here-documents: their delimiters and their ends. Pure.

use memchr::memchr;

use super::{Context, Scan};

/// A here-document whose text begins after the current line.
#[derive(Debug)]
pub(super) struct Document {
    end: Vec<u8>,
    /// True for `<<-`: tabs before the end are ignored.
    tabs: bool,
    /// True if its end was quoted, so that a backslash at the end of a line means nothing.
    quoted: bool,
}

impl Scan<'_> {
    /// Reads the delimiter of a here-document, after `<<`.
    pub(super) fn here_document(&mut self) {
        self.end_word(2);
        let tabs = self.text.get(self.at) == Some(&b'-');
        self.at += usize::from(tabs);
        while matches!(self.text.get(self.at), Some(b' ' | b'\t')) {
            self.at += 1;
        }
        let (mut end, mut quoted) = (Vec::new(), false);
        while let Some(&byte) = self.text.get(self.at) {
            let from = self.at + 1;
            match byte {
                _ if self.hole_at(self.at) => self.take_hole(Context::HereDocument),
                // The meaning of these depends on the shell.
                b'$' | b'`' | b'(' => return self.clear = false,
                byte if b" \t\n;&|()<>".contains(&byte) => break,
                b'\'' | b'"' | b'\\' => {
                    quoted = true;
                    let to = if byte == b'\\' {
                        from + 1
                    } else {
                        self.behind(from, byte, false).unwrap_or(self.text.len())
                    };
                    self.skip_to(to, Context::HereDocument);
                    let inner = if byte == b'\\' { from..self.at } else { from..(self.at - 1).max(from) };
                    end.extend_from_slice(&self.text[inner]);
                }
                _ => {
                    end.push(byte);
                    self.at = from;
                }
            }
        }
        self.documents.push(Document { end, tabs, quoted });
    }

    /// Returns the place behind the line that ends a here-document.
    pub(super) fn here_document_end(&self, document: &Document) -> usize {
        let mut at = self.at;
        // True if the line before ended with a backslash, so that this one can't be the end.
        let mut joined = false;
        while at < self.text.len() {
            let length = memchr(b'\n', &self.text[at..]).unwrap_or(self.text.len() - at);
            let line = &self.text[at..at + length];
            at += length + 1;
            let tabs = line.iter().take_while(|byte| document.tabs && **byte == b'\t').count();
            if !joined && line[tabs..] == document.end {
                break;
            }
            let backslashes = line.iter().rev().take_while(|byte| **byte == b'\\').count();
            joined = !document.quoted && backslashes % 2 == 1;
        }
        at
    }
}
