//! Options about items.

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use clap::Args;
use nix::errno::Errno;
use nix::unistd::{AccessFlags, access};
use regex::bytes::Regex;

use crate::cli::args::values::{parse_count, parse_delimiter};
use crate::cli::instead::Instead;
use crate::os::errors::reason;
use crate::plan::exec::escapes::unescape;
use crate::plan::exec::{From, ItemArgs, Source};
use crate::plan::{ColumnSeparator, Cut};
use crate::ui::phrases::escape;

const ITEMS: &str = "Items";

/// Options that say where items come from, or how many go to a task.
const OF_ITEMS: [&str; 11] = [
    "arg_file",
    "null",
    "delimiter",
    "words",
    "colsep",
    "csv",
    "header",
    "link",
    "max_args",
    "fit",
    "replace",
];

//
// Its fields are the options about items, as clap reads them.
#[derive(Args, Debug)]
pub struct ItemOptions {
    /// Read items from FILE instead of stdin (-: stdin)
    ///
    /// May be given more than once: each is a source of its own, as after `::::`.
    #[arg(short, long, value_name = "FILE")]
    pub arg_file: Vec<PathBuf>,

    /// Items end with NUL, not newline: for find -print0
    #[arg(short = '0', long)]
    null: bool,

    /// Items end with this character: one byte, or \n, \t, \0, \xHH
    #[arg(short, long, value_name = "CHAR", conflicts_with = "null", value_parser = parse_delimiter)]
    #[arg(help_heading = ITEMS, hide_short_help = true)]
    delimiter: Option<u8>,

    /// Items are words: blanks and newlines separate them, quotes and backslashes work as in xargs
    #[arg(long, conflicts_with_all = ["null", "delimiter"], help_heading = ITEMS, hide_short_help = true)]
    words: bool,

    /// Split items into columns {1}, {2} and so on, separated by REGEX
    ///
    /// With `--csv` it is a single character, which replaces the comma.
    #[arg(long, value_name = "REGEX", help_heading = ITEMS, hide_short_help = true)]
    colsep: Option<String>,

    /// Items are rows of comma-separated values
    ///
    /// Columns in double quotes may hold commas, newlines and doubled quotes.
    #[arg(long, conflicts_with_all = ["null", "delimiter", "words"], help_heading = ITEMS, hide_short_help = true)]
    csv: bool,

    /// Take column names from the first item of each source, for {NAME}
    ///
    /// A name may hold blanks: '{First name}'. Names that no placeholder could mean, and placeholders that are
    /// almost a name, are errors before the first task.
    #[arg(long, help_heading = ITEMS, hide_short_help = true)]
    pub header: bool,

    /// Take items of all sources in step, not in all combinations; shorter sources start again
    #[arg(long, alias = "xapply", help_heading = ITEMS, hide_short_help = true)]
    link: bool,

    /// Pass up to N items to one task, also as {1} to {N}
    #[arg(short = 'n', long, short_alias = 'N', value_name = "N", value_parser = parse_max_args)]
    pub max_args: Option<usize>,

    /// Pass as many items to one task as fit; a word with {} is repeated
    #[arg(short = 'X', conflicts_with = "max_args")]
    #[arg(help_heading = ITEMS, hide_short_help = true)]
    pub fit: bool,

    /// Replace STR with the items, instead of {}
    ///
    /// All other placeholders are off then, and no item is added at the end.
    #[arg(short = 'I', long, value_name = "STR")]
    pub replace: Option<OsString>,

    /// Skip empty items; without any items nothing ever runs
    #[arg(short = 'r', long, help_heading = ITEMS, hide_short_help = true)]
    no_run_if_empty: bool,

    /// Run COMMAND N times, without items
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64))]
    #[arg(conflicts_with_all = OF_ITEMS, help_heading = ITEMS, hide_short_help = true)]
    pub repeat: Option<u64>,

    /// Run COMMAND once, without items, with prun's own stdin
    ///
    /// On a terminal its output goes there directly, so that editors and pagers work.
    #[arg(long, conflicts_with_all = OF_ITEMS, conflicts_with_all = ["repeat", "stdin"])]
    #[arg(help_heading = ITEMS, hide_short_help = true)]
    pub once: bool,
}

/// Parses a number from 1. GNU parallel has `-N0`, which takes items and passes none.
fn parse_max_args(text: &str) -> Result<usize, String> {
    parse_count(text).map_err(|why| match text {
        "0" => why + "; `--repeat N` runs the command N times, without items",
        _ => why,
    })
}

impl ItemOptions {
    /// Returns the items: `sources` are those after `:::` and `::::`.
    pub fn meaning(&self, sources: Vec<Source>) -> Result<ItemArgs, Instead> {
        for file in self.arg_file.iter().filter(|file| *file != "-") {
            check_file("--arg-file", file)?;
        }
        for source in &sources {
            match &source.from {
                From::File(file) if file != "-" => check_file("::::", file)?,
                _ => {}
            }
        }
        let colsep = self.colsep.as_deref();
        let ends = self.delimiter.unwrap_or(if self.null { b'\0' } else { b'\n' });
        let (cut, columns) = match colsep {
            _ if self.csv => (Cut::Csv(colsep.map_or(Ok(b','), csv_separator)?), None),
            _ if self.words => (Cut::Words, colsep.map(between).transpose()?),
            _ => (Cut::At(ends), colsep.map(between).transpose()?),
        };
        Ok(ItemArgs {
            files: self.arg_file.clone(),
            sources,
            link: self.link,
            cut,
            columns,
            header: self.header,
            skip_empty: self.no_run_if_empty,
        })
    }
}

/// Refuses a file of items that cannot be read. That is a mistake on the command line, not a failure of a
/// task. The file is not opened here, because opening a FIFO would wait for its writer.
fn check_file(option: &str, file: &Path) -> Result<(), Instead> {
    let readable = match access(file, AccessFlags::R_OK) {
        Ok(()) if file.is_dir() => Err(Errno::EISDIR),
        other => other,
    };
    readable.map_err(|why| {
        let (name, why) = (escape(file.as_os_str().as_bytes()), reason(&why.into()));
        Instead::fail(format_args!("`{option} {name}` can't be read: {why}"))
    })
}

fn between(text: &str) -> Result<ColumnSeparator, Instead> {
    let refuse = |why: &str| {
        let text = escape(text.as_bytes());
        Err(Instead::fail(format_args!("`--colsep {text}` {why}")))
    };
    if let [byte] = text.as_bytes()
        && regex::escape(text) == text
    {
        return Ok(ColumnSeparator::Byte(*byte));
    }
    match Regex::new(text) {
        // A regular expression that matches the empty string would match between any two characters.
        Ok(regex) if regex.is_match(b"") => {
            refuse("also matches the empty string; it is a regular expression: `\\|` is a bar, `\\s+` blanks")
        }
        Ok(regex) => Ok(ColumnSeparator::Match(regex)),
        Err(_) => refuse("is not a regular expression; `\\|` is a bar, `\\(` a parenthesis"),
    }
}

fn csv_separator(text: &str) -> Result<u8, Instead> {
    match unescape(text.as_bytes()).as_deref() {
        Ok([byte]) if !b"\"\r\n".contains(byte) => Ok(*byte),
        _ => Err(Instead::fail(format_args!(
            "`--colsep {}`: with `--csv` columns have one character between them, which cannot be a quote or newline",
            escape(text.as_bytes())
        ))),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Typed {
        #[command(flatten)]
        items: ItemOptions,
        #[arg(long)]
        stdin: bool,
    }

    fn typed(line: &str) -> Result<ItemArgs, String> {
        let words = std::iter::once("exec").chain(line.split_whitespace());
        let typed = Typed::try_parse_from(words).map_err(|why| why.kind().to_string())?;
        typed.items.meaning(Vec::new()).map_err(|instead| match instead {
            Instead::Fail { lines, status: 125 } => lines,
            other => panic!("{other:?}"),
        })
    }

    #[test]
    fn delimiters_as_xargs_takes_them() {
        let cases = [
            ("x", b'x'),
            ("\\n", b'\n'),
            ("\\0", 0),
            ("\\012", 10),
            ("\\x2c", b','),
            ("\\x1f", 0x1f),
            ("\\\\", b'\\'),
            ("\\t", 9),
        ];
        for (text, byte) in cases {
            assert_eq!(parse_delimiter(text), Ok(byte), "{text}");
        }
        for text in ["", "ab", "\\xzz", "\\400", "\\q", "ä"] {
            assert!(parse_delimiter(text).is_err(), "{text}");
        }
    }

    #[test]
    fn what_items_end_with() {
        for (line, cut) in [
            ("", Cut::At(b'\n')),
            ("-0", Cut::At(0)),
            ("-d ,", Cut::At(b',')),
            ("--words", Cut::Words),
            ("--csv", Cut::Csv(b',')),
            ("--csv --colsep ;", Cut::Csv(b';')),
            ("--csv --colsep \\t", Cut::Csv(b'\t')),
        ] {
            assert_eq!(typed(line).unwrap().cut, cut, "{line}");
        }
        for line in
            ["-0 -d ,", "-0 --words", "-d , --csv", "--words --csv", "--repeat 2 --csv", "--once --link"]
        {
            assert!(typed(line).is_err(), "{line}");
        }
        for separator in ["ab", "\"", "\\n"] {
            let told = typed(&format!("--csv --colsep {separator}")).unwrap_err();
            assert!(told.contains("one character between them"), "{told}");
        }
    }

    #[test]
    fn what_stands_between_columns() {
        let split = |regex: &str, text: &str| {
            let columns =
                typed(&format!("--colsep {regex}")).unwrap().columns.unwrap().split(text.as_bytes());
            columns.into_iter().map(|column| String::from_utf8(column).unwrap()).collect::<Vec<_>>()
        };
        assert_eq!(split(",", "a,,b"), ["a", "", "b"]);
        assert_eq!(split("\\t", "a\tb"), ["a", "b"]);
        assert_eq!(split("\\s+", "a \t b"), ["a", "b"]);
        assert_eq!(split("\\|", "a|b"), ["a", "b"]);
        assert_eq!(split("[;:]", "a;b:c"), ["a", "b", "c"]);
        assert_eq!(split("ä", "1ä2"), ["1", "2"]);
        assert_eq!(split(".", "ab"), ["", "", ""], "it is a regular expression");
        for (text, part) in
            [("(", "is not a regular expression"), ("|", "matches the empty string"), ("x*", "empty")]
        {
            let told = typed(&format!("--colsep {text}")).unwrap_err();
            assert!(told.contains(part), "{told}");
        }
    }

    #[test]
    fn a_file_of_items_that_can_not_be_read_is_told_first() {
        let wrong = |line| typed(line).unwrap_err();
        assert_eq!(wrong("-a /"), "prun: `--arg-file /` can't be read: is a directory\n");
        assert_eq!(
            wrong("-a - -a /no/x"),
            "prun: `--arg-file /no/x` can't be read: no such file or directory\n"
        );
        assert!(typed("-a /dev/null -a -").is_ok());
    }

    #[test]
    fn hands_know_xapply() {
        assert!(typed("--xapply").unwrap().link && typed("--link").unwrap().link);
    }
}
