//! Finding the cycles of a graph.

/// The most jobs that a message about a cycle names.
pub(super) const SHOWN: usize = 10;

/// The state of a node in the depth-first search.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Search {
    New,
    /// On the path that is being followed.
    OnPath,
    Done,
}

/// Calls `found` with the edges of a cycle, for each edge that closes one. `edges`: the edges of each node; `to`: the
/// node that an edge leads to. The path is on the heap, because it can be as long as the file.
pub(super) fn cycles<'a, E>(
    edges: &'a [Vec<E>],
    to: impl Fn(&E) -> usize,
    mut found: impl FnMut(Vec<&'a E>),
) {
    let mut search = vec![Search::New; edges.len()];
    for start in 0..edges.len() {
        if search[start] != Search::New {
            continue;
        }
        // Each entry is a node, and the number of its edges that have been followed.
        let mut path = vec![(start, 0)];
        search[start] = Search::OnPath;
        while let Some((node, followed)) = path.last_mut() {
            let Some(edge) = edges[*node].get(*followed) else {
                search[*node] = Search::Done;
                path.pop();
                continue;
            };
            *followed += 1;
            let next = to(edge);
            match search[next] {
                Search::New => {
                    search[next] = Search::OnPath;
                    path.push((next, 0));
                }
                Search::OnPath => {
                    let begin = path.iter().rposition(|(node, _)| *node == next).unwrap_or(0);
                    found(path[begin..].iter().map(|(node, followed)| &edges[*node][followed - 1]).collect());
                }
                Search::Done => {}
            }
        }
    }
}
