use super::super::model::Edge;
use super::*;

const LOOK: Look = Look { width: 80, unicode: true, color: false };

/// `b: a !c` is a job that waits for `a`, and for the failure of `c`. `?` waits for an exit, `+` for
/// readiness.
fn graph(text: &str) -> Graph {
    let mut graph = Graph::default();
    for line in text.lines() {
        let (name, needs) = line.trim().split_once(':').expect("a colon");
        let node = graph.nodes.len();
        graph.nodes.push(Node { jobs: vec![name.to_owned()], ..Node::default() });
        for need in needs.split_whitespace() {
            let (kind, need) = match need.split_at(1) {
                ("!", need) => (Kind::Failure, need),
                ("?", need) => (Kind::Exit, need),
                ("+", need) => (Kind::Ready, need),
                _ => (Kind::Success, need),
            };
            let need = graph.nodes.iter().position(|node| node.jobs[0] == need).expect("a job");
            graph.edges.push(Edge { need, node, kind });
        }
    }
    graph
}

#[track_caller]
fn drawn(graph: &Graph, look: Look, expected: &[&str]) {
    let text = text(graph, look);
    let lines: Vec<&str> = text.lines().collect();
    assert!(lines == expected, "{text}\n{lines:#?}");
}

const BUILD: &str = "checkout:
    build: checkout
    test: build
    lint: build
    fmt: build
    docs: checkout
    package: test lint fmt
    deploy: package docs
    tell: !package
    clean: ?deploy";

#[test]
fn a_build() {
    let rows = [
        "○ checkout",
        "├─● docs",
        "╰─│─● build",
        "  │ ● test, lint, fmt",
        "  │ ● package",
        "  │ ├─● tell (on failure)",
        "●─┴─╯ deploy",
        "● clean (on exit)",
    ];
    drawn(&graph(BUILD), LOOK, &rows);
    let ascii: Vec<String> = rows
        .iter()
        .map(|row| {
            let plain = [
                ("○", "o"),
                ("●", "*"),
                ("├", "+"),
                ("╰", "'"),
                ("│", "|"),
                ("─", "-"),
                ("┴", "'"),
                ("╯", "'"),
            ];
            plain.iter().fold((*row).to_owned(), |row, (sign, plain)| row.replace(sign, plain))
        })
        .collect();
    let ascii: Vec<&str> = ascii.iter().map(String::as_str).collect();
    drawn(&graph(BUILD), Look { unicode: false, ..LOOK }, &ascii);
}

#[test]
fn conditions_are_told() {
    let graph = graph("a:\nb:\nc: a !b\nd: !a\ne: ?a +b");
    let rows = [
        "○ a",
        "├─● d (on failure)",
        "│ ○ b",
        "├─┼─● c (on failure of b)",
        "╰─┴─● e (when ready: b, on exit of a)",
    ];
    drawn(&graph, LOOK, &rows);
}

#[test]
fn where_no_line_has_room_words_say_it() {
    let mut graph = graph("r0:\nr1:\nr2:\nr3:\nr4:\nr5:\nlast: r0 r1 r2 r3 r4 r5");
    // Each is a row of its own.
    (0..6).for_each(|n| graph.nodes[n].marks.push(format!("m{n}")));
    let rows = [
        "○ r0 (m0)",
        "│ ○ r1 (m1)",
        "│ │ ○ r2 (m2)",
        "│ │ │ ○ r3 (m3)",
        "│ │ │ │ ○ r4 (m4)",
        "│ │ │ │ ○ r5 (m5)",
        "╵ ╵ ╵ ╵ ● last (after r0, r1,",
        "          r2, r3, r4 and 1",
        "          more)",
    ];
    drawn(&graph, Look { width: 30, ..LOOK }, &rows);
}

#[test]
fn hooks_of_the_run_come_last() {
    let mut graph = graph("run.on_failure:\na:\nb: a");
    graph.nodes[0].at_end = Some(HookOn::Failure);
    drawn(&graph, LOOK, &["○ a", "● b", "◇ run.on_failure (at the end, if something failed)"]);
}

#[test]
fn names_can_not_act_on_the_terminal() {
    let mut graph = graph("a:");
    graph.nodes[0].jobs[0] = "a\u{1b}[2J\u{9b}31m".to_owned();
    graph.nodes[0].writes.push(0);
    graph.queues.push("q\n\u{202e}".to_owned());
    drawn(&graph, LOOK, &["○ a\\x1b[2J\\u{9b}31m ─▶ q\\n\\u{202e}"]);
}

#[test]
fn a_large_graph_is_drawn_row_by_row() {
    let mut graph = Graph::default();
    let node = |n: usize| Node { jobs: vec![format!("j{n}")], ..Node::default() };
    graph.nodes = (0..20_000).map(node).collect();
    // Layers of 100, each job waits for two of the layer before it.
    for n in 100..20_000 {
        let before = n / 100 * 100 - 100;
        let needs = [before + n * 7 % 100, before + (n * 31 + 1) % 100];
        graph.edges.extend(needs.map(|need| Edge { need, node: n, kind: Kind::Success }));
    }
    let text = text(&graph, LOOK);
    assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
    assert_eq!(text.matches(['○', '●']).count(), 20_000);
}
