//! Mistakes in a job file, and how they are shown. Pure.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use annotate_snippets::renderer::DecorStyle;
use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet, normalize_untrusted_str};

/// The number of mistakes that are shown.
const SHOWN: usize = 50;
/// The number of mistakes that are kept: a file of garbage has one in every line.
const KEPT: usize = 1000;
/// The distance, in bytes, up to which two places share one snippet.
const NEAR: usize = 64 * 1024;

/// A mistake at one place of a job file, or in the command line that goes with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistake {
    pub message: String,
    /// Bytes of the file, and the label below them. `None` for a mistake in the command line.
    pub place: Option<(Range<usize>, String)>,
    /// A second place that is involved, and its label.
    pub other: Option<(Range<usize>, String)>,
    pub help: Option<String>,
}

impl Mistake {
    /// A mistake in the command line.
    pub fn new(message: impl Into<String>) -> Mistake {
        Mistake { message: message.into(), place: None, other: None, help: None }
    }

    /// A mistake at this place of the file.
    pub fn at(span: Range<usize>, message: impl Into<String>) -> Mistake {
        Mistake { place: Some((span, String::new())), ..Mistake::new(message) }
    }

    /// Sets the label at the place.
    pub fn label(mut self, label: impl Into<String>) -> Mistake {
        if let Some((_, text)) = &mut self.place {
            *text = label.into();
        }
        self
    }

    /// Adds a second place.
    pub fn other(mut self, span: Range<usize>, label: impl Into<String>) -> Mistake {
        self.other = Some((span, label.into()));
        self
    }

    /// Adds a line that says what to do.
    pub fn help(mut self, help: impl Into<String>) -> Mistake {
        self.help = Some(help.into());
        self
    }

    fn start(&self) -> Option<usize> {
        self.place.as_ref().map(|(span, _)| span.start)
    }
}

/// How serious the entries of a list are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Severity {
    /// The file can't be run.
    Error,
    /// The file can be run, but hardly does what was meant.
    Warning,
}

/// The mistakes of one file, and of the configuration file below it. Never empty as the error of a `Result`.
#[derive(Clone, PartialEq, Eq)]
pub struct Mistakes {
    severity: Severity,
    /// The name of the file in messages.
    name: Arc<str>,
    source: Arc<str>,
    /// The name of the configuration file, and where its text begins in `source`, behind that of the job file.
    config: Option<(Arc<str>, usize)>,
    list: Vec<Mistake>,
    /// Number of mistakes that are not kept.
    more: usize,
}

impl Mistakes {
    pub(super) fn new(name: &str, source: Arc<str>) -> Mistakes {
        let (name, severity) = (name.into(), Severity::Error);
        Mistakes { severity, name, source, config: None, list: Vec::new(), more: 0 }
    }

    /// Returns an empty list of warnings about the same file, which are shown as mistakes are.
    pub(crate) fn doubts(&self) -> Mistakes {
        Mistakes { severity: Severity::Warning, list: Vec::new(), more: 0, ..self.clone() }
    }

    /// Returns the text of the file, and behind it that of the configuration file.
    pub(crate) fn source(&self) -> &str {
        &self.source
    }

    /// Sets that the text of the configuration file `name` begins in the source at `start`.
    pub(super) fn with_config(self, name: &str, start: usize) -> Mistakes {
        Mistakes { config: Some((name.into(), start)), ..self }
    }

    /// True if the place is in the configuration file.
    pub(crate) fn in_config(&self, span: &Range<usize>) -> bool {
        self.config.as_ref().is_some_and(|(_, start)| span.start >= *start)
    }

    /// Adds a mistake. One that is found for many jobs, such as a wrong default, is kept once.
    pub fn push(&mut self, mistake: Mistake) {
        if self.list.len() == KEPT {
            self.more += 1;
        } else if !self.list.contains(&mistake) {
            self.list.push(mistake);
        }
    }

    /// Returns their number, including those that are not kept.
    pub fn len(&self) -> usize {
        self.list.len() + self.more
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// True if no further mistake will be shown, so that its details need no work.
    pub(crate) fn enough(&self) -> bool {
        self.list.len() >= SHOWN
    }

    /// Drops the mistakes that are not wanted, and the count of those that were not kept.
    pub(super) fn retain(&mut self, wanted: impl FnMut(&Mistake) -> bool) {
        self.more = 0;
        self.list.retain(wanted);
    }

    /// Formats the mistakes for people: each with its line, a caret and help, in the order of the file. Control
    /// characters of the file are replaced.
    pub fn render(&self, color: bool) -> String {
        let renderer = if color { Renderer::styled() } else { Renderer::plain() };
        let renderer = renderer.decor_style(DecorStyle::Ascii).term_width(100);
        let mut list: Vec<&Mistake> = self.list.iter().collect();
        list.sort_by_key(|mistake| mistake.start());
        let mut text = String::new();
        for mistake in list.iter().take(SHOWN) {
            text += &renderer.render(&[self.group(mistake)]);
            text += "\n\n";
        }
        text.truncate(text.trim_end().len());
        let more = self.len().saturating_sub(SHOWN);
        if more > 0 {
            let what = if self.severity == Severity::Warning { "warning" } else { "error" };
            text += &format!("\n\n… and {more} more {what}{}", if more == 1 { "" } else { "s" });
        }
        text + "\n"
    }

    fn group<'a>(&'a self, mistake: &'a Mistake) -> Group<'a> {
        let level = if self.severity == Severity::Warning { Level::WARNING } else { Level::ERROR };
        let mut group = Group::with_title(level.primary_title(harmless(&mistake.message)));
        if let Some((span, label)) = &mistake.place {
            let mut notes = vec![(AnnotationKind::Primary, span.clone(), label)];
            if let Some((span, label)) = &mistake.other {
                notes.push((AnnotationKind::Context, span.clone(), label));
            }
            if notes.len() == 2 && self.are_apart(&notes[0].1, &notes[1].1) {
                group = group.elements(notes.into_iter().map(|note| self.snippet(&[note])));
            } else {
                group = group.element(self.snippet(&notes));
            }
        }
        group.elements(mistake.help.as_ref().map(|help| Level::HELP.message(harmless(help))))
    }

    /// True if the two places do not share a snippet.
    fn are_apart(&self, one: &Range<usize>, other: &Range<usize>) -> bool {
        self.in_config(one) != self.in_config(other) || one.start.abs_diff(other.start) > NEAR
    }

    /// Returns the lines with these places only: a file can be long.
    fn snippet<'a>(
        &'a self,
        notes: &[(AnnotationKind, Range<usize>, &'a String)],
    ) -> Snippet<'a, annotate_snippets::Annotation<'a>> {
        let clip = |span: &Range<usize>| {
            let start = floor(&self.source, span.start);
            start..floor(&self.source, first_lines(&self.source, start, span.end)).max(start)
        };
        let spans: Vec<Range<usize>> = notes.iter().map(|(_, span, _)| clip(span)).collect();
        let from = spans.iter().map(|span| span.start).min().unwrap_or(0);
        let to = spans.iter().map(|span| span.end).max().unwrap_or(0);
        let from = self.source[..from].rfind('\n').map_or(0, |newline| newline + 1);
        let to = self.source[to..].find('\n').map_or(self.source.len(), |length| to + length);
        let (name, start) = match &self.config {
            Some((name, start)) if from >= *start => (name, *start),
            _ => (&self.name, 0),
        };
        let line = 1 + memchr::memchr_iter(b'\n', &self.source.as_bytes()[start..from]).count();
        let mut snippet =
            Snippet::source(same_length(&self.source[from..to])).line_start(line).path(harmless(name));
        for ((kind, _, label), span) in notes.iter().zip(spans) {
            let annotation = kind.span(span.start - from..span.end - from);
            let label = (!label.is_empty()).then(|| harmless(label));
            snippet = snippet.annotation(annotation.label(label));
        }
        snippet
    }
}

impl fmt::Debug for Mistakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(false))
    }
}

impl fmt::Display for Mistakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(false))
    }
}

impl std::error::Error for Mistakes {}

/// Shortens a range to its first six lines, which are all that is shown of a long value.
fn first_lines(source: &str, start: usize, end: usize) -> usize {
    let end = end.min(source.len());
    memchr::memchr_iter(b'\n', &source.as_bytes()[start.min(end)..end])
        .nth(5)
        .map_or(end, |newline| start + newline)
}

/// Returns the start of the character at `at`.
fn floor(text: &str, mut at: usize) -> usize {
    at = at.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

fn is_c1(c: char) -> bool {
    ('\u{80}'..='\u{9f}').contains(&c)
}

/// Replaces the control characters above ASCII, which terminals obey as well, by a character of the same length, so
/// that places remain right. The renderer replaces the other control characters.
fn same_length(text: &str) -> String {
    text.replace(is_c1, "\u{bf}")
}

/// Replaces control characters, for a text on one line.
fn harmless(text: &str) -> String {
    normalize_untrusted_str(&text.replace(is_c1, "\u{fffd}")).replace('\n', " ")
}
