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
        "vars",
        "strings or numbers",
        "",
        "Variables: `domain = \"python.org\"` is put in where a string of a job says `{domain}`. \
         `-D domain=example.org` on the command line replaces the value.",
    ),
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
         `file` or `pipe`.",
    ),
    key(
        "stdout",
        "string or table",
        "`\"show\"`",
        "Where the task's output goes: `\"show\"` as `output` says, `\"inherit\"` straight to prun's own stdout, \
         `\"null\"` nowhere, or to a `file`.",
    ),
    key(
        "stderr",
        "string or table",
        "`\"show\"`",
        "Where the task's error output goes: as `stdout`, or `\"stdout\"`, which is where its output goes.",
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
    key("retries", "number", "`0`", "How many further attempts a task that failed gets."),
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
pub const NOT_IN_DEFAULTS: &[&str] = &["command", "script", "pipeline", "each", "repeat", "pool", "after"];

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
        "nul",
        "`true` or `false`",
        "`false`",
        "With `lines`: items end with a NUL byte, as `find -print0` writes them, not with a newline.",
    ),
    key(
        "separator",
        "string",
        "`\",\"`",
        "With `csv`: the one character between columns, such as `\"\\t\"`.",
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
         together, and are retried together.",
    ),
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
        }
    }

    /// Keys that prun will have and this version has not. They are told apart from slips of the pen.
    pub fn planned(self) -> &'static [&'static str] {
        match self {
            Table::Top => &["queues", "locks", "values"],
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
                "worker",
                "pty",
                "env_file",
                "clear_env",
                "umask",
                "nice",
                "limits",
                "leftovers",
                "locks",
                "interactive",
                "daemon",
                "ready",
                "restart",
                "on_success",
                "on_failure",
                "on_exit",
                "writes",
                "reads",
                "rate",
            ],
            Table::Each => &["command", "matrix", "zip", "queue", "job"],
            Table::Stdin => &["queue", "ahead", "dialogue", "timeout"],
            Table::Output => &["queue"],
            Table::Stage | Table::RetryDelay => &[],
        }
    }
}
