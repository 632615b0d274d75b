//! Options of `--pipe`.

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;

use clap::Args;

use crate::cli::args::values::parse_count;
use crate::cli::instead::Instead;
use crate::jobfile::values::parse_size;
use crate::plan::exec::PipeArgs;
use crate::plan::exec::escapes::unescape;
use crate::ui::phrases::escape;

const PIPE: &str = "Blocks of a stream";

/// Options that are about items: with `--pipe` there are none.
const NOT_WITH: [&str; 14] = [
    "null",
    "delimiter",
    "words",
    "colsep",
    "csv",
    "header",
    "link",
    "fit",
    "replace",
    "no_run_if_empty",
    "repeat",
    "once",
    "stdin",
    "worker",
];

#[derive(Args, Debug)]
pub struct Pipe {
    /// Cut stdin (or -a FILE) into blocks of whole lines, one to the stdin of each task
    ///
    /// In a regular file, only the ends of the blocks are searched for; the kernel passes the data to the
    /// tasks. `-n N` passes N records to a task.
    #[arg(long, alias = "pipepart", conflicts_with_all = NOT_WITH)]
    pub pipe: bool,

    /// Make blocks of about this size: 64KiB, 10MB [default: 1MiB]
    #[arg(long, value_name = "SIZE", value_parser = parse_block, allow_negative_numbers = true)]
    #[arg(help_heading = PIPE, hide_short_help = true)]
    block: Option<usize>,

    /// A record is N lines, not one
    #[arg(short = 'L', value_name = "N", value_parser = parse_count)]
    #[arg(help_heading = PIPE, hide_short_help = true)]
    lines: Option<usize>,

    /// A record begins with STR (\n, \t, \0, \xHH are understood)
    #[arg(long, value_name = "STR", help_heading = PIPE, hide_short_help = true)]
    recstart: Option<OsString>,

    /// A record ends with STR [default: \n]; with --recstart only where that follows
    #[arg(long, value_name = "STR", help_heading = PIPE, hide_short_help = true)]
    recend: Option<OsString>,

    /// Pass the blocks to long-lived tasks, each to the one with the least left to read
    #[arg(long, alias = "round", help_heading = PIPE, hide_short_help = true)]
    round_robin: bool,
}

impl Pipe {
    /// Returns how the stream is cut; `None` without `--pipe`.
    pub fn meaning(&self) -> Result<Option<PipeArgs>, Instead> {
        if !self.pipe {
            return self.stray().map_or(Ok(None), |(option, instead)| {
                Err(Instead::fail(format_args!("`{option}` goes with `--pipe`; {instead}")))
            });
        }
        Ok(Some(PipeArgs {
            block: self.block,
            lines: self.lines,
            record_start: mark("--recstart", &self.recstart)?,
            record_end: mark("--recend", &self.recend)?,
            round_robin: self.round_robin,
        }))
    }

    /// Returns an option that means nothing without `--pipe`, and what to do instead.
    fn stray(&self) -> Option<(&'static str, &'static str)> {
        let items = "use `-n N` for N lines to one task, and `--colsep '\\s+'` for the words of each";
        let mark = "use `-d C` for what items end with";
        let add = "add that, or leave it out";
        [
            (self.lines.is_some(), "-L", items),
            (self.recstart.is_some(), "--recstart", mark),
            (self.recend.is_some(), "--recend", mark),
            (self.block.is_some(), "--block", add),
            (self.round_robin, "--round-robin", add),
        ]
        .into_iter()
        .find_map(|(given, option, instead)| given.then_some((option, instead)))
    }
}

/// Parses a size; `-1`, as in GNU parallel, is refused.
fn parse_block(text: &str) -> Result<usize, String> {
    if text.starts_with('-') {
        return Err("expected a size such as 10MB; `--round-robin` gives each task its share".into());
    }
    parse_size(text)
}

fn mark(option: &str, text: &Option<OsString>) -> Result<Option<Vec<u8>>, Instead> {
    let Some(text) = text else { return Ok(None) };
    unescape(text.as_bytes())
        .map(Some)
        .map_err(|why| Instead::fail(format_args!("`{option} {}`: {why}", escape(text.as_bytes()))))
}
