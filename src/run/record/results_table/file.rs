//! The file of a table, before rows are written to it.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

use crate::os::errors::reason;
use crate::plan::{Form, Table};
use crate::run::output::disk;

/// The file as it was found.
pub struct ExistingRows {
    /// True if there are rows, and before them the names of the columns.
    pub any: bool,
    pub warning: Option<String>,
}

/// Makes the file, and its folders, or empties it. If rows are to be appended, cuts it behind the last row that is whole
/// instead.
///
/// # Errors
/// When the file can't be opened, read or cut. For people.
pub fn prepare(path: &Path, table: &Table) -> Result<ExistingRows, String> {
    let failed = |error: io::Error| format!("could not open `{}`: {}", path.display(), reason(&error));
    disk::create(path, table.append).map_err(failed)?;
    if !table.append {
        return Ok(ExistingRows { any: false, warning: None });
    }
    let mut file = OpenOptions::new().read(true).write(true).open(path).map_err(failed)?;
    let (length, whole) = whole_rows(&mut file, table.form).map_err(failed)?;
    let warning = (length > whole).then(|| {
        format!(
            "`{}` ended within a row, which is taken away: its task is not known to have ended",
            path.display()
        )
    });
    if warning.is_some() {
        file.set_len(whole).map_err(failed)?;
    }
    Ok(ExistingRows { any: whole > 0, warning })
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
