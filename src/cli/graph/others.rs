//! The graph for other programs: Graphviz and Mermaid. All edges are written, also those that follow from
//! others. Pure.

use std::fmt::Write as _;

use super::model::{Graph, Kind, Node, Tasks};
use crate::plan::HookOn;
use crate::ui::phrases::escape;

/// Writes the graph for dot(1).
pub fn dot(graph: &Graph) -> String {
    let mut out = "digraph prun {\n  rankdir=LR;\n  node [shape=box, style=rounded];\n".to_owned();
    for (number, node) in graph.nodes.iter().enumerate() {
        let style = if node.daemon { ", style=\"rounded,dashed\"" } else { "" };
        _ = writeln!(out, "  n{number} [label=\"{}\"{style}];", lines(node, quoted_for_dot).join("\\n"));
    }
    for (number, queue) in graph.queues.iter().enumerate() {
        _ = writeln!(out, "  q{number} [label=\"{}\", shape=cylinder, style=solid];", quoted_for_dot(queue));
    }
    for edge in &graph.edges {
        let label = word(edge.kind).map(|word| format!(" [label=\"{word}\"]")).unwrap_or_default();
        _ = writeln!(out, "  n{} -> n{}{label};", edge.need, edge.node);
    }
    for (number, node) in graph.nodes.iter().enumerate() {
        node.writes.iter().for_each(|queue| _ = writeln!(out, "  n{number} -> q{queue} [style=bold];"));
        node.reads.iter().for_each(|queue| _ = writeln!(out, "  q{queue} -> n{number} [style=bold];"));
    }
    out + "}\n"
}

/// Writes the graph for Mermaid, which many viewers of Markdown draw.
pub fn mermaid(graph: &Graph) -> String {
    let mut out = "flowchart TD\n".to_owned();
    for (number, node) in graph.nodes.iter().enumerate() {
        let (open, close) = if node.daemon { ("([", "])") } else { ("[", "]") };
        let label = lines(node, quoted_for_mermaid).join("<br>");
        _ = writeln!(out, "  n{number}{open}\"{label}\"{close}");
    }
    for (number, queue) in graph.queues.iter().enumerate() {
        _ = writeln!(out, "  q{number}[(\"{}\")]", quoted_for_mermaid(queue));
    }
    for edge in &graph.edges {
        let label = word(edge.kind).map(|word| format!("|{word}|")).unwrap_or_default();
        _ = writeln!(out, "  n{} -->{label} n{}", edge.need, edge.node);
    }
    for (number, node) in graph.nodes.iter().enumerate() {
        node.writes.iter().for_each(|queue| _ = writeln!(out, "  n{number} ==> q{queue}"));
        node.reads.iter().for_each(|queue| _ = writeln!(out, "  q{queue} ==> n{number}"));
    }
    out
}

/// Returns the label of a condition; `None` for success.
fn word(kind: Kind) -> Option<&'static str> {
    match kind {
        Kind::Success => None,
        Kind::Failure => Some("failure"),
        Kind::Exit => Some("exit"),
        Kind::Ready => Some("ready"),
        Kind::Items => Some("items"),
    }
}

/// Returns the lines in the box of a job: its name, then the remarks.
fn lines(node: &Node, quoted: fn(&str) -> String) -> Vec<String> {
    let between = if node.duplex { " ⇄ " } else { " | " };
    let times = match node.tasks {
        Tasks::Single => String::new(),
        Tasks::Known(count) => format!(" ×{count}"),
        Tasks::Unknown => " ×?".to_owned(),
    };
    let end = match node.at_end {
        None => None,
        Some(HookOn::Success) => Some("at the end, if nothing failed"),
        Some(HookOn::Failure) => Some("at the end, if something failed"),
        Some(HookOn::Exit) => Some("at the end"),
    };
    let name = quoted(&(node.jobs.join(between) + &times));
    std::iter::once(name).chain(end.map(quoted)).chain(node.marks.iter().map(|mark| quoted(mark))).collect()
}

/// Quotes text for dot(1). Within its quotes a backslash begins an escape.
fn quoted_for_dot(text: &str) -> String {
    escape(text.as_bytes()).replace('\\', "\\\\").replace('"', "\\\"")
}

/// Quotes text for Mermaid, which writes its special characters as numbers.
fn quoted_for_mermaid(text: &str) -> String {
    let mut out = String::new();
    for c in escape(text.as_bytes()).chars() {
        match c {
            '"' | '#' | '<' | '>' | '&' | '`' | '\\' => _ = write!(out, "#{};", c as u32),
            _ => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::super::model::Edge;
    use super::*;

    fn graph() -> Graph {
        let node = |name: &str| Node { jobs: vec![name.to_owned()], ..Node::default() };
        let daemon =
            Node { daemon: true, marks: vec!["daemon".into(), "ready at port 1".into()], ..node("db") };
        let writer = Node { tasks: Tasks::Known(3), writes: vec![0], ..node("a\"\\\u{1b}<") };
        let reader = Node { tasks: Tasks::Unknown, reads: vec![0], ..node("end") };
        let edge = |need, node, kind| Edge { need, node, kind };
        Graph {
            nodes: vec![daemon, writer, reader],
            edges: vec![edge(0, 1, Kind::Ready), edge(0, 2, Kind::Success)],
            queues: vec!["q".into()],
        }
    }

    #[test]
    fn dot_has_everything_in_quotes() {
        let expected = r#"digraph prun {
  rankdir=LR;
  node [shape=box, style=rounded];
  n0 [label="db\ndaemon\nready at port 1", style="rounded,dashed"];
  n1 [label="a\"\\\\x1b< ×3"];
  n2 [label="end ×?"];
  q0 [label="q", shape=cylinder, style=solid];
  n0 -> n1 [label="ready"];
  n0 -> n2;
  n1 -> q0 [style=bold];
  q0 -> n2 [style=bold];
}
"#;
        assert_eq!(dot(&graph()), expected);
    }

    #[test]
    fn mermaid_has_numbers_for_what_means_something_to_it() {
        let expected = r#"flowchart TD
  n0(["db<br>daemon<br>ready at port 1"])
  n1["a#34;#92;#92;x1b#60; ×3"]
  n2["end ×?"]
  q0[("q")]
  n0 -->|ready| n1
  n0 --> n2
  n1 ==> q0
  q0 ==> n2
"#;
        assert_eq!(mermaid(&graph()), expected);
    }
}
