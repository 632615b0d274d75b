//! Finds circles in a graph.

/// How far the search has come with a node.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Search {
    Before,
    /// On the path that is being followed.
    Within,
    After,
}

/// The edges of a circle for each edge that closes one: `edges` has those of each node, `to` says where one leads.
/// The path is kept on the heap: it can be as long as the file.
pub(super) fn circles<'a, E>(
    edges: &'a [Vec<E>],
    to: impl Fn(&E) -> usize,
    mut found: impl FnMut(Vec<&'a E>),
) {
    let mut search = vec![Search::Before; edges.len()];
    for start in 0..edges.len() {
        if search[start] != Search::Before {
            continue;
        }
        // A node, and how many of its edges have been followed.
        let mut path = vec![(start, 0)];
        search[start] = Search::Within;
        while let Some((node, followed)) = path.last_mut() {
            let Some(edge) = edges[*node].get(*followed) else {
                search[*node] = Search::After;
                path.pop();
                continue;
            };
            *followed += 1;
            let next = to(edge);
            match search[next] {
                Search::Before => {
                    search[next] = Search::Within;
                    path.push((next, 0));
                }
                Search::Within => {
                    let begin = path.iter().rposition(|(node, _)| *node == next).unwrap_or(0);
                    found(path[begin..].iter().map(|(node, followed)| &edges[*node][followed - 1]).collect());
                }
                Search::After => {}
            }
        }
    }
}
