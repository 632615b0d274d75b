//! `prun graph FILE [JOB...]`: shows which jobs wait for which, for people and for other programs.

use std::ffi::OsString;
use std::io;
use std::os::fd::AsFd;

use clap::{Parser, ValueEnum};

use super::args::When;
use super::instead::Instead;
use super::{colors, config, job_file};
use crate::jobfile;
use crate::os;
use crate::plan::build::build;
use crate::run::Verdict;
use crate::ui::phrases::escape;

mod draw;
mod lanes;
mod model;
mod others;
mod siblings;

use model::Graph;

/// Show the graph of a job file: which jobs wait for which, and what joins them
#[derive(Parser, Debug)]
#[command(name = "graph", bin_name = "prun graph", max_term_width = 100)]
#[command(override_usage = "prun graph [OPTIONS] [FILE] [JOB]...")]
pub struct GraphArgs {
    /// Draw it as text, or write it for another program: text, dot or mermaid [default: text]
    ///
    /// `dot` is read by Graphviz, `mermaid` by many viewers of Markdown.
    #[arg(long, value_name = "FORMAT", hide_possible_values = true, default_value = "text")]
    #[arg(hide_default_value = true)]
    format: Format,

    /// Set a variable of the job file
    #[arg(short = 'D', long, value_name = "NAME=VALUE")]
    define: Vec<OsString>,

    /// Use colours: auto, always or never [default: auto]
    #[arg(long, value_name = "WHEN", hide_possible_values = true)]
    color: Option<When>,

    /// Ignore the configuration file
    #[arg(long)]
    no_config: bool,

    /// The job file (-: stdin; without one ./prun.toml), then jobs: only these and what they need are shown
    #[arg(value_name = "FILE|JOB")]
    operands: Vec<OsString>,
}

#[derive(ValueEnum, Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    Text,
    Dot,
    Mermaid,
}

/// The width if stdout is not a terminal, or does not tell its size.
const USUAL_WIDTH: usize = 80;

/// Prints the graph.
pub fn start(asked: GraphArgs) -> Result<Verdict, Instead> {
    let (name, jobs) = job_file::operands(&asked.operands)?;
    let bytes = job_file::read(&name, jobs.first())?;
    let color = colors::allowed(asked.color, &io::stderr());
    let wrong = |mistakes| Instead::mistakes(&mistakes, color);
    let config = config::read(config::Look { left_out: asked.no_config, quiet: false, color })?;
    let file = jobfile::parse_over(&config, &escape(name.as_encoded_bytes()), &bytes).map_err(wrong)?;
    let options = job_file::inspection(&name, &asked.define, jobs)?;
    let plan = build(&file, &options).map_err(wrong)?;
    let graph = Graph::of(&plan);
    let text = match asked.format {
        Format::Dot => others::dot(&graph),
        Format::Mermaid => others::mermaid(&graph),
        Format::Text => {
            let look = draw::Look {
                width: width(),
                unicode: has_unicode(|name| std::env::var(name).ok()),
                color: colors::allowed(asked.color.or_else(super::variables::color), &io::stdout()),
            };
            draw::text(&graph, look)
        }
    };
    Err(Instead::Say(text.into_bytes()))
}

fn width() -> usize {
    let size = os::io::terminal_size(io::stdout().as_fd());
    size.map(|(columns, _)| usize::from(columns)).filter(|columns| *columns >= 20).unwrap_or(USUAL_WIDTH)
}

/// True if the locale has UTF-8, by the variables that setlocale(3) reads.
fn has_unicode(get: impl Fn(&str) -> Option<String>) -> bool {
    let said = ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().filter_map(get).find(|value| !value.is_empty());
    said.is_some_and(|locale| {
        let locale = locale.to_ascii_lowercase();
        locale.contains("utf-8") || locale.contains("utf8")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_locale_says_which_characters_there_are() {
        let with = |pairs: &'static [(&str, &str)]| {
            has_unicode(|name| {
                pairs.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
            })
        };
        assert!(with(&[("LANG", "de_DE.UTF-8")]));
        assert!(with(&[("LC_ALL", ""), ("LC_CTYPE", "C.utf8"), ("LANG", "C")]));
        assert!(!with(&[("LC_ALL", "C"), ("LANG", "de_DE.UTF-8")]));
        assert!(!with(&[]));
    }
}
