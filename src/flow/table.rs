//! Cuts a CSV file into rows. Pure.

use csv_core::{ReadRecordResult, Reader, ReaderBuilder};

/// One row: its columns, without quotes.
pub type Row = Vec<Vec<u8>>;

/// Reads CSV as it is found in practice. Columns may be quoted and then hold separators, newlines and doubled
/// quotes. Lines end with a newline, a carriage return or both. Rows may differ in length. Empty lines and a
/// byte order mark are skipped. Chunks are pushed as they are read, and rows are taken out one at a time. A
/// header is a row.
#[derive(Debug)]
pub struct Table {
    reader: Reader,
    input: Vec<u8>,
    /// The number of bytes of `input` that were used.
    read: usize,
    /// The columns of the current row, one after another.
    output: Vec<u8>,
    written: usize,
    /// The end of each of these columns.
    ends: Vec<usize>,
    columns: usize,
    /// True until something was read.
    fresh: bool,
    ended: bool,
}

/// The initial sizes of the buffers that csv-core writes into. They are doubled when they are full.
const ROOM: usize = 1024;
const ROOM_COLUMNS: usize = 16;

/// The byte order mark. csv-core recognises it only if all three bytes are there.
const MARK: &[u8] = b"\xef\xbb\xbf";

impl Table {
    pub fn new(separator: u8) -> Table {
        Table {
            reader: ReaderBuilder::new().delimiter(separator).build(),
            input: Vec::new(),
            read: 0,
            output: vec![0; ROOM],
            written: 0,
            ends: vec![0; ROOM_COLUMNS],
            columns: 0,
            fresh: true,
            ended: false,
        }
    }

    /// Appends bytes that were read. Cheapest when [`Table::next_row`] has no more.
    pub fn push(&mut self, chunk: &[u8]) {
        // At least as many bytes were used as are moved here, so the total cost of moving stays linear.
        if self.read >= self.input.len() - self.read {
            self.input.drain(..self.read);
            self.read = 0;
        }
        self.input.extend_from_slice(chunk);
    }

    /// Returns the number of bytes that were pushed and not used yet.
    pub fn pending(&self) -> usize {
        self.input.len() - self.read
    }

    /// Ends the input.
    pub fn end(&mut self) {
        self.ended = true;
    }

    /// Returns the next row. `None` until more is pushed, and always after the last row.
    pub fn next_row(&mut self) -> Option<Row> {
        loop {
            let input = &self.input[self.read..];
            // csv-core takes an empty input for the end.
            if !self.ended && (input.is_empty() || (self.fresh && MARK.starts_with(input))) {
                return None;
            }
            self.fresh = false;
            let (output, ends) = (&mut self.output[self.written..], &mut self.ends[self.columns..]);
            let (result, read, written, columns) = self.reader.read_record(input, output, ends);
            self.read += read;
            self.written += written;
            self.columns += columns;
            match result {
                ReadRecordResult::InputEmpty => {}
                ReadRecordResult::OutputFull => self.output.resize(self.output.len() * 2, 0),
                ReadRecordResult::OutputEndsFull => self.ends.resize(self.ends.len() * 2, 0),
                ReadRecordResult::Record => return Some(self.take_row()),
                ReadRecordResult::End => return None,
            }
        }
    }

    fn take_row(&mut self) -> Row {
        let mut start = 0;
        let columns = self.ends[..self.columns].iter().map(|&end| {
            let column = self.output[start..end].to_vec();
            start = end;
            column
        });
        let row = columns.collect();
        (self.written, self.columns) = (0, 0);
        row
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn rows(chunks: &[&[u8]], separator: u8) -> Vec<Vec<String>> {
        let mut table = Table::new(separator);
        let mut rows = Vec::new();
        for chunk in chunks {
            table.push(chunk);
            rows.extend(std::iter::from_fn(|| table.next_row()));
        }
        table.end();
        rows.extend(std::iter::from_fn(|| table.next_row()));
        assert_eq!(table.next_row(), None);
        let text = |column: Vec<u8>| String::from_utf8(column).unwrap();
        rows.into_iter().map(|row| row.into_iter().map(text).collect()).collect()
    }

    #[test]
    fn what_csv_files_hold() {
        for (text, expected) in [
            ("", &[][..]),
            ("a,b\n1,2\n", &[&["a", "b"][..], &["1", "2"]]),
            ("a,b\r\n1,2", &[&["a", "b"], &["1", "2"]]),
            ("\u{feff}a,b\n", &[&["a", "b"]]),
            (
                "\"x, y\",\"say \"\"hi\"\"\"\n\"two\nlines\",\n",
                &[&["x, y", "say \"hi\""], &["two\nlines", ""]],
            ),
            ("a\n\n\r\nb,c,d\n", &[&["a"], &["b", "c", "d"]]),
            ("\"\"\n,\n", &[&[""], &["", ""]]),
            ("\"never closed\na", &[&["never closed\na"]]),
            ("a", &[&["a"]]),
        ] {
            assert_eq!(rows(&[text.as_bytes()], b','), expected, "{text:?}");
            let bytes: Vec<&[u8]> = text.as_bytes().chunks(1).collect();
            assert_eq!(rows(&bytes, b','), expected, "byte by byte: {text:?}");
        }
        assert_eq!(rows(&[b"a\tb,c\n"], b'\t'), [["a", "b,c"]]);
    }

    #[test]
    fn long_and_wide_rows() {
        let long = "x".repeat(1 << 20);
        let wide = vec!["y"; 1000].join(",");
        let text = format!("{long}\n{wide}\n");
        let chunks: Vec<&[u8]> = text.as_bytes().chunks(1 << 12).collect();
        let rows = rows(&chunks, b',');
        assert_eq!((rows[0][0].len(), rows[1].len(), rows.len()), (1 << 20, 1000, 2));
    }

    #[test]
    fn a_row_comes_as_soon_as_its_line_ends() {
        let mut table = Table::new(b',');
        table.push(b"ab,b\nc");
        assert_eq!(table.next_row(), Some(vec![b"ab".to_vec(), b"b".to_vec()]));
        assert_eq!(table.next_row(), None);
        table.push(b"\n");
        assert_eq!(table.next_row(), Some(vec![b"c".to_vec()]));
    }

    proptest! {
        #[test]
        fn chunks_make_no_difference(
            text in prop::collection::vec(prop::sample::select(&b"ab,\"\r\n"[..]), 0..40),
            cuts in prop::collection::vec(0_usize..40, 0..6),
        ) {
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(text.len())).collect();
            cuts.extend([0, text.len()]);
            cuts.sort_unstable();
            let chunks: Vec<&[u8]> = cuts.windows(2).map(|pair| &text[pair[0]..pair[1]]).collect();
            prop_assert_eq!(rows(&chunks, b','), rows(&[&text], b','));
        }

        #[test]
        fn what_is_quoted_comes_back(
            table in prop::collection::vec(prop::collection::vec("[ -~\r\n]{0,8}", 1..4), 0..5),
        ) {
            let quoted = |column: &String| format!("\"{}\"", column.replace('"', "\"\""));
            let line = |row: &Vec<String>| row.iter().map(quoted).collect::<Vec<_>>().join(",");
            let text = table.iter().map(line).collect::<Vec<_>>().join("\r\n");
            prop_assert_eq!(rows(&[text.as_bytes()], b','), table);
        }
    }
}
