//! The keys of tables within jobs, and of queues.

use super::{Key, key};

/// `limits = { … }`.
pub const LIMITS: &[Key] = &[
    key(
        "cpu",
        "duration",
        "",
        "Processor time of each process, in whole seconds, rounded up. Then it gets a SIGXCPU, and five seconds of \
         processor time later, should it live on, a SIGKILL.",
    ),
    key(
        "memory",
        "size",
        "",
        "Address space of each process, `RLIMIT_AS`: more than the memory that it uses. Beyond it allocations fail, and \
         few programs live on.",
    ),
    key("files", "number", "", "Open files of each process, stdin, stdout and stderr among them."),
    key(
        "processes",
        "number",
        "",
        "Processes and threads, not of the task, but of its user, from when on no more can be started. It means nothing \
         to root.",
    ),
    key(
        "file_size",
        "size",
        "",
        "The size up to which a file can be written. A write beyond it fails, with a SIGXFSZ. `0`: no file can grow.",
    ),
    key("core", "size", "", "The size of a core file; `0`: none."),
    key(
        "stack",
        "size",
        "",
        "The stack of each process. Arguments and environment together can take a quarter of it (never less than \
         128 KiB nor more than 6 MiB).",
    ),
];

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
        "The files that match this pattern, such as `\"photos/**/*.jpg\"`, in alphabetical order. `**` is \
         any number of directories, but not through links; a link that the pattern names is followed. What begins with a \
         dot is left out, unless the pattern begins with one there. If a directory can't be read, the walk goes on, and \
         the job fails at its end, with status 1.",
    ),
    key(
        "csv",
        "string",
        "",
        "The rows of this file of comma-separated values; `\"-\"` is prun's own stdin. The first row names the \
         columns.",
    ),
    key(
        "command",
        "string, array or `{ script = \"…\" }`",
        "",
        "The lines that this command writes. It is started with the job, with its directory, environment and limits (but \
         for a directory or variable that an item or the value of a lock stands in), and takes no place in the pool; the first task starts when \
         the first line is there, and the command waits while 1000 lines do. It is told of as a job called \
         `NAME.each`. If it fails, the lines that came are run, and the job counts as one that was skipped because of \
         a failure; its own `timeout`, `retries` and `ok` are those of its tasks. When the job takes no more items, the \
         command is stopped, which is no failure. With `resume` it runs again, and items are known by what they are.",
    ),
    key(
        "matrix",
        "table",
        "",
        "All combinations of the values of several columns: `{ os = [\"linux\", \"mac\"], v = [3.10, 3.11] }` makes four \
         items with the columns `{os}` and `{v}` (also `{1}` and `{2}`), in this order, the last column changing fastest. \
         Values are strings and numbers; instead of an array a column may be one of `{ seq = … }`, `{ lines = … }` and \
         `{ glob = … }`. Combinations are made one by one and take no memory; what has to be read for another column than \
         the first is read to its end before. If a column has no value, there is no item.",
    ),
    key(
        "zip",
        "table",
        "",
        "Columns, as with `matrix`, in step: the first item has the first value of each, the second the second. They \
         must be of one length. Of what is read in the run, that shows when one ends: then the job fails, when the items \
         that were there have been run.",
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
        "With `lines` and `command`: items end with a NUL byte, as `find -print0` writes them, not with a newline.",
    ),
    key(
        "separator",
        "string",
        "`\",\"` for `csv`",
        "With `csv`, `lines`, `command` and `queue`: the one character between columns, such as `\"\\t\"`. Without it a line or a \
         record of a queue is one value.",
    ),
    key(
        "header",
        "`true` or `false`",
        "`true`",
        "With `csv`: the first row names the columns (which must differ) and is no item. Without it, columns are `{1}`, `{2}` and so on.",
    ),
];

/// `stdin = { … }`.
pub const STDIN: &[Key] = &[
    key("text", "string", "", "This text, with placeholders, and then the end."),
    key(
        "file",
        "string",
        "",
        "What this file holds. The path may have placeholders. A FIFO is waited for until somebody writes to it.",
    ),
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
         when the child has written what is expected, on a terminal as soon as its settings have been quiet for 50 ms; \
         after the last comes the end of input. A child that ends before, or keeps prun waiting too long, has failed.",
    ),
    key(
        "timeout",
        "duration",
        "`\"30s\"`",
        "With `dialogue`: how long to wait for each step, and until the last text was taken.",
    ),
];

/// `stdout = { … }` and `stderr = { … }`.
pub const OUTPUT: &[Key] = &[
    key(
        "file",
        "string",
        "",
        "A file to write to; folders are made. With a placeholder of the task in its path, each task has a file of its \
         own; without one, output of several tasks is written to it as `output` says. Within a run a file is emptied \
         once, whatever names it, and all else is added.",
    ),
    key(
        "queue",
        "string",
        "",
        "The queue of this name: what is written is cut into its records. When the last reader of the queue has gone, \
         the writer gets SIGPIPE, which is no failure if the readers ended ok.",
    ),
    key(
        "append",
        "`true` or `false`",
        "`false`",
        "With `file`: do not empty it at first, and keep what it holds.",
    ),
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

/// `ready = { … }`.
pub const READY: &[Key] = &[
    key(
        "line",
        "string",
        "",
        "A regular expression, looked for in each line that the task writes to stdout or stderr, wherever these go, and \
         in each stage of a pipeline. A line counts when it is complete, or at the end of the output, without colours and \
         other escape sequences; of a very long one the first 64 KiB are looked at. With it the task's output passes through prun also with `output = \"raw\"`, \
         `\"inherit\"` or `\"null\"`.",
    ),
    key(
        "port",
        "number or string",
        "",
        "A TCP port of localhost, 127.0.0.1 or ::1: the task is up when a connection to it is accepted, which prun closes \
         at once. As a string it may have placeholders. If something else has listened there since before the task was \
         started, prun says so, and waits on.",
    ),
    key(
        "command",
        "command",
        "",
        "A command: the task is up when it exits with 0. It has the environment and the working directory of the job, \
         and `PRUN_TASK_PID`, the task's (first) process; its output is discarded, but the last lines of its stderr are \
         told if the task never comes up. It is run at once and then again, never twice at the same time. It is \
         killed, with all in its process group, when it has taken 10 seconds (or ten times `every`, if that is more), or \
         when the task is stopped or ends. If it can't be started at all, the task has failed.",
    ),
    key("after", "duration", "", "The task is up when it has run so long."),
    key(
        "timeout",
        "duration",
        "`\"60s\"`",
        "How long each attempt may take until it is up. Then it is stopped, and its outcome is `timeout`.",
    ),
    key(
        "every",
        "duration",
        "`\"250ms\"`",
        "With `port` and `command`: how long to wait from one look to the next. The first looks at a port, at which \
         nobody listens yet, come sooner after each other.",
    ),
];

/// `worker = { … }`.
pub const WORKER: &[Key] = &[
    key(
        "reply",
        "`\"line\"`, `\"nul\"` or `{ until = \"REGEX\" }`",
        "`\"line\"`",
        "What an answer is: a line, what ends with a NUL byte, or all lines up to one that matches, which is dropped.",
    ),
    key(
        "fail",
        "string",
        "none",
        "An answer that this regular expression matches is a failure, and final. It is shown, or goes into its queue, \
         like any other.",
    ),
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
        "What each new process is given first. It is not answered (Python's initializer). Where tasks are given as items, it ends with a newline, which is added if it is missing.",
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
    key(
        "send",
        "string",
        "",
        "What it is given then; may have placeholders. A line needs its `\\n`; with `\"\"` a step only waits.",
    ),
];

/// `[queues.NAME]`.
pub const QUEUE: &[Key] = &[
    key(
        "capacity",
        "number",
        "`1000`",
        "How many records the queue holds, and never more than 64 MiB, but always one record. A writer to a full \
         queue waits. Where it is given, the pipes of writers and readers are one page small; up to 64, a writer's pipe \
         holds one write, and records that a reader has not read yet count, so that a writer is never more than 3 \
         records ahead of it. Programs that gather their output in a buffer write many records at once.",
    ),
    key(
        "records",
        "string or table",
        "`\"lines\"`",
        "What a record is: `\"lines\"`; `\"nul\"`, ended by NUL bytes; or a table: `{ separator = \"--\\n\" }` ends \
         each, `{ start = \"^>\" }` is a regular expression that matches where each begins (it keeps its newlines), `{ bytes = \"1MiB\" }` so \
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
    key("separator", "string", "", "What each record ends with, of any length."),
    key(
        "start",
        "string",
        "",
        "A regular expression that matches where a record begins; `^` is the beginning of a line.",
    ),
    key("bytes", "size", "", "So many bytes are a record."),
    key("block", "size", "", "As many whole lines are a record as are about this much together."),
];
