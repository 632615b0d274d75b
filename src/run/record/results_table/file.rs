//! The file of a table, before rows are written to it.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;
use std::sync::Arc;

use crate::os;
use crate::os::errors::reason;
use crate::os::files::{OutputFile, open_own_output};
use crate::plan::{Form, Table};
use crate::run::output::files::{self, Before, SharedFile};

/// The file, open and as it was found.
pub struct TableFile {
    pub file: SharedFile,
    /// True if there are rows, and before them the names of the columns.
    pub has_rows: bool,
    pub warning: Option<String>,
}

/// Opens the file, or makes it and its folders, and empties it. If rows are to be appended, cuts it behind the last row
/// that is whole instead.
///
/// # Errors
/// When the file can't be opened, read or cut, or is a FIFO without a reader. For people.
pub fn open(path: &Path, table: &Table) -> Result<TableFile, String> {
    let failed = |error: io::Error| format!("could not open `{}`: {}", path.display(), reason(&error));
    let output = files::open_or_make(path, open_own_output).map_err(failed)?;
    let (mut has_rows, mut warning) = (false, None);
    if output.is_regular && table.append {
        let mut file = OpenOptions::new().read(true).open(path).map_err(failed)?;
        let (length, whole) = whole_rows(&mut file, table.form).map_err(failed)?;
        if length > whole {
            warning = Some(format!(
                "`{}` ended within a row, which is taken away: its task is not known to have ended",
                path.display()
            ));
            output.file.set_len(whole).map_err(failed)?;
        }
        os::files::set_append(&output.file);
        has_rows = whole > 0;
    } else if output.is_regular {
        output.file.set_len(0).map_err(failed)?;
    }
    let OutputFile { file, identity, is_fifo, .. } = output;
    let file = SharedFile { file: Arc::new(file), identity, is_fifo, before: Before::Untouched };
    Ok(TableFile { file, has_rows, warning })
}

/// Returns the length of the file, and that of all rows that are whole.
fn whole_rows(file: &mut File, form: Form) -> io::Result<(u64, u64)> {
    file.seek(SeekFrom::Start(0))?;
    let mut buffer = vec![0; 64 << 10];
    let (mut length, mut whole, mut quoted) = (0, 0, false);
    loop {
        let count = file.read(&mut buffer)?;
        if count == 0 {
            return Ok((length, whole));
        }
        let bytes = &buffer[..count];
        for at in memchr::memchr2_iter(b'\n', b'"', bytes) {
            match bytes[at] {
                // A JSON object is one line.
                b'"' => quoted = !quoted && form != Form::Json,
                _ if !quoted => whole = length + at as u64 + 1,
                _ => {}
            }
        }
        length += count as u64;
    }
}
