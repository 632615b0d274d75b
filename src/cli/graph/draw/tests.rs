use super::super::model::Edge;
use super::*;

const LOOK: Look = Look { width: 80, unicode: true, color: false };

/// `b: a !c` is a job that waits for `a`, and for the failure of `c`. `?` waits for an exit, `+` for readiness.
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
fn drawn(graph: &Graph, expected: &str) {
    let expected: String =
        expected.lines().skip(1).map(|line| format!("{}\n", line.get(4..).unwrap_or(""))).collect();
    assert_eq!(text(graph, LOOK), expected);
}

#[test]
fn a_build() {
    let graph = graph(
        "checkout:
         build: checkout
         test: build
         lint: build
         fmt: build
         docs: checkout
         package: test lint fmt
         deploy: package docs
         tell: !package
         clean: ?deploy",
    );
    drawn(
        &graph,
        "
    ○ checkout
    ├─● docs
    ╰─│─● build
      │ ├─● lint, fmt
",
    );
}
