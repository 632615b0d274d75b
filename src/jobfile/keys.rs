//! The keys of the job file: what they are called, what they take, what they do. The parser looks keys up
//! here, and the manual page prun.toml(5) is made from it. Pure.

/// One key of a section.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Key {
    pub name: &'static str,
    /// What it takes, for people.
    pub form: &'static str,
    /// What holds without it; empty if that says nothing.
    pub default: &'static str,
    /// What it does, as plain text with `backquotes` around code.
    pub doc: &'static str,
}

const fn key(name: &'static str, form: &'static str, default: &'static str, doc: &'static str) -> Key {
    Key { name, form, default, doc }
}

/// The sections of a job file.
pub const TOP: &[Key] = &[
    key("run", "table", "", "The whole run. Every key has a flag of the same name, which replaces it."),
    key(
        "defaults",
        "table",
        "",
        "What holds for every job that does not say otherwise. It takes the keys of a job, but not what runs \
         (`command`, `script`, `pipeline`), over what (`each`, `repeat`, `pool`), or `after`. Tables such as `env` \
         merge with the job's by key; `stdin` is taken whole. In a job, `\"none\"` undoes a default.",
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
        "vars",
        "strings or numbers",
        "",
        "Variables: `domain = \"python.org\"` is put in where a string of a job says `{domain}`. \
         `-D domain=example.org` on the command line replaces the value.",
    ),
];

/// `[queues.NAME]`.
pub const QUEUE: &[Key] = &[
    key(
        "capacity",
        "number",
        "`1000`",
        "How many records the queue holds, and never more than 64 MiB, but always one record. A writer to a full \
         queue waits. Where it is given, the pipes of writers and readers are one page small, so that it is what counts.",
    ),
    key(
        "records",
        "string or table",
        "`\"lines\"`",
        "What a record is: `\"lines\"`; `\"nul\"`, ended by NUL bytes; or a table: `{ separator = \"--\\n\" }` ends \
         each, `{ start = \"^>\" }` is a regular expression that matches where each begins, `{ bytes = \"1MiB\" }` so \
         many bytes each, `{ block = \"10MiB\" }` whole lines, about this much together.",
    ),
    key(
        "deliver",
        "`\"any\"` or `\"all\"`",
        "`\"any\"`",
        "With `\"any\"` a record goes to one reader, the one that has least unread; with `\"all\"` to every reading job.",
    ),
];

/// `records = { … }`.
pub const RECORDS: &[Key] = &[
    key("separator", "string", "", "What each record ends with."),
    key(
        "start",
        "string",
        "",
        "A regular expression that matches where a record begins; `^` is the beginning of a line.",
    ),
    key("bytes", "size", "", "So many bytes are a record."),
    key("block", "size", "", "As many whole lines are a record as are about this much together."),
];

/// `worker = { … }`.
pub const WORKER: &[Key] = &[
    key(
        "reply",
        "`\"line\"`, `\"nul\"` or `{ until = \"REGEX\" }`",
        "`\"line\"`",
        "What an answer is: a line, what ends with a NUL byte, or all lines up to one that matches, which is dropped.",
    ),
    key("fail", "string", "none", "An answer that this regular expression matches is a failure, and final."),
    key(
        "ahead",
        "number",
        "`1`",
        "How many tasks a process is given before its answers come. More are faster where tasks are small; if the \
         process dies, those behind the one it was at are given out again.",
    ),
    key(
        "max_tasks",
        "number",
        "no limit",
        "After so many answers a process is replaced by a new one (Python's maxtasksperchild).",
    ),
    key(
        "init",
        "string",
        "none",
        "What each new process is given first. It is not answered (Python's initializer).",
    ),
];

/// `reply = { … }`.
pub const REPLY: &[Key] =
    &[key("until", "string", "", "The line that ends an answer, as a regular expression.")];

/// A step of `dialogue`.
pub const STEP: &[Key] = &[
    key(
        "expect",
        "string",
        "",
        "A regular expression, looked for in what the child has written since the last step.",
    ),
    key("send", "string", "", "What it is given then; may have placeholders. A line needs its `\\n`."),
];

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
         ends, and `fail=20%` is a share of the tasks that ended, from the third on. With `\"never\"` independent \
         work goes on after a failure, and only what depends on the failed job is skipped.",
    ),
    key(
        "output",
        "`\"group\"`, `\"line\"` or `\"raw\"`",
        "`\"group\"` for jobs with `each` or `repeat`, else `\"line\"`",
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
        "`false`",
        "What each line of output is prefixed with: `true` is the job's name and the item, or a text of your own \
         with placeholders, such as `\"{#} {/}\"`. A tab follows it.",
    ),
    key(
        "grace",
        "duration",
        "`\"10s\"`",
        "How long a task that is being stopped may take to end by itself, from the stop signal to SIGKILL.",
    ),
];

/// `[jobs.NAME]`; [`DEFAULTS`] of them may also stand in `[defaults]`.
pub const JOB: &[Key] = &[
    key(
        "command",
        "string, array or `{ script = \"…\" }`",
        "",
        "The program and its arguments. A string is split into words as a POSIX shell does it, quotes and \
         backslashes included, but is run without a shell: an unquoted `|`, `&`, `;`, `<`, `>`, `$`, `*`, a \
         backquote, or a word that begins with `#` is an error. An array is taken as it is. Without a placeholder \
         of the item, `{#}` or `{%}`, the item is added as the last argument, unless `stdin` takes it. A job has exactly one of \
         `command`, `script` and `pipeline`.",
    ),
    key(
        "script",
        "string",
        "",
        "Text for the `shell`. The items are also its arguments `$1`, `$2` and so on. For a POSIX shell the values \
         of placeholders are quoted for the place in which they stand, so that no value is ever taken for shell \
         text; for any other interpreter nothing is replaced.",
    ),
    key(
        "pipeline",
        "array of commands",
        "",
        "Commands that are joined by kernel pipes, without a shell. Each is a string, an array, or a table such as \
         `{ command = \"grep x\", ok = [0, 1], stderr = \"null\" }`. They start together and end together, every \
         one's exit status counts, and a stage that is stopped by SIGPIPE because the stage it writes to ended well is no failure.",
    ),
    key(
        "shell",
        "array of strings",
        "`[\"/bin/sh\", \"-c\"]`",
        "What runs a `script`; the text is added as the last argument. `[\"bash\", \"-euo\", \"pipefail\", \"-c\"]` \
         and `[\"python3\", \"-c\"]` are as good.",
    ),
    key(
        "each",
        "array or table",
        "",
        "The items: the job has one task for each. `[\"a\", \"b\"]` are values, `[[\"a\", 1], [\"b\", 2]]` are rows \
         whose columns are `{1}` and `{2}`, `[{ name = \"a\", n = 3 }]` are rows with named columns, `{name}` and `{n}`. \
         A table names a source to read them from. Numbers keep their spelling. Files are read when the job's \
         `after` holds. Without any item there is no task, and the job is ok.",
    ),
    key(
        "repeat",
        "number",
        "",
        "Run the command so many times, without an item. `{#}` is the number of each task.",
    ),
    key(
        "pool",
        "number or string",
        "the run's pool",
        "How many tasks of this job run at once, within the run's pool: a number, `\"50%\"` of the CPUs, `\"+2\"`; \
         `0` is no limit of its own.",
    ),
    key(
        "worker",
        "`true`, `false` or table",
        "`false`",
        "The tasks of `each` are run by `pool` processes that live on. A task is given to one on its stdin, as `stdin` \
         says (by default the item and a newline), and ends with its answer on the process's stdout. `timeout`, \
         `retries` (here 2 by default), `on_success`, `keep_order` and the report are per task; slot, `{%}` and \
         environment belong to the process. If a process dies, only the task that it was at counts an attempt. \
         Without tasks left a process gets the end of its input, and after `grace` it is stopped, which is no failure.",
    ),
    key(
        "after",
        "array or table",
        "",
        "What must have ended before this job starts: `[\"build\"]` waits for its success; `{ build = \"success\", \
         probe = \"failure\", any = \"exit\" }` says what each must come to. `failure` is failed, or skipped because \
         of a failure; `exit` is ended or skipped. A job whose condition can no longer hold is skipped, which is no \
         failure of its own.",
    ),
    key(
        "stdin",
        "string or table",
        "`\"null\"`",
        "What the task reads: `\"null\"` nothing; `\"open\"` never data and never an end; `\"inherit\"` prun's own \
         stdin; `\"item\"` the item and a newline, a row's columns joined by tabs. A table names one source: `text`, \
         `file`, `pipe`, `queue` or `dialogue`.",
    ),
    key(
        "stdout",
        "string or table",
        "`\"show\"`",
        "Where the task's output goes: `\"show\"` as `output` says, `\"inherit\"` straight to prun's own stdout, \
         `\"null\"` nowhere, to a `file`, or as records into a `queue`.",
    ),
    key(
        "stderr",
        "string or table",
        "`\"show\"`",
        "Where the task's error output goes: as `stdout`, or `\"stdout\"`, which is where its output goes.",
    ),
    key(
        "pty",
        "`true` or `false`",
        "`false`",
        "The child has a terminal of its own, of the size of prun's or 80 by 24, without echo, and newlines stay \
         newlines. It is its stdout, its stdin unless that comes from somewhere, and its stderr unless that goes \
         elsewhere or the job has workers. For programs that write at once only to a terminal, or that ask for one.",
    ),
    key(
        "daemon",
        "`true` or `false`",
        "`false`",
        "The job reads a pipe or a queue and would never end by itself: when that has run dry, it gets the end of its \
         input, after `grace` it is stopped, and however it ends then is no failure. Other daemons are not \
         supported by this version of prun.",
    ),
    key(
        "on_success",
        "command",
        "none",
        "A command that runs after a task that was ok, with the task's output, or the worker's answer, on its stdin, and \
         `PRUN_OUTCOME`, `PRUN_EXIT`, `PRUN_SIGNAL`, `PRUN_TASK_PID` and `PRUN_DURATION` (in seconds) in its \
         environment. The task keeps its place in the pool, and ends when this command has; if that fails, so does \
         the task.",
    ),
    key(
        "on_failure",
        "command",
        "none",
        "The same after the last attempt of a task that failed. If it fails itself, that is told, too.",
    ),
    key(
        "start",
        "`\"spawn\"` or `\"fork\"`",
        "`\"spawn\"`",
        "How a child is made: with `\"spawn\"` it shares prun's memory until it executes, as posix_spawn(3) and \
         vfork(2) do, at a cost independent of prun's size; with `\"fork\"` it is a copy-on-write copy. Everything \
         else works the same with both.",
    ),
    key(
        "env",
        "table of strings",
        "inherited",
        "Environment variables, set in addition to those that prun was given: `env.LANG = \"C\"`. Values may hold \
         placeholders. `\"none\"` undoes a variable of `[defaults]`.",
    ),
    key(
        "cwd",
        "string",
        "the folder of the job file",
        "The working directory. Relative paths start from the folder of the job file.",
    ),
    key(
        "timeout",
        "duration",
        "none",
        "How long one attempt may take. Then it is stopped, and its outcome is `timeout`. It does not run while prun \
         is suspended.",
    ),
    key(
        "stop_signal",
        "string or number",
        "`\"TERM\"`",
        "The signal that stops a task, by name or number. After `grace` SIGKILL follows, to everything that the \
         task started.",
    ),
    key(
        "grace",
        "duration",
        "the run's `grace`",
        "How long a task that is being stopped may take to end by itself, from the stop signal to SIGKILL.",
    ),
    key(
        "ok",
        "array",
        "`[0]`",
        "What counts as success: exit codes, `\"timeout\"`, `\"signal\"`. In a `pipeline` it holds for each stage that \
         has no `ok` of its own.",
    ),
    key("retries", "number", "`0`; `2` with `worker`", "How many further attempts a task that failed gets."),
    key(
        "retry_delay",
        "duration or table",
        "`0`",
        "How long to wait before a further attempt; the place in the pool is given back meanwhile. `{ first = \"1s\", \
         factor = 2.0, max = \"1m\", jitter = true }` is a growing delay.",
    ),
    key(
        "retry_on",
        "array",
        "any failure but a command that could not be executed",
        "After which failures there is another attempt, in the words of `ok`: `[75, \"timeout\"]`.",
    ),
    key(
        "halt",
        "string",
        "`\"never\"`",
        "As in `[run]`, for the tasks of this job: its other tasks are not started, or are stopped.",
    ),
    key(
        "output",
        "`\"group\"`, `\"line\"` or `\"raw\"`",
        "the run's `output`",
        "As in `[run]`, for this job.",
    ),
    key("keep_order", "`true` or `false`", "the run's `keep_order`", "As in `[run]`, for this job."),
    key("tag", "`true`, `false` or string", "the run's `tag`", "As in `[run]`, for this job."),
];

/// The keys of [`JOB`] that may not stand in `[defaults]`.
pub const NOT_IN_DEFAULTS: &[&str] =
    &["command", "script", "pipeline", "each", "repeat", "pool", "worker", "after"];

/// `each = { … }`.
pub const EACH: &[Key] = &[
    key(
        "seq",
        "array of 2 or 3 numbers",
        "",
        "Numbers: `[first, last]` or `[first, step, last]`, printed as seq(1) prints them.",
    ),
    key(
        "lines",
        "string",
        "",
        "The lines of this file, without their newlines; `\"-\"` is prun's own stdin. They are read as they are needed: \
         the first task starts when the first line is there.",
    ),
    key(
        "glob",
        "string",
        "",
        "The files that match this pattern, such as `\"photos/**/*.jpg\"`, in alphabetical order.",
    ),
    key(
        "csv",
        "string",
        "",
        "The rows of this file of comma-separated values; `\"-\"` is prun's own stdin. The first row names the \
         columns.",
    ),
    key(
        "queue",
        "string",
        "",
        "The records of the queue of this name, each as soon as it is there. The tasks take no place in the run's \
         pool; there are never more at once than the job's `pool`, by default the run's.",
    ),
    key(
        "job",
        "string",
        "",
        "The items of the job of this name, with their columns and names, each as soon as its task there is ok; where \
         that failed, it is skipped.",
    ),
    key(
        "nul",
        "`true` or `false`",
        "`false`",
        "With `lines`: items end with a NUL byte, as `find -print0` writes them, not with a newline.",
    ),
    key(
        "separator",
        "string",
        "`\",\"`",
        "With `csv` and `queue`: the one character between columns, such as `\"\\t\"`. Without it a record of a queue \
         is one value.",
    ),
    key(
        "header",
        "`true` or `false`",
        "`true`",
        "With `csv`: the first row names the columns and is no item. Without it, columns are `{1}`, `{2}` and so on.",
    ),
];

/// `stdin = { … }`.
pub const STDIN: &[Key] = &[
    key("text", "string", "", "This text, with placeholders, and then the end."),
    key("file", "string", "", "What this file holds. The path may have placeholders."),
    key(
        "pipe",
        "string",
        "",
        "The output of the job of this name, through a kernel pipe. Both jobs have one task; they start and end \
         together, and are retried together. Two jobs may pipe into each other; the later in the file counts as last.",
    ),
    key(
        "queue",
        "string",
        "",
        "The records of the queue of this name, as a stream. There is one process for each item of `each` or \
         `repeat`, else one; they take no place in the run's pool, and start together with the queue's writers.",
    ),
    key(
        "ahead",
        "`1`",
        "as many records as the pipe holds",
        "With `queue`: the next record is given only when all before were read.",
    ),
    key(
        "dialogue",
        "array of tables",
        "",
        "What is said to a child that speaks first: `[{ expect = \"> \", send = \"set q=mx\\n\" }]`. Each text is sent \
         when the child has written what is expected; after the last comes the end of input. A child that ends \
         before, or keeps prun waiting too long, has failed.",
    ),
    key("timeout", "duration", "`\"30s\"`", "With `dialogue`: how long to wait for each step."),
];

/// `stdout = { … }` and `stderr = { … }`.
pub const OUTPUT: &[Key] = &[
    key(
        "file",
        "string",
        "",
        "A file to write to; folders are made. A path without a placeholder of the task is opened once for the job, \
         and its tasks' output is written to it as `output` says; with one, each task has a file of its own.",
    ),
    key(
        "queue",
        "string",
        "",
        "The queue of this name: what is written is cut into its records. When the last reader of the queue has gone, \
         the writer gets SIGPIPE, which is no failure if the readers ended ok.",
    ),
    key("append", "`true` or `false`", "`false`", "Write at the end of the file, and keep what it holds."),
    key("show", "`true` or `false`", "`false`", "Show the output, too."),
];

/// A table in `pipeline`.
pub const STAGE: &[Key] = &[
    key("command", "string or array", "", "The program and its arguments, as in a job."),
    key("script", "string", "", "Text for the job's `shell`, in place of `command`."),
    key("ok", "array", "the job's `ok`", "What counts as this stage's success."),
    key(
        "stderr",
        "string or table",
        "the job's `stderr`",
        "Where this stage's error output goes. `\"stdout\"` is the pipe to the next stage.",
    ),
];

/// `retry_delay = { … }`.
pub const RETRY_DELAY: &[Key] = &[
    key("first", "duration", "`\"1s\"`", "The delay before the second attempt."),
    key("factor", "number", "`2.0`", "What the delay is multiplied with after each attempt."),
    key("max", "duration", "`\"1m\"`", "No delay is longer than this."),
    key(
        "jitter",
        "`true` or `false`",
        "`false`",
        "Take a random part off each delay, so that many tasks do not come back at once.",
    ),
];

/// The tables whose keys are known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Table {
    Top,
    Run,
    Defaults,
    Job,
    Each,
    Stdin,
    Output,
    Stage,
    RetryDelay,
    Queue,
    Records,
    Worker,
    Reply,
    Step,
}

impl Table {
    /// The keys that may stand in it; those of a job also for `[defaults]`, less [`NOT_IN_DEFAULTS`].
    pub fn keys(self) -> &'static [Key] {
        match self {
            Table::Top => TOP,
            Table::Run => RUN,
            Table::Defaults | Table::Job => JOB,
            Table::Each => EACH,
            Table::Stdin => STDIN,
            Table::Output => OUTPUT,
            Table::Stage => STAGE,
            Table::RetryDelay => RETRY_DELAY,
            Table::Queue => QUEUE,
            Table::Records => RECORDS,
            Table::Worker => WORKER,
            Table::Reply => REPLY,
            Table::Step => STEP,
        }
    }

    /// Keys that prun will have and this version has not. They are told apart from slips of the pen.
    pub fn planned(self) -> &'static [&'static str] {
        match self {
            Table::Top => &["locks", "values"],
            Table::Run => &[
                "journal",
                "resume",
                "load",
                "memory_free",
                "rate",
                "on_success",
                "on_failure",
                "on_exit",
                "backend",
            ],
            Table::Defaults | Table::Job => &[
                "batch",
                "slots",
                "env_file",
                "clear_env",
                "umask",
                "nice",
                "limits",
                "leftovers",
                "locks",
                "interactive",
                "ready",
                "restart",
                "on_exit",
                "writes",
                "reads",
                "rate",
            ],
            Table::Each => &["command", "matrix", "zip"],
            Table::Stdin
            | Table::Output
            | Table::Stage
            | Table::RetryDelay
            | Table::Queue
            | Table::Records
            | Table::Worker
            | Table::Reply
            | Table::Step => &[],
        }
    }
}
