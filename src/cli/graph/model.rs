//! The graph of a plan: jobs, what they wait for, and the queues between them. Pure.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use crate::event::JobId;
use crate::plan::items::known_tasks;
use crate::plan::template::Piece;
use crate::plan::{HookOn, Items, Job, Plan, Ready, ReadyCheck, Restart, Stage, When};

/// Jobs, and the edges and queues that join them.
#[derive(Debug, Default)]
pub struct Graph {
    pub nodes: Vec<Node>,
    /// Sorted, without duplicates.
    pub edges: Vec<Edge>,
    /// The names of the queues.
    pub queues: Vec<String>,
}

/// A job, or several that are joined by pipes.
#[derive(Debug, Clone, Default)]
pub struct Node {
    /// The names of the jobs, first to last.
    pub jobs: Vec<String>,
    /// True if two jobs pipe into each other.
    pub duplex: bool,
    pub tasks: Tasks,
    pub daemon: bool,
    /// Further remarks, such as `daemon`.
    pub marks: Vec<String>,
    /// Indices of the queues that it reads and writes; sorted.
    pub reads: Vec<usize>,
    pub writes: Vec<usize>,
    /// For a hook of the run: how the run must have ended.
    pub at_end: Option<HookOn>,
}

/// The number of tasks of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Tasks {
    /// It has no items.
    #[default]
    Single,
    Known(u64),
    /// It depends on the content of a file, a command's output or a queue.
    Unknown,
}

/// `node` waits for `need`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Edge {
    pub need: usize,
    pub node: usize,
    pub kind: Kind,
}

/// The event that an edge waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    Success,
    Failure,
    Exit,
    Ready,
    /// Each task of `need`, because its item becomes an item of `node`.
    Items,
}

impl Graph {
    pub fn of(plan: &Plan) -> Graph {
        // The lister of a job's items is shown as a part of that job.
        let mut owner: Vec<JobId> = plan.job_ids().collect();
        for (number, job) in plan.numbered_jobs() {
            if let Some(lister) = job.lister {
                owner[lister] = number;
            }
        }
        // Nodes are numbered without listers.
        let mut numbers = vec![0; plan.jobs.len()];
        let mut nodes = Vec::new();
        let tasks = tasks(plan);
        let hidden: BTreeSet<JobId> = plan.job_ids().filter(|&job| owner[job] != job).collect();
        for (number, job) in plan.numbered_jobs().filter(|(number, _)| !hidden.contains(number)) {
            numbers[number] = nodes.len();
            nodes.push(Node { tasks: tasks[number], ..node(plan, job) });
        }
        let number = |job: JobId| numbers[owner[job]];
        let mut edges = Vec::new();
        for (at, job) in plan.numbered_jobs() {
            for after in &job.after {
                let kind = match after.when {
                    When::Success => Kind::Success,
                    When::Failure => Kind::Failure,
                    When::Exit => Kind::Exit,
                    When::Ready => Kind::Ready,
                };
                edges.push(Edge { need: number(after.job), node: number(at), kind });
            }
            if let Items::Of(from) = job.items {
                edges.push(Edge { need: number(from), node: number(at), kind: Kind::Items });
            }
        }
        edges.retain(|edge| edge.need != edge.node);
        edges.sort_unstable_by_key(|edge| (edge.node, edge.need, edge.kind));
        edges.dedup();
        let mut queues = Vec::new();
        for queue in &plan.queues {
            // A queue between a job and its lister is hidden like the lister.
            if queue.writers.iter().any(|writer| hidden.contains(writer)) {
                continue;
            }
            queue.writers.iter().for_each(|&job| nodes[number(job)].writes.push(queues.len()));
            queue.readers.iter().for_each(|&job| nodes[number(job)].reads.push(queues.len()));
            queues.push(queue.name.to_string());
        }
        Graph { nodes, edges, queues }
    }
}

fn node(plan: &Plan, job: &Job) -> Node {
    let mut marks = Vec::new();
    if job.is_daemon() {
        marks.push("daemon".to_owned());
    }
    match job.restart {
        Restart::Never => {}
        Restart::OnFailure => marks.push("restarted on failure".to_owned()),
        Restart::Always => marks.push("restarted".to_owned()),
    }
    marks.extend(job.ready.as_ref().map(readiness));
    if job.worker.is_some() {
        marks.push("workers".to_owned());
    }
    if !job.locks.is_empty() {
        marks.push(locks(plan, job));
    }
    if job.slots > 1 {
        marks.push(format!("{} slots", job.slots));
    }
    Node {
        jobs: names(&job.stages),
        duplex: job.duplex,
        daemon: job.is_daemon(),
        marks,
        at_end: job.run_hook(),
        ..Node::default()
    }
}

/// Returns the names of the jobs that the stages belong to. The stages of one `pipeline` are one job.
fn names(stages: &[Stage]) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for stage in stages {
        let name = stage.name.split(':').next().unwrap_or_default();
        if names.last().is_none_or(|last| last != name) {
            names.push(name.to_owned());
        }
    }
    names
}

/// Returns the number of tasks of each job. Done for all jobs at once, because a long chain of jobs may take
/// each other's items.
fn tasks(plan: &Plan) -> Vec<Tasks> {
    let mut found: Vec<Option<Tasks>> = vec![None; plan.jobs.len()];
    for start in plan.job_ids() {
        let (mut at, mut way) = (start, Vec::new());
        let tasks = loop {
            let job = &plan.jobs[at];
            way.push(at);
            match job.items {
                _ if job.only.is_some() => break known_tasks(plan, job).map_or(Tasks::Unknown, Tasks::Known),
                _ if found[at].is_some() => break found[at].unwrap_or_default(),
                Items::Of(from) => at = from,
                Items::None => break Tasks::Single,
                _ => break known_tasks(plan, job).map_or(Tasks::Unknown, Tasks::Known),
            }
        };
        way.into_iter().for_each(|job| found[job] = Some(tasks));
    }
    found.into_iter().map(Option::unwrap_or_default).collect()
}

/// Returns a remark on when a job is ready. The pattern of a line is left out: it may hold anything.
fn readiness(ready: &Ready) -> String {
    match &ready.check {
        ReadyCheck::Line(_) => "ready at a line".to_owned(),
        ReadyCheck::Port(port) => match port.pieces().collect::<Vec<_>>().as_slice() {
            [Piece::Text(port)] => format!("ready at port {}", String::from_utf8_lossy(port)),
            _ => "ready at a port".to_owned(),
        },
        ReadyCheck::Command(_) => "ready by a command".to_owned(),
        ReadyCheck::After(time) => format!("ready after {}s", time.as_secs_f64()),
    }
}

fn locks(plan: &Plan, job: &Job) -> String {
    let mut text = "takes ".to_owned();
    for (number, want) in job.locks.iter().enumerate() {
        let comma = if number > 0 { ", " } else { "" };
        let name = plan.locks.get(want.lock.index()).map_or("", |lock| &lock.name);
        _ = match want.permits {
            1 => write!(text, "{comma}{name}"),
            permits => write!(text, "{comma}{permits} of {name}"),
        };
    }
    text
}
