//! Rows for a drawing: jobs with the same needs and the same dependents share a row, and a need that follows
//! from others is left out. Pure.

use std::collections::HashMap;

use super::model::{Edge, Graph, Kind, Node};

/// Jobs that are drawn as one row.
#[derive(Debug, PartialEq, Eq)]
pub struct Row {
    /// Indices of nodes, in the order of the file; never empty.
    pub members: Vec<usize>,
    /// The rows that it waits for, and how they are joined; sorted.
    pub needs: Vec<(usize, Link)>,
}

/// The way in which two rows are joined.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Link {
    Waits(Kind),
    /// It reads the queue that the other writes: they start together.
    Queue,
}

/// The most writers or readers of a queue that are joined by lanes. With more, only words name the queue.
const MOST_ENDS: usize = 64;

/// The most edges that are followed to find needs that follow from others. It bounds the time for huge
/// graphs.
const PATIENCE: usize = 4_000_000;

pub fn rows(graph: &Graph) -> Vec<Row> {
    let (of_node, mut rows) = siblings(graph);
    for edge in &graph.edges {
        rows[of_node[edge.node]].needs.push((of_node[edge.need], Link::Waits(edge.kind)));
    }
    let mut ends = vec![(Vec::new(), Vec::new()); graph.queues.len()];
    for (number, row) in rows.iter().enumerate() {
        let node = &graph.nodes[row.members[0]];
        node.writes.iter().for_each(|&queue| ends[queue].0.push(number));
        node.reads.iter().for_each(|&queue| ends[queue].1.push(number));
    }
    for (writers, readers) in
        ends.iter().filter(|(writers, readers)| writers.len().max(readers.len()) <= MOST_ENDS)
    {
        for &reader in readers {
            rows[reader].needs.extend(writers.iter().map(|&writer| (writer, Link::Queue)));
        }
    }
    for row in &mut rows {
        row.needs.sort_unstable();
        row.needs.dedup();
    }
    reduce(&mut rows);
    rows
}

/// The properties that the jobs of one row share.
#[derive(PartialEq, Eq, Hash)]
struct Company<'a> {
    needs: &'a [(usize, Kind)],
    dependents: &'a [(usize, Kind)],
    reads: &'a [usize],
    writes: &'a [usize],
    marks: &'a [String],
    at_end: Option<u8>,
}

/// Returns the row of each node, and the rows without their needs.
fn siblings(graph: &Graph) -> (Vec<usize>, Vec<Row>) {
    let mut needs = vec![Vec::new(); graph.nodes.len()];
    let mut dependents = needs.clone();
    for Edge { need, node, kind } in &graph.edges {
        needs[*node].push((*need, *kind));
        dependents[*need].push((*node, *kind));
    }
    let mut known: HashMap<Company, usize> = HashMap::new();
    let mut rows: Vec<Row> = Vec::new();
    let mut of_node = Vec::with_capacity(graph.nodes.len());
    for (number, node) in graph.nodes.iter().enumerate() {
        let Node { reads, writes, marks, at_end, .. } = node;
        let at_end = at_end.map(|when| when as u8);
        let (needs, dependents) = (&needs[number], &dependents[number]);
        let row =
            *known.entry(Company { needs, dependents, reads, writes, marks, at_end }).or_insert(rows.len());
        if row == rows.len() {
            rows.push(Row { members: Vec::new(), needs: Vec::new() });
        }
        rows[row].members.push(number);
        of_node.push(row);
    }
    (of_node, rows)
}

/// Removes needs that follow from others: a → c if there are a → b and b → c.
fn reduce(rows: &mut [Row]) {
    let levels = levels(rows);
    let mut seen = vec![usize::MAX; rows.len()];
    let mut patience = PATIENCE;
    for at in 0..rows.len() {
        if rows[at].needs.len() < 2 {
            continue;
        }
        let lowest = rows[at].needs.iter().map(|(need, _)| levels[*need]).min().unwrap_or(0);
        // Rows that must have succeeded, or be ready, before its needs have started.
        let mut implied: Vec<(usize, Kind)> = Vec::new();
        let strong = |link: Link| !matches!(link, Link::Waits(Kind::Failure | Kind::Exit));
        let mut open: Vec<usize> =
            rows[at].needs.iter().filter(|(_, link)| strong(*link)).map(|(need, _)| *need).collect();
        while let Some(row) = open.pop() {
            if std::mem::replace(&mut seen[row], at) == at {
                continue;
            }
            for &(need, link) in &rows[row].needs {
                let Some(left) = patience.checked_sub(1) else { return };
                patience = left;
                if let Link::Waits(kind @ (Kind::Success | Kind::Ready)) = link {
                    implied.push((need, kind));
                }
                if strong(link) && levels[need] >= lowest {
                    open.push(need);
                }
            }
        }
        implied.sort_unstable();
        rows[at].needs.retain(|(need, link)| {
            let follows = |kind| implied.binary_search(&(*need, kind)).is_ok();
            match link {
                Link::Waits(Kind::Success) => !follows(Kind::Success),
                Link::Waits(Kind::Ready) => !follows(Kind::Success) && !follows(Kind::Ready),
                _ => true,
            }
        });
    }
}

/// Returns for each row the length of the longest path from a row that needs nothing.
fn levels(rows: &[Row]) -> Vec<usize> {
    let dependents = dependents(rows);
    let mut missing: Vec<usize> = rows.iter().map(|row| row.needs.len()).collect();
    let mut levels = vec![0; rows.len()];
    let mut open: Vec<usize> = (0..rows.len()).filter(|row| missing[*row] == 0).collect();
    while let Some(row) = open.pop() {
        for &dependent in &dependents[row] {
            levels[dependent] = levels[dependent].max(levels[row] + 1);
            missing[dependent] -= 1;
            if missing[dependent] == 0 {
                open.push(dependent);
            }
        }
    }
    levels
}

/// Returns for each row the rows that need it, once for each need.
pub fn dependents(rows: &[Row]) -> Vec<Vec<usize>> {
    let mut dependents = vec![Vec::new(); rows.len()];
    for (number, row) in rows.iter().enumerate() {
        row.needs.iter().for_each(|(need, _)| dependents[*need].push(number));
    }
    dependents
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `a b>f` is a job `a`, and then `b`, which waits for its failure.
    fn graph(nodes: usize, edges: &[(usize, usize, Kind)]) -> Graph {
        let edges = edges.iter().map(|&(need, node, kind)| Edge { need, node, kind }).collect();
        Graph { nodes: vec![Node::default(); nodes], edges, queues: Vec::new() }
    }

    fn needs(graph: &Graph) -> Vec<(Vec<usize>, Vec<usize>)> {
        let plain = |row: Row| (row.members, row.needs.into_iter().map(|(need, _)| need).collect());
        rows(graph).into_iter().map(plain).collect()
    }

    #[test]
    fn siblings_share_a_row() {
        use Kind::Success as S;
        let fan = graph(5, &[(0, 1, S), (0, 2, S), (0, 3, S), (1, 4, S), (2, 4, S)]);
        assert_eq!(
            needs(&fan),
            [(vec![0], vec![]), (vec![1, 2], vec![0]), (vec![3], vec![0]), (vec![4], vec![1])]
        );
        let other = graph(4, &[(0, 1, S), (0, 2, Kind::Exit), (1, 3, S), (2, 3, S)]);
        assert_eq!(rows(&other).len(), 4);
    }

    #[test]
    fn what_is_needed_anyway_is_left_out_and_no_more() {
        use Kind::{Failure, Ready, Success as S};
        let last = |kinds: [Kind; 3]| {
            let [ab, bc, ac] = kinds;
            needs(&graph(3, &[(0, 1, ab), (1, 2, bc), (0, 2, ac)])).pop().map(|(_, needs)| needs)
        };
        assert_eq!(last([S, S, S]), Some(vec![1]));
        assert_eq!(last([Ready, S, Ready]), Some(vec![1]));
        assert_eq!(last([S, S, Ready]), Some(vec![1]));
        assert_eq!(last([Ready, S, S]), Some(vec![0, 1]));
        assert_eq!(last([S, Failure, S]), Some(vec![0, 1]));
        assert_eq!(last([Failure, S, S]), Some(vec![0, 1]));
        assert_eq!(last([S, S, Failure]), Some(vec![0, 1]));
    }

    #[test]
    fn a_reader_begins_with_its_writer() {
        let mut graph = graph(3, &[(0, 1, Kind::Success), (0, 2, Kind::Success)]);
        graph.queues.push("q".into());
        (graph.nodes[1].writes, graph.nodes[2].reads) = (vec![0], vec![0]);
        assert_eq!(rows(&graph)[2].needs, [(1, Link::Queue)]);
    }

    #[test]
    fn large_graphs_are_no_trouble() {
        // Each waits for the two before it.
        let chain: Vec<_> =
            (2..20_000).flat_map(|n| [(n - 2, n, Kind::Success), (n - 1, n, Kind::Success)]).collect();
        let rows = rows(&graph(20_000, &chain));
        assert!(rows.iter().skip(3).all(|row| row.needs.len() == 1));
    }
}
