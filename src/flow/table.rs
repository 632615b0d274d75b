//! Cuts a CSV file into rows. Pure.

use csv_core::{ReadRecordResult, Reader, ReaderBuilder};

use super::long::{self, OutOfMemory, TooLong};

/// One row: its columns, without quotes.
pub type Row = Vec<Vec<u8>>;

/// Reads CSV as it is found in practice. Columns may be quoted and then hold separators, newlines and doubled
/// quotes. Lines end with a newline, a carriage return or both. Rows may differ in length. Empty lines and a
/// byte order mark are skipped. Chunks are pushed as they are read, and rows are taken out one at a time. A
/// header is a row. Of a row that is longer than `most` bytes only the beginning is kept.
#[derive(Debug)]
pub struct Table {
    reader: Reader,
    input: Vec<u8>,
    /// The number of bytes of `input` that were used.
    read: usize,
    row: PartialRow,
    /// The most bytes of a row.
    most: usize,
    /// True until something was read.
    fresh: bool,
    end: End,
}

/// The row that is being read.
#[derive(Debug)]
struct PartialRow {
    /// Its columns, one after another. Only the first `written` bytes count.
    output: Vec<u8>,
    written: usize,
    /// The end of each of these columns.
    ends: Vec<usize>,
    columns: usize,
    /// Set if the row is too long. Its bytes so far, but for those in `output`, were dropped.
    skipped: Option<TooLong>,
    /// The line in which the column begins whose bytes were dropped.
    skipped_line: Option<u64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// More may come.
    Open,
    Ended,
    /// The input broke off, or a quote was not closed: a row that has not ended is dropped.
    BrokeOff,
}

/// A row of the input.
#[derive(Debug, PartialEq, Eq)]
pub enum AnyRow {
    Whole(Row),
    TooLong(TooLong),
}

/// A quote that is never closed.
#[derive(Debug, PartialEq, Eq)]
pub struct OpenQuote {
    /// The number of the line in which it begins, from 1.
    pub line: u64,
}

/// The initial sizes of the buffers that csv-core writes into.
const ROOM: usize = 1024;
const ROOM_COLUMNS: usize = 16;
/// The buffer of columns grows by as much when it is full, and is freed after a row if it is larger.
const STEP: usize = 4 << 20;

/// The byte order mark. csv-core recognises it only if all three bytes are there.
const MARK: &[u8] = b"\xef\xbb\xbf";

impl Table {
    pub fn new(separator: u8, most: usize) -> Table {
        Table {
            reader: ReaderBuilder::new().delimiter(separator).build(),
            input: Vec::new(),
            read: 0,
            row: PartialRow::new(),
            most,
            fresh: true,
            end: End::Open,
        }
    }

    /// Appends bytes that were read. Cheapest when [`Table::next_row`] has no more.
    ///
    /// # Errors
    /// When there is no memory for them.
    pub fn push(&mut self, chunk: &[u8]) -> Result<(), OutOfMemory> {
        self.read -= long::append_behind(&mut self.input, self.read, chunk)?;
        Ok(())
    }

    /// Returns the number of bytes that were pushed and not used yet.
    pub fn pending(&self) -> usize {
        self.input.len() - self.read
    }

    /// Ends the input.
    pub fn end(&mut self) {
        self.end = End::Ended;
    }

    /// Ends an input that broke off: a row that has not ended is dropped.
    pub fn break_off(&mut self) {
        self.end = End::BrokeOff;
    }

    /// True if a row has begun and not ended.
    pub fn is_within_row(&self) -> bool {
        self.row.written + self.row.columns > 0 || self.row.skipped.is_some()
    }

    /// Returns how many bytes of the next row have come, if it is too long and has not ended.
    pub fn skipped(&self) -> Option<u64> {
        self.row.skipped.as_ref().map(|skipped| skipped.size)
    }

    /// Ends the input where it stands. Returns the quote that is open there.
    pub fn end_within_quote(&mut self) -> Option<OpenQuote> {
        self.end = End::BrokeOff;
        let line = self.row.line_of_column(self.reader.line());
        // Only within quotes a newline does not end a row that has begun. A clone of the reader would not do: it lacks
        // a part of the state.
        let (mut output, mut ends) = ([0; 8], [0; 4]);
        let (result, ..) = self.reader.read_record(b"x\n", &mut output, &mut ends);
        (result == ReadRecordResult::InputEmpty).then_some(OpenQuote { line })
    }

    /// Returns the next row. `None` until more is pushed, and always after the last row or an error.
    pub fn next_row(&mut self) -> Option<Result<AnyRow, OpenQuote>> {
        loop {
            let input = &self.input[self.read..];
            // csv-core takes an empty input for the end.
            if self.end != End::Ended && (input.is_empty() || (self.fresh && MARK.starts_with(input))) {
                return None;
            }
            // A newline ends the last row if that lacks one, and is an empty line otherwise.
            let is_end = input.is_empty();
            let input = if is_end { b"\n" } else { input };
            self.fresh = false;
            let row = &mut self.row;
            let (output, ends) = (&mut row.output[row.written..], &mut row.ends[row.columns..]);
            let (result, read, written, columns) = self.reader.read_record(input, output, ends);
            self.read += if is_end { 0 } else { read };
            row.written += written;
            row.columns += columns;
            match result {
                ReadRecordResult::InputEmpty if is_end => return self.end_within_quote().map(Err),
                ReadRecordResult::InputEmpty => {}
                ReadRecordResult::OutputFull => row.make_room(self.most, self.reader.line()),
                ReadRecordResult::OutputEndsFull if row.skipped.is_some() => row.skip(self.reader.line()),
                ReadRecordResult::OutputEndsFull => row.ends.resize(row.ends.len() * 2, 0),
                ReadRecordResult::Record if is_end => {
                    self.end = End::BrokeOff;
                    return Some(Ok(row.take(self.most)));
                }
                ReadRecordResult::Record => return Some(Ok(row.take(self.most))),
                ReadRecordResult::End => return None,
            }
        }
    }
}

impl PartialRow {
    fn new() -> PartialRow {
        PartialRow {
            output: vec![0; ROOM],
            written: 0,
            ends: vec![0; ROOM_COLUMNS],
            columns: 0,
            skipped: None,
            skipped_line: None,
        }
    }

    /// Returns the line in which the current column begins, if the input stands in line `now`: within a row, newlines
    /// stand in columns only.
    fn line_of_column(&self, now: u64) -> u64 {
        let dropped = self.skipped.as_ref().map_or(0, |skipped| skipped.size as usize);
        let start = match (self.ends[..self.columns].last(), self.skipped_line) {
            (Some(end), _) => end.saturating_sub(dropped).min(self.written),
            (None, Some(line)) => return line,
            (None, None) => 0,
        };
        let lines = memchr::memchr_iter(b'\n', &self.output[start..self.written]).count();
        now.saturating_sub(lines as u64)
    }

    /// Makes room for more bytes of the row, or skips those that are there if they are too many.
    fn make_room(&mut self, most: usize, line: u64) {
        if self.skipped.is_none() && self.written <= most {
            let more = self.output.len().clamp(ROOM, STEP);
            if long::reserve(&mut self.output, more).is_ok() {
                self.output.resize(self.output.len() + more, 0);
                return;
            }
        }
        self.skip(line);
    }

    /// Drops the bytes that are there. The input stands in line `now`.
    fn skip(&mut self, now: u64) {
        self.skipped_line = Some(self.line_of_column(now));
        let bytes = &self.output[..self.written];
        match &mut self.skipped {
            Some(skipped) => skipped.size += bytes.len() as u64,
            none => *none = Some(TooLong::new(bytes)),
        }
        (self.written, self.columns) = (0, 0);
        if self.output.len() > STEP {
            self.output = vec![0; STEP];
        }
    }

    /// Takes the row, which has ended.
    fn take(&mut self, most: usize) -> AnyRow {
        if self.skipped.is_some() || self.written > most {
            self.skip(0);
        }
        let row = match self.skipped.take() {
            Some(too_long) => AnyRow::TooLong(too_long),
            None => AnyRow::Whole(self.columns()),
        };
        (self.written, self.columns, self.skipped_line) = (0, 0, None);
        if self.output.len() > STEP {
            self.output = vec![0; ROOM];
        }
        row
    }

    fn columns(&mut self) -> Row {
        if self.columns == 1 && self.written > STEP {
            // One column that is long: its buffer.
            let mut column = std::mem::take(&mut self.output);
            column.truncate(self.written);
            self.output = vec![0; ROOM];
            return vec![column];
        }
        let mut start = 0;
        let columns = self.ends[..self.columns].iter().map(|&end| {
            let column = self.output[start..end].to_vec();
            start = end;
            column
        });
        columns.collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn rows(chunks: &[&[u8]], separator: u8) -> Result<Vec<Vec<String>>, OpenQuote> {
        let mut table = Table::new(separator, 64 << 20);
        let mut rows = Vec::new();
        for chunk in chunks {
            table.push(chunk).unwrap();
            rows.extend(std::iter::from_fn(|| table.next_row()));
        }
        table.end();
        rows.extend(std::iter::from_fn(|| table.next_row()));
        assert_eq!(table.next_row(), None);
        let text = |column: Vec<u8>| String::from_utf8(column).unwrap();
        let texts = |row| match row {
            AnyRow::Whole(row) => row.into_iter().map(text).collect(),
            AnyRow::TooLong(_) => panic!("no row is that long"),
        };
        rows.into_iter().map(|row: Result<AnyRow, OpenQuote>| row.map(texts)).collect()
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
            ("a \"b,5\" pipe\n", &[&["a \"b", "5\" pipe"]]),
            ("a", &[&["a"]]),
        ] {
            assert_eq!(rows(&[text.as_bytes()], b',').unwrap(), expected, "{text:?}");
            let bytes: Vec<&[u8]> = text.as_bytes().chunks(1).collect();
            assert_eq!(rows(&bytes, b',').unwrap(), expected, "byte by byte: {text:?}");
        }
        assert_eq!(rows(&[b"a\tb,c\n"], b'\t').unwrap(), [["a", "b,c"]]);
    }

    #[test]
    fn a_quote_that_is_never_closed_is_named_by_its_line() {
        for (text, line) in [
            ("\"never closed\na", 1),
            ("a,b\n1,\"2\n3,4\n5,6\n", 2),
            ("a\n\"two\nlines\",\"x\ny\n\n", 3),
            ("a\n\n\n\"", 4),
            ("a\nb,\"\"\"c\n", 2),
            ("a\r\n\"b\r\nc", 2),
        ] {
            assert_eq!(rows(&[text.as_bytes()], b','), Err(OpenQuote { line }), "{text:?}");
            let bytes: Vec<&[u8]> = text.as_bytes().chunks(1).collect();
            assert_eq!(rows(&bytes, b','), Err(OpenQuote { line }), "byte by byte: {text:?}");
        }
    }

    #[test]
    fn of_a_row_that_is_too_long_only_the_beginning_is_kept() {
        let mut table = Table::new(b',', 5000);
        let mut rows = Vec::new();
        let text = ["a,b\n", &"xxxx,\"y\ny\",".repeat(100_000), "\nc\n\"d\n"].concat();
        for chunk in text.as_bytes().chunks(1000).chain([&[b'e'; 10_000][..], b"f\n", b"g"]) {
            table.push(chunk).unwrap();
            rows.extend(std::iter::from_fn(|| table.next_row()));
            assert!(table.row.output.len() <= 16 << 10, "{}", table.row.output.len());
        }
        assert!(table.skipped().is_some_and(|size| (5000..=10_005).contains(&size)), "{:?}", table.skipped());
        table.end();
        rows.extend(table.next_row());
        let mut rows = rows.into_iter();
        assert_eq!(rows.next(), Some(Ok(AnyRow::Whole(vec![b"a".to_vec(), b"b".to_vec()]))));
        let Some(Ok(AnyRow::TooLong(too_long))) = rows.next() else { panic!("it is short") };
        assert_eq!((too_long.beginning.len(), too_long.size), (1024, 700_000));
        assert_eq!(rows.next(), Some(Ok(AnyRow::Whole(vec![b"c".to_vec()]))));
        assert_eq!(rows.collect::<Vec<_>>(), [Err(OpenQuote { line: 100_004 })]);
        assert_eq!(table.next_row(), None);
    }

    #[test]
    fn a_quote_that_opens_in_a_row_that_is_too_long_is_named() {
        let mut table = Table::new(b',', 5000);
        let text = ["a\n", &"xx,\"y\ny\",".repeat(10_000), "z,\"", &"w\n".repeat(9000)].concat();
        for chunk in text.as_bytes().chunks(100) {
            table.push(chunk).unwrap();
            assert!(table.next_row().is_none_or(|row| row == Ok(AnyRow::Whole(vec![b"a".to_vec()]))));
        }
        table.end();
        assert_eq!(table.next_row(), Some(Err(OpenQuote { line: 10_002 })));
    }

    #[test]
    fn an_input_that_breaks_off_gives_whole_rows_only() {
        let mut table = Table::new(b',', 5000);
        table.push(b"a\nb,\"c").unwrap();
        table.break_off();
        assert_eq!(table.next_row(), Some(Ok(AnyRow::Whole(vec![b"a".to_vec()]))));
        assert_eq!(table.next_row(), None);
        assert!(table.is_within_row());
    }

    #[test]
    fn long_and_wide_rows() {
        let long = "x".repeat(1 << 20);
        let wide = vec!["y"; 1000].join(",");
        let text = format!("{long}\n{wide}\n");
        let chunks: Vec<&[u8]> = text.as_bytes().chunks(1 << 12).collect();
        let rows = rows(&chunks, b',').unwrap();
        assert_eq!((rows[0][0].len(), rows[1].len(), rows.len()), (1 << 20, 1000, 2));
    }

    #[test]
    fn a_row_comes_as_soon_as_its_line_ends() {
        let mut table = Table::new(b',', 64 << 20);
        table.push(b"ab,b\nc").unwrap();
        assert_eq!(table.next_row(), Some(Ok(AnyRow::Whole(vec![b"ab".to_vec(), b"b".to_vec()]))));
        assert_eq!(table.next_row(), None);
        table.push(b"\n").unwrap();
        assert_eq!(table.next_row(), Some(Ok(AnyRow::Whole(vec![b"c".to_vec()]))));
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
            prop_assert_eq!(rows(&[text.as_bytes()], b','), Ok(table));
        }
    }
}
