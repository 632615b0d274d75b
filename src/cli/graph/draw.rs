//! The graph as text: a row for each job, or for several jobs that have the same place in the graph. Pure.

use std::fmt::Write as _;

use anstyle::{AnsiColor, Style};
use unicode_width::UnicodeWidthStr;

use super::lanes::{Drawn, Lanes, Sign};
use super::model::{Graph, Kind, Node, Tasks};
use super::siblings::{self, Link, Row};
use crate::plan::HookOn;
use crate::ui::phrases::escape;

/// The capabilities of the terminal.
#[derive(Debug, Clone, Copy)]
pub struct Look {
    pub width: usize,
    /// True if characters beyond ASCII can be shown.
    pub unicode: bool,
    pub color: bool,
}

const FAINT: Style = Style::new().dimmed();
const LANE: Style = AnsiColor::Cyan.on_default();

/// The most jobs that a remark names.
const NAMED: usize = 5;
/// The most lines that the names of one row may take.
const LINES: usize = 4;

pub fn text(graph: &Graph, look: Look) -> String {
    let rows = siblings::rows(graph);
    let ends = rows.iter().filter(|row| graph.nodes[row.members[0]].at_end.is_some());
    let at_end: Vec<&Row> = ends.collect();
    let dependents = dependents(&rows);
    // Some width is left for names and remarks.
    let mut lanes = Lanes::new(rows.len(), (look.width.saturating_sub(30) / 2).clamp(4, 40));
    let pen = Pen { graph, rows: &rows, look };
    let mut out = String::new();
    for row in order(&rows, &dependents) {
        if graph.nodes[rows[row].members[0]].at_end.is_some() {
            continue;
        }
        let mut needs: Vec<usize> = rows[row].needs.iter().map(|(need, _)| *need).collect();
        needs.dedup();
        let drawn = lanes.draw(row, &needs, dependents[row].len());
        pen.write(&drawn, &pen.words(&rows[row], &drawn.in_words), &mut out);
    }
    for row in at_end {
        let drawn = Drawn { line: vec![Sign::Finish], below: vec![Sign::Blank], in_words: Vec::new() };
        pen.write(&drawn, &pen.words(row, &[]), &mut out);
    }
    out
}

/// Returns for each row the rows that need it, without duplicates.
fn dependents(rows: &[Row]) -> Vec<Vec<usize>> {
    let mut dependents = siblings::dependents(rows);
    dependents.iter_mut().for_each(Vec::dedup);
    dependents
}

/// Returns the order in which rows are drawn. A row comes after the rows that it needs, as soon as possible;
/// rows that nothing depends on come first.
fn order(rows: &[Row], dependents: &[Vec<usize>]) -> Vec<usize> {
    let plain = visit(rows, dependents, |_| 0);
    // The number of rows that depend on each row and on no other.
    let mut weights = vec![1; rows.len()];
    for &row in plain.iter().rev() {
        let mut needs = rows[row].needs.iter().map(|(need, _)| *need);
        if let Some(need) = needs.next().filter(|first| needs.all(|other| other == *first)) {
            weights[need] += weights[row];
        }
    }
    visit(rows, dependents, |row| weights[row])
}

/// Visits the rows depth-first. Among the rows that become free together, those without dependents come
/// first, then the lighter ones: a lane that waits for others is long, so that little is drawn beside it.
fn visit(rows: &[Row], dependents: &[Vec<usize>], weight: impl Fn(usize) -> usize) -> Vec<usize> {
    let mut missing = vec![0; rows.len()];
    dependents.iter().flatten().for_each(|&row| missing[row] += 1);
    let mut open: Vec<usize> = (0..rows.len()).rev().filter(|row| missing[*row] == 0).collect();
    let mut order = Vec::with_capacity(rows.len());
    while let Some(row) = open.pop() {
        order.push(row);
        let mut next = Vec::new();
        for &dependent in &dependents[row] {
            missing[dependent] -= 1;
            if missing[dependent] == 0 {
                next.push(dependent);
            }
        }
        next.sort_by_key(|&row| (!dependents[row].is_empty(), weight(row), row));
        open.extend(next.into_iter().rev());
    }
    order
}

/// Words that stay together on a line.
struct Words {
    text: String,
    faint: bool,
}

struct Pen<'a> {
    graph: &'a Graph,
    rows: &'a [Row],
    look: Look,
}

impl Pen<'_> {
    /// Returns the text of a row. `in_words` are the rows that it needs and that no lane leads to.
    fn words(&self, row: &Row, in_words: &[usize]) -> Vec<Words> {
        let first = &self.graph.nodes[row.members[0]];
        let mut words = Vec::new();
        let arrow = if self.look.unicode { "─▶" } else { "->" };
        let queues = |queues: &[usize]| {
            let names: Vec<String> =
                queues.iter().map(|queue| escape(self.graph.queues[*queue].as_bytes())).collect();
            names.join(", ")
        };
        if !first.reads.is_empty() {
            words.push(Words { text: format!("{} {arrow}", queues(&first.reads)), faint: true });
        }
        self.names(row, &mut words);
        if !first.writes.is_empty() {
            words.push(Words { text: format!("{arrow} {}", queues(&first.writes)), faint: true });
        }
        let remarks = self.remarks(row, first, in_words);
        let last = remarks.len().saturating_sub(1);
        for (number, remark) in remarks.iter().enumerate() {
            let (open, close) = (if number == 0 { "(" } else { "" }, if number == last { ")" } else { "," });
            // A long remark may be broken into lines.
            let parts: Vec<&str> = remark.split(' ').collect();
            for (at, part) in parts.iter().enumerate() {
                let open = if at == 0 { open } else { "" };
                let close = if at + 1 == parts.len() { close } else { "" };
                words.push(Words { text: format!("{open}{part}{close}"), faint: true });
            }
        }
        words
    }

    /// Appends the names of a row's jobs, as many as there is room for.
    fn names(&self, row: &Row, words: &mut Vec<Words>) {
        let room = self.look.width * LINES * 2 / 3;
        let mut used = 0;
        for (number, &member) in row.members.iter().enumerate() {
            let text = self.name(&self.graph.nodes[member]) + &self.times(&self.graph.nodes[member]);
            used += text.width() + 2;
            let left = row.members.len() - number;
            if used > room && left > 1 && number > 0 {
                let dots = if self.look.unicode { "…" } else { "..." };
                words.push(Words { text: format!("{dots} and {} more", left), faint: true });
                return;
            }
            let comma = if left > 1 { "," } else { "" };
            words.push(Words { text: text + comma, faint: false });
        }
    }

    fn name(&self, node: &Node) -> String {
        let between = match (node.duplex, self.look.unicode) {
            (false, _) => " | ",
            (true, true) => " ⇄ ",
            (true, false) => " <-> ",
        };
        escape(node.jobs.join(between).as_bytes())
    }

    fn times(&self, node: &Node) -> String {
        let sign = if self.look.unicode { '×' } else { 'x' };
        match node.tasks {
            Tasks::Single => String::new(),
            Tasks::Known(count) => format!(" {sign}{}", count),
            Tasks::Unknown => format!(" {sign}?"),
        }
    }

    /// Returns the remarks on a row: what its lanes do not show.
    fn remarks(&self, row: &Row, first: &Node, in_words: &[usize]) -> Vec<String> {
        let mut remarks = first.marks.clone();
        match first.at_end {
            None => {}
            Some(HookOn::Success) => remarks.push("at the end, if nothing failed".to_owned()),
            Some(HookOn::Failure) => remarks.push("at the end, if something failed".to_owned()),
            Some(HookOn::Exit) => remarks.push("at the end".to_owned()),
        }
        let only = row.needs.len() == 1 && in_words.is_empty();
        let kinds = [
            (Link::Waits(Kind::Ready), "when ready", "when ready: "),
            (Link::Waits(Kind::Failure), "on failure", "on failure of "),
            (Link::Waits(Kind::Exit), "on exit", "on exit of "),
            (Link::Waits(Kind::Items), "item by item", "item by item of "),
        ];
        for (kind, alone, among) in kinds {
            let needs: Vec<usize> =
                row.needs.iter().filter(|(_, link)| *link == kind).map(|(need, _)| *need).collect();
            if !needs.is_empty() {
                remarks.push(if only { alone.to_owned() } else { format!("{among}{}", self.named(&needs)) });
            }
        }
        let told = |need: &usize| row.needs.contains(&(*need, Link::Waits(Kind::Success)));
        let plain: Vec<usize> = in_words.iter().copied().filter(told).collect();
        if !plain.is_empty() {
            remarks.push(format!("after {}", self.named(&plain)));
        }
        remarks
    }

    /// Returns the names of the jobs of these rows, at most [`NAMED`].
    fn named(&self, rows: &[usize]) -> String {
        let all = || rows.iter().flat_map(|row| &self.rows[*row].members);
        let names: Vec<String> = all().take(NAMED).map(|node| self.name(&self.graph.nodes[*node])).collect();
        match all().count() - names.len() {
            0 => names.join(", "),
            more => format!("{} and {} more", names.join(", "), more),
        }
    }

    fn write(&self, drawn: &Drawn, words: &[Words], out: &mut String) {
        let indent = drawn.line.iter().rposition(|sign| *sign != Sign::Blank).map_or(0, |last| last + 1) + 1;
        self.lanes(&drawn.line, indent, out);
        let mut at = indent;
        let mut faint = false;
        for (number, word) in words.iter().enumerate() {
            let width = word.text.width();
            let breaks = at + 1 + width > self.look.width && at > indent;
            if faint && (breaks || !word.faint) {
                faint = self.faint(false, out);
            }
            if breaks {
                out.push('\n');
                self.lanes(&drawn.below, indent, out);
                at = indent;
            } else if number > 0 {
                out.push(' ');
                at += 1;
            }
            if word.faint && !faint {
                faint = self.faint(true, out);
            }
            out.push_str(&word.text);
            at += width;
        }
        if faint {
            self.faint(false, out);
        }
        out.push('\n');
    }

    /// Switches between faint and plain text.
    fn faint(&self, faint: bool, out: &mut String) -> bool {
        if self.look.color {
            _ = if faint { write!(out, "{FAINT}") } else { write!(out, "{FAINT:#}") };
        }
        faint
    }

    /// Writes the lanes, and blanks up to the text.
    fn lanes(&self, signs: &[Sign], indent: usize, out: &mut String) {
        if self.look.color {
            _ = write!(out, "{LANE}");
        }
        for at in 0..indent {
            let sign = signs.get(at).copied().unwrap_or(Sign::Blank);
            out.push(if self.look.unicode { sign.unicode() } else { sign.ascii() });
        }
        if self.look.color {
            _ = write!(out, "{LANE:#}");
        }
    }
}

#[cfg(test)]
mod tests;
