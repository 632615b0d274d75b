//! The identity of a task over several runs, for the journal: a hash of what it does. Pure.
//!
//! The hash is taken of the job's name and, for each stage, of the arguments, the working directory, the stage's own
//! environment and its stdin. Placeholders whose values only tell tasks apart, `{#}`, `{%}` and values of locks, are
//! hashed as they are written, so that inserting an item makes no other task a new one.

use std::os::unix::ffi::OsStrExt;

use sha2::{Digest, Sha256};

use super::template::{Modifier, Placeholder, Scope, Source, Template};
use super::{Batch, Command, Item, Job, Stage, Stdin};
use crate::event::Key;

/// Makes the keys of one job's tasks.
#[derive(Debug)]
pub struct Identity {
    name: String,
    stages: Vec<Stage>,
    /// True if items of a batch are hashed beside the command, so that each has a key of its own, whatever batch it is
    /// in. It is false where the command has each item: then the command for one item alone is its identity, as if there
    /// were no batches.
    by_item: bool,
    scratch: Vec<u8>,
}

impl Identity {
    pub fn new(job: &Job) -> Identity {
        let mut stages = job.stages.clone();
        stages.iter_mut().for_each(without_numbers);
        Identity {
            name: job.name.to_string(),
            stages,
            by_item: job.batch != Batch::One && !job.stages[0].command.names_item(),
            scratch: Vec::new(),
        }
    }

    /// Returns the key of the task with these items, or of one item of a batch.
    pub fn key(&mut self, items: &[Item], names: &[String]) -> Key {
        let scope = Scope { items, names, ..Scope::default() };
        let mut hash = Hash(Sha256::new());
        hash.put(b"job", self.name.as_bytes());
        if self.by_item {
            items.iter().flat_map(|item| &item.columns).for_each(|column| hash.put(b"item", column));
        }
        for stage in &self.stages {
            hash_stage(stage, &self.name, &scope, &mut self.scratch, &mut hash);
        }
        hash.key()
    }
}

impl Command {
    /// True if the command for one item alone tells which item it is.
    fn names_item(&self) -> bool {
        let names = |placeholder: &Placeholder| {
            placeholder.modifier == Modifier::None
                && matches!(placeholder.source, Source::Item | Source::Column(1 | -1))
        };
        match self {
            Command::Words { words, .. } => {
                self.appends_item() || words.iter().any(|word| word.0.placeholders().any(names))
            }
            Command::Script { .. } => true,
        }
    }
}

fn hash_stage(stage: &Stage, job: &str, scope: &Scope, scratch: &mut Vec<u8>, hash: &mut Hash) {
    hash.put(b"stage", &[]);
    stage.command.for_each_arg(job, scope, scratch, &mut |word| hash.put(b"word", word));
    let mut text = |label: &[u8], template: &Template, hash: &mut Hash| {
        scratch.clear();
        template.render(scope, scratch);
        hash.put(label, scratch);
    };
    for (name, value) in &stage.env {
        hash.put(b"variable", name.as_bytes());
        text(b"value", value, hash);
    }
    for file in &stage.attributes.env_files {
        hash.put(b"variables", file.as_os_str().as_bytes());
    }
    if let Some(cwd) = &stage.cwd {
        text(b"cwd", cwd, hash);
    }
    hash.put(b"base", stage.base.as_os_str().as_bytes());
    match &stage.stdin {
        Stdin::Text(fed) => text(b"text", fed, hash),
        Stdin::File(path) => text(b"file", path, hash),
        Stdin::Item => {
            scope.items.iter().flat_map(|item| &item.columns).for_each(|column| hash.put(b"fed", column));
        }
        Stdin::Dialogue(dialogue) => {
            for step in &dialogue.steps {
                hash.put(b"expect", step.expect.as_str().as_bytes());
                text(b"send", &step.send, hash);
            }
        }
        Stdin::Null | Stdin::Open | Stdin::Inherit | Stdin::Pipe | Stdin::Queue { .. } | Stdin::Report => {}
    }
}

/// Replaces numbers of tasks and slots, and values of locks, by their spelling.
fn without_numbers(stage: &mut Stage) {
    stage.command.templates_mut().for_each(Template::without_numbers);
    stage.env.iter_mut().for_each(|(_, value)| value.without_numbers());
    stage.cwd.iter_mut().for_each(Template::without_numbers);
    if let Stdin::Text(text) | Stdin::File(text) = &mut stage.stdin {
        text.without_numbers();
    }
}

/// A hash of labelled values, none of which can be taken for another.
struct Hash(Sha256);

impl Hash {
    fn put(&mut self, label: &[u8], value: &[u8]) {
        self.0.update((label.len() as u64).to_le_bytes());
        self.0.update(label);
        self.0.update((value.len() as u64).to_le_bytes());
        self.0.update(value);
    }

    fn key(self) -> Key {
        let all = self.0.finalize();
        let mut half = [0; 16];
        half.copy_from_slice(&all[..16]);
        Key(u128::from_be_bytes(half))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jobfile;
    use crate::plan::build::{BuildOptions, build};

    fn job_at(base: &str, keys: &str) -> Job {
        let text = format!("[jobs.j]\neach = [\"a\"]\n{keys}\n");
        let how = BuildOptions { base: base.into(), cpus: 2, ..BuildOptions::default() };
        build(&jobfile::parse("x", text.as_bytes()).unwrap(), &how).unwrap().jobs.remove(0)
    }

    fn key_of(job: &Job, item: &str) -> Key {
        let item = Item::new(vec![item.as_bytes().to_vec()]);
        Identity::new(job).key(&[item], &[])
    }

    fn key(command: &str, item: &str) -> Key {
        key_of(&job_at("/base", &format!("command = '{command}'")), item)
    }

    #[test]
    fn what_a_task_does_is_what_it_is() {
        assert_eq!(key("echo {}", "a"), key("echo {}", "a"));
        assert_eq!(key("echo", "a"), key("echo {}", "a"), "appended or put in: the same arguments");
        assert_ne!(key("echo {}", "a"), key("echo {}", "b"));
        assert_ne!(key("echo {}", "a"), key("echo x{}", "a"));
        assert_ne!(key("echo {} a b", ""), key("echo {} a", "b"), "words are words");
    }

    #[test]
    fn where_it_stands_among_others_is_not() {
        let numbered = job_at("/base", "command = 'echo {#} {%} {}'\nenv.N = '{#}'");
        let key = key_of(&numbered, "a");
        assert_eq!(key, key_of(&numbered, "a"));
        assert_ne!(key, key_of(&numbered, "b"));
        for other in ["echo 1 1 {}", "echo {%} {#} {}", "echo {#} {}"] {
            assert_ne!(key, self::key(other, "a"), "{other}");
        }
    }

    #[test]
    fn directory_environment_stdin_and_the_jobs_name_count() {
        let keys = [
            "",
            "cwd = '/x'",
            "env.A = '1'",
            "env.A = '2'",
            "env_file = 'x.env'",
            "stdin.text = 'in'",
            "stdin.file = 'in'",
            "stdin = 'item'",
        ];
        let of = |more: &str| key_of(&job_at("/base", &format!("command = 'cat {{}}'\n{more}")), "a");
        let mut all: Vec<Key> = keys.iter().map(|more| of(more)).collect();
        all.push(key_of(&job_at("/elsewhere", "command = 'cat {}'"), "a"));
        all.push(key_of(&Job { name: "k".into(), ..job_at("/base", "command = 'cat {}'") }, "a"));
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), keys.len() + 2);
    }

    #[test]
    fn limits_and_manners_are_not() {
        let of = |more: &str| key_of(&job_at("/base", &format!("command = 'cat {{}}'\n{more}")), "a");
        for more in ["limits.cpu = 1", "nice = 5", "umask = '077'"] {
            assert_eq!(of(more), of(""), "{more}");
        }
    }

    #[test]
    fn in_a_batch_the_item_is_known() {
        let of = |most| Job { batch: Batch::UpTo(most), ..job_at("/base", "command = 'echo {2}'") };
        assert_ne!(key_of(&of(2), "a"), key_of(&of(2), "b"), "although neither is put in");
        assert_eq!(key_of(&of(2), "a"), key_of(&of(3), "a"), "however many go together");
        let appended = |batch| Job { batch, ..job_at("/base", "command = 'echo'") };
        let alone = key_of(&appended(Batch::One), "a");
        assert_eq!(key_of(&appended(Batch::UpTo(2)), "a"), alone);
        assert_eq!(key_of(&appended(Batch::Fit), "a"), alone);
    }
}
