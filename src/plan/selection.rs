//! Tasks that are named one by one: `prun FILE 'deploy[3]'`, `prun FILE 'deploy[x]'`. Pure.

use std::collections::BTreeSet;

use super::items::{ItemIter, known_tasks};
use super::{Batch, Item, Items, Job, Plan};
use crate::jobfile::nearest;

/// The tasks of a job that run. All others are left out.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Selection {
    /// Numbers of tasks, from 1.
    pub numbers: BTreeSet<u64>,
    /// Items, as the `{}` of a task: the columns of a row are joined by blanks.
    pub items: BTreeSet<String>,
}

/// Splits an operand of the command line into the name of a job and the task that it names, by number or by item.
pub fn split_operand(operand: &str) -> (&str, Option<&str>) {
    let split = operand.strip_suffix(']').and_then(|operand| operand.split_once('['));
    let is_name = |name: &str| name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
    match split {
        Some((job, task)) if !job.is_empty() && is_name(job) => (job, Some(task)),
        _ => (operand, None),
    }
}

impl Selection {
    /// Returns a selection of one task. A number is that of the task, anything else is its item.
    pub fn of(task: &str) -> Selection {
        let mut selection = Selection::default();
        match task.parse() {
            Ok(number) if task.bytes().all(|byte| byte.is_ascii_digit()) => {
                selection.numbers.insert(number);
            }
            _ => {
                selection.items.insert(task.to_owned());
            }
        }
        selection
    }

    /// Adds the tasks of another selection. Returns whether there were any new ones.
    pub fn add(&mut self, other: &Selection) -> bool {
        let before = self.numbers.len() + self.items.len();
        self.numbers.extend(&other.numbers);
        self.items.extend(other.items.iter().cloned());
        self.numbers.len() + self.items.len() > before
    }
}

/// Returns a task's name on the command line, quoted for every shell.
pub fn operand(job: &str, task: &str) -> String {
    format!("'{job}[{}]'", task.replace('\'', r"'\''"))
}

/// Items among which one is looked for that may have been meant.
const LOOKED_AT: u64 = 10_000;

/// Finds the named tasks among all tasks of a job, which come one by one.
#[derive(Debug, Clone)]
pub struct Finder {
    selection: Selection,
    /// Tasks that have come so far.
    seen: u64,
    /// Items that were named and have not come yet.
    missing: BTreeSet<String>,
    /// For a named item that has not come: an item that resembles it.
    near: Option<(String, String)>,
    /// For a named number that is an item as well: that item's number.
    same: Option<(u64, u64)>,
}

impl Finder {
    pub fn new(selection: &Selection) -> Finder {
        Finder {
            selection: selection.clone(),
            seen: 0,
            missing: selection.items.clone(),
            near: None,
            same: None,
        }
    }

    /// Takes the items of the next task. Returns its number, and whether it was named.
    pub fn next(&mut self, items: &[Item]) -> (u64, bool) {
        let number = self.seen + 1;
        (number, self.is_named(number, items))
    }

    /// True if the task with this number and these items was named.
    pub fn is_named(&mut self, number: u64, items: &[Item]) -> bool {
        self.seen = self.seen.max(number);
        let mut named = self.selection.numbers.contains(&number);
        for item in items {
            let text = item.columns.join(&b' ');
            let Ok(text) = std::str::from_utf8(&text) else { continue };
            if let Ok(meant) = text.parse()
                && self.selection.numbers.contains(&meant)
            {
                self.same = Some((meant, number));
            }
            if !self.selection.items.is_empty() {
                if self.selection.items.contains(text) {
                    self.missing.remove(text);
                    named = true;
                } else if number <= LOOKED_AT && self.near.is_none() {
                    let near = self.missing.iter().find(|missing| nearest(missing, [text]).is_some());
                    self.near = near.map(|missing| (missing.clone(), text.to_owned()));
                }
            }
        }
        named
    }

    /// True if no named task can come any more, so that the rest of the items need not be read. Equal items may follow
    /// each other, so that those are read to the end.
    pub fn is_complete(&self) -> bool {
        let last = self.selection.numbers.last().copied().unwrap_or(0);
        self.selection.items.is_empty() && self.seen >= last
    }

    /// True if any task has come.
    pub fn has_seen_any(&self) -> bool {
        self.seen > 0
    }

    /// Returns what is wrong if all tasks have come and a named one is not among them. For people.
    pub fn why_missing(&self, job: &str) -> Option<String> {
        let beyond = self.selection.numbers.iter().find(|number| **number == 0 || **number > self.seen);
        if let Some(number) = beyond {
            let same = self.same.filter(|(meant, _)| meant == number);
            let help =
                same.map(|(_, task)| format!("; the item `{number}` is {}", operand(job, &task.to_string())));
            return Some(no_number(job, *number, self.seen) + &help.unwrap_or_default());
        }
        let missing = self.missing.first()?;
        let help = match &self.near {
            Some((named, near)) if named == missing => format!("did you mean {}?", operand(job, near)),
            _ => format!("it has {}", tasks(self.seen)),
        };
        Some(format!("`{job}` has no task with the item `{missing}`; {help}"))
    }
}

fn no_number(job: &str, number: u64, count: u64) -> String {
    format!("there is no task {number} of `{job}`: it has {}, counted from 1", tasks(count))
}

fn tasks(count: u64) -> String {
    match count {
        0 => "no tasks".to_owned(),
        1 => "one task".to_owned(),
        count => format!("{count} tasks"),
    }
}

/// Returns what is wrong with the named tasks of a plan, as far as that is known before items are read. For people.
pub fn mistakes(plan: &Plan) -> Vec<String> {
    plan.jobs.iter().filter_map(|job| mistake(plan, job)).collect()
}

fn mistake(plan: &Plan, job: &Job) -> Option<String> {
    let selection = job.only.as_ref()?;
    let of_next = |other: &Job| {
        matches!(other.items, Items::Of(before) if plan.jobs[before].name == job.name)
            && other.only == job.only
    };
    if plan.jobs.iter().any(of_next) {
        // It is told of the job that was named.
        return None;
    }
    let mut origin = job;
    while let Items::Of(before) = origin.items {
        origin = &plan.jobs[before];
    }
    if let Some(item) = selection.items.first()
        && matches!(origin.items, Items::None | Items::Repeat(_))
    {
        return Some(format!(
            "`{}` has no items, and so no task `{item}`: tasks are named by number",
            job.name
        ));
    }
    if selection.numbers.first() == Some(&0) {
        return Some(format!("there is no task 0 of `{}`: tasks are counted from 1", job.name));
    }
    let all = Job { only: None, ..origin.clone() };
    let count = known_tasks(plan, &all);
    let beyond = |last: &&u64| count.is_some_and(|count| **last > count);
    let beyond = selection.numbers.last().filter(beyond).copied();
    if !matches!(origin.items, Items::List(_)) || origin.batch != Batch::One {
        return beyond.zip(count).map(|(last, count)| no_number(&job.name, last, count));
    }
    let mut finder =
        Finder::new(&Selection { numbers: beyond.into_iter().collect(), items: selection.items.clone() });
    ItemIter::new(&origin.items)?.for_each(|item| _ = finder.next(item.as_slice()));
    finder.why_missing(&job.name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(text: &str) -> Item {
        Item::new(text.split(' ').map(|column| column.as_bytes().to_vec()).collect())
    }

    fn found(tasks: &[&str], items: &[&str]) -> (Vec<u64>, Option<String>) {
        let mut selection = Selection::default();
        tasks.iter().for_each(|task| _ = selection.add(&Selection::of(task)));
        let mut finder = Finder::new(&selection);
        let mut found = Vec::new();
        for text in items {
            if finder.is_complete() {
                break;
            }
            let (number, named) = finder.next(&[item(text)]);
            found.extend(named.then_some(number));
        }
        (found, finder.why_missing("deploy"))
    }

    #[test]
    fn operands_name_jobs_and_tasks() {
        for (operand, job, task) in [
            ("deploy", "deploy", None),
            ("deploy[3]", "deploy", Some("3")),
            ("deploy[a b]", "deploy", Some("a b")),
            ("deploy[a[1]]", "deploy", Some("a[1]")),
            ("deploy[]", "deploy", Some("")),
            ("deploy[src/a.c]", "deploy", Some("src/a.c")),
            ("./x[1]", "./x[1]", None),
            ("a b[1]", "a b[1]", None),
            ("[1]", "[1]", None),
        ] {
            assert_eq!(split_operand(operand), (job, task), "{operand}");
        }
        assert_eq!(operand("deploy", "it's [1]"), r"'deploy[it'\''s [1]]'");
    }

    #[test]
    fn tasks_are_found_by_number_and_by_item() {
        assert_eq!(found(&["2"], &["a", "b", "c"]), (vec![2], None));
        assert_eq!(found(&["b", "1"], &["a", "b", "b"]), (vec![1, 2, 3], None));
        assert_eq!(found(&["x 1"], &["x 1", "y 2"]), (vec![1], None));
        assert_eq!(found(&["3.10"], &["3.1", "3.10"]), (vec![2], None), "no number of a task");
        assert_eq!(found(&["2"], &["2", "1"]), (vec![2], None), "a number is that of the task");
    }

    #[test]
    fn what_does_not_exist_is_told() {
        for (tasks, items, told) in [
            (&["4"][..], &["a", "b"][..], "there is no task 4 of `deploy`: it has 2 tasks, counted from 1"),
            (&["1"], &[], "there is no task 1 of `deploy`: it has no tasks, counted from 1"),
            (&["0"], &["a"], "there is no task 0 of `deploy`: it has"),
            (&["prodd"], &["test", "prod"], "no task with the item `prodd`; did you mean 'deploy[prod]'?"),
            (&["zzz"], &["a", "b"], "no task with the item `zzz`; it has 2 tasks"),
            (&["8080"], &["80", "8080"], "it has 2 tasks, counted from 1; the item `8080` is 'deploy[2]'"),
        ] {
            let (_, why) = found(tasks, items);
            assert!(why.as_ref().is_some_and(|why| why.contains(told)), "{tasks:?}: {why:?}");
        }
    }
}
