//! The keys of the job file: their names, values and documentation. The parser looks keys up here, and the manual
//! page prun.toml(5) is generated from it. Pure.

mod job;
mod tables;

pub use job::{JOB, NOT_IN_DEFAULTS};
pub use tables::{
    EACH, LIMITS, OUTPUT, QUEUE, READY, RECORDS, REPLY, RETRY_DELAY, STAGE, STDIN, STEP, WORKER,
};

/// One key of a section.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Key {
    pub name: &'static str,
    /// The values that it takes, for people.
    pub form: &'static str,
    /// The value that holds without it; empty if there is nothing to tell.
    pub default: &'static str,
    /// Its effect, as plain text with `backquotes` around code.
    pub doc: &'static str,
}

const fn key(name: &'static str, form: &'static str, default: &'static str, doc: &'static str) -> Key {
    Key { name, form, default, doc }
}

/// The sections of a job file.
pub const TOP: &[Key] = &[
    key(
        "run",
        "table",
        "",
        "The whole run. Every key has a flag and a variable of the same name (`--keep-order`, `PRUN_KEEP_ORDER`), which \
         replace it, and may stand in the configuration file, see prun(1).",
    ),
    key(
        "defaults",
        "table",
        "",
        "What holds for every job that does not say otherwise. It takes the keys of a job, but not what runs \
         (`command`, `script`, `pipeline`), over what (`each`, `repeat`, `batch`, `pool`, `worker`), or `after`. Tables such as `env` \
         merge with the job's by key; `stdin` is taken whole. In a job, `\"none\"` undoes a default; here, one of the \
         configuration file.",
    ),
    key(
        "jobs",
        "tables",
        "",
        "`[jobs.NAME]` is a job. Names are made of letters, digits, `-` and `_`. Jobs start in the order of the \
         file. `prun --list` shows the comment above each.",
    ),
    key(
        "queues",
        "tables",
        "",
        "`[queues.NAME]` is a queue between jobs. One that jobs name and that is not listed has the defaults.",
    ),
    key(
        "locks",
        "numbers or arrays",
        "",
        "Locks that tasks of several jobs take, one a line: `db = 1` is held by one task at a time, `net = 8` has eight \
         permits, and `gpu = [\"0\", \"1\"]` two that have names: a task that takes one is told which, as `{gpu}` and in \
         its environment as `PRUN_LOCK_GPU`. One that jobs name and that is not listed has one permit. See LOCKS.",
    ),
    key(
        "vars",
        "strings or numbers",
        "",
        "Variables: `domain = \"python.org\"` is put in where a string of a job says `{domain}`. \
         `-D domain=example.org` on the command line replaces the value. In a command a value is one argument, or a part \
         of one, as an item is: several words go into the environment, `env.CFLAGS = \"{cflags}\"`, for a `script` to use \
         them as `$CFLAGS`.",
    ),
];

/// The sections of the configuration file: the first two of [`TOP`].
pub const CONFIG: &[Key] = &[TOP[0], TOP[1]];

/// `[run]`.
pub const RUN: &[Key] = &[
    key(
        "pool",
        "number or string",
        "the CPUs that prun may use, or the largest `pool` of a job if that is more",
        "How many tasks run at once, over all jobs: a number, `\"50%\"` of the CPUs, `\"+2\"` more than CPUs, \
         `\"-2\"` fewer; `0` is no limit.",
    ),
    key(
        "halt",
        "string",
        "`\"never\"`",
        "When to stop the run before everything is done, in GNU parallel's grammar: `\"soon,fail=1\"` starts nothing \
         new after the first failure, `\"now,fail=1\"` also stops what runs; `success=N` and `done=N` count other \
         ends, and `fail=20%` is a share of the tasks that ended, from the third on (`done=20%` of all tasks, once their \
         number is known). What counts is how a task ended, after its last attempt. With `\"never\"` independent \
         work goes on after a failure, and only what depends on the failed job is skipped.",
    ),
    key(
        "output",
        "`\"group\"`, `\"line\"` or `\"raw\"`",
        "`\"group\"` for jobs with `each` or `repeat`, else, and for daemons, `\"line\"`",
        "How the output of tasks is printed: `\"group\"` prints a task's output in one piece when it has ended, \
         `\"line\"` prints whole lines as they come, and with `\"raw\"` children write straight to prun's own \
         stdout and stderr.",
    ),
    key(
        "keep_order",
        "`true` or `false`",
        "`false`",
        "Print output in the order of the items, whatever ends first. The output of the first unfinished task \
         flows live.",
    ),
    key(
        "tag",
        "`true`, `false` or string",
        "`true` for daemons that read no pipe or queue, when several jobs run; else `false`",
        "What each line of output is prefixed with: `true` is the job's name and the item, or a text of your own \
         with placeholders, such as `\"{#} {/}\"`. A tab follows it.",
    ),
    key(
        "grace",
        "duration",
        "`\"10s\"`",
        "How long a task that is being stopped may take to end by itself, from the stop signal to SIGKILL.",
    ),
    key(
        "rate",
        "string",
        "none",
        "How many attempts start per time, over all jobs: `\"10/s\"`, `\"100/m\"`, `\"5/h\"`, `\"1/2s\"`. They are evenly \
         spread, without bursts, also after a pause. Retries count, and so do tasks that workers are given.",
    ),
    key(
        "load",
        "number or string",
        "none",
        "Nothing new starts unless the load average of the last minute is below this: a number, or `\"80%\"` of the \
         CPUs. It is looked at once a second, while something could start.",
    ),
    key(
        "memory_free",
        "size",
        "none",
        "Nothing new starts while less memory is free than this. Below half of it the task that started last is \
         stopped and put back, to be started again when there is more: that is no attempt. One task is left \
         running, and workers, daemons and readers of a queue are.",
    ),
    key(
        "max_record",
        "size",
        "`\"64MiB\"`",
        "The most bytes of one record that goes to a standard input (of a worker, with `stdin = \"item\"`, through a queue) \
         and of one answer of a worker. The task that has a longer one fails, and the others go on. An item that becomes an \
         argument has 131,071 bytes at most, whatever this says: Linux takes no longer one.",
    ),
    key(
        "jobserver",
        "`true`, `false` or string",
        "`false`",
        "Share the run's slots with what tasks start, by make's jobserver protocol: `make`, `cargo` and others then run \
         no more at once, all together, than the pool has slots. `true` is `\"pipe\"`, which every make knows; `\"fifo\"` \
         is for make from 4.4 on, and for programs that know nothing else. It has to be asked for, because a `make` \
         without `-j` begins to run jobs in parallel where it finds a jobserver. See JOBSERVER in prun(1).",
    ),
    key(
        "journal",
        "string",
        "",
        "A file that gets a line for each finished task, once the task's output has been handed on. A task is known by \
         what it does, not by its place: jobs and items may be inserted, removed or put in another order between two \
         runs. See JOURNAL in prun(1).",
    ),
    key(
        "resume",
        "`true`, `false` or `\"failed\"`",
        "`false`",
        "With `true`, tasks that ended ok according to the journal are not run again and count as ok; with \
         `\"failed\"` only those run whose last line in the journal is a failure.",
    ),
    key(
        "on_success",
        "command",
        "none",
        "A command that runs when all jobs have ended and no task has failed, with the report on its stdin, and \
         `PRUN_OUTCOME` (`ok`, `failed` or `cancelled`), `PRUN_EXIT`, `PRUN_SIGNAL` and `PRUN_DURATION` of the run in \
         its environment. `[defaults]` says how it is started: `shell`, `env`, `cwd` and the like. It is no task and \
         no job; if it fails, that is told, and prun's status is 1 if it was 0. `\"none\"` undoes what the \
         configuration file says.",
    ),
    key("on_failure", "command", "none", "The same if something failed."),
    key(
        "on_exit",
        "command",
        "none",
        "The same however the run ended, behind the other one. See THE END OF A RUN in prun(1).",
    ),
];

/// The kinds of tables in a job file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Table {
    Top,
    Config,
    Run,
    Defaults,
    Job,
    Each,
    Limits,
    Stdin,
    Output,
    Stage,
    RetryDelay,
    Ready,
    Queue,
    Records,
    Worker,
    Reply,
    Step,
}

impl Table {
    /// Returns the keys of such a table. For `[defaults]` those of a job, of which [`NOT_IN_DEFAULTS`] are not allowed.
    pub fn keys(self) -> &'static [Key] {
        match self {
            Table::Top => TOP,
            Table::Config => CONFIG,
            Table::Run => RUN,
            Table::Defaults | Table::Job => JOB,
            Table::Each => EACH,
            Table::Limits => LIMITS,
            Table::Stdin => STDIN,
            Table::Output => OUTPUT,
            Table::Stage => STAGE,
            Table::RetryDelay => RETRY_DELAY,
            Table::Ready => READY,
            Table::Queue => QUEUE,
            Table::Records => RECORDS,
            Table::Worker => WORKER,
            Table::Reply => REPLY,
            Table::Step => STEP,
        }
    }

    /// Returns keys that a later version of prun will have. They are told apart from misspelt ones.
    pub fn planned(self) -> &'static [&'static str] {
        match self {
            Table::Top => &["values"],
            Table::Run => &["backend"],
            Table::Defaults | Table::Job => &["writes", "reads"],
            Table::Config
            | Table::Each
            | Table::Limits
            | Table::Stdin
            | Table::Output
            | Table::Stage
            | Table::RetryDelay
            | Table::Ready
            | Table::Queue
            | Table::Records
            | Table::Worker
            | Table::Reply
            | Table::Step => &[],
        }
    }
}
