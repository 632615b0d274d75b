//! The keys of jobs.

use super::{Key, key};

/// `[jobs.NAME]`. All of them but [`NOT_IN_DEFAULTS`] may also stand in `[defaults]`.
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
         A table names a source to read them from. Numbers keep their spelling. Files are read, and commands started, when the job's \
         `after` holds. Without any item there is no task, and the job is ok.",
    ),
    key(
        "repeat",
        "number",
        "",
        "Run the command so many times, without an item. `{#}` is the number of each task.",
    ),
    key(
        "batch",
        "number or `\"fit\"`",
        "",
        "How many items of `each` make one task, at most; `\"fit\"` is as many as the system's argument limit takes. In \
         `command` each word with a placeholder of the item is repeated for each (`cp a b c DIR` with `cp {} DIR`), and \
         added items are added one after another; a `script` has them all as `$1`, `$2` and so on, and `stdin = \"item\"` \
         gives each a line. Of single values `{1}` is the first of the batch, `{2}` the second; of rows it is each one's \
         first column. Elsewhere values are joined by blanks. The last batch may have fewer; one that a file or a queue has not filled \
         yet waits for more. A journal knows the items, not the batches. Not with workers, or with `each.job`, which has the other \
         job's tasks.",
    ),
    key(
        "pool",
        "number or string",
        "the run's pool",
        "How many tasks of this job run at once, within the run's pool: a number, `\"50%\"` of the CPUs, `\"+2\"`; \
         `0` is no limit of its own.",
    ),
    key(
        "slots",
        "number",
        "`1`",
        "How many places in the run's pool one task takes, for a task that keeps several CPUs busy by itself; more than \
         there are stands for all. It waits until so many are free, and no later task takes them before. Daemons and jobs \
         that read a pipe or a queue take no place, and have no `slots`.",
    ),
    key(
        "locks",
        "array or table",
        "none",
        "What each task takes before it starts, all or none, and gives back when it ends: `[\"db\"]` one permit of the \
         lock `db`, `{ net = 2, gpu = 1 }` so many of each. See LOCKS. Tables merge with that of `[defaults]`, in which \
         `\"none\"` undoes a lock.",
    ),
    key(
        "worker",
        "`true`, `false` or table",
        "`false`",
        "The tasks of `each` are run by `pool` processes that live on. A task is given to one on its stdin, as `stdin` \
         says (by default the item and a newline), and ends with its answer on the process's stdout. `timeout`, \
         `retries` (here 2 by default), `on_success`, `keep_order` and the report are per task; slot, locks, `{%}` and \
         environment belong to the process. If a process dies, only the task that it was at counts an attempt; \
         if it has answered and then ends well, none does, so a program may end after each answer. \
         Without tasks left a process gets the end of its input, and after `grace` it is stopped, which is no failure.",
    ),
    key(
        "after",
        "array or table",
        "",
        "What must have happened before this job starts: `[\"build\", \"db\"]` waits for the success of a job, or until a \
         daemon is ready; `{ build = \"success\", probe = \"failure\", any = \"exit\", db = \"ready\" }` says what each must \
         come to. `failure` is failed, or skipped because of a failure; `exit` is ended or skipped. `ready` is for daemons \
         and for jobs with `ready`: all tasks of the job are up, or, if it is no daemon, have been up and ended ok. A daemon \
         without `ready` is up as soon as it runs. This job waits while the other is restarted, as long as it has started \
         nothing; once it has, it goes on. A job whose condition can no longer hold is skipped at once, which is no failure \
         of its own, but the run fails if it is skipped because a daemon has ended.",
    ),
    key(
        "stdin",
        "string or table",
        "`\"null\"`; `\"item\"` with `worker`",
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
        "The job serves others, and does not keep the run alive. It takes no place in the pool, and its stdin is \
         `\"open\"`. When all other jobs have ended, daemons are stopped one after another, the last to start first, each \
         when the one before has gone, within its own `grace`; one that has not started by then is skipped. On a \
         signal, or a `halt`, all are stopped at once. A daemon that reads a pipe or a queue is stopped when that has run \
         dry: it gets the end of its input, and after `grace` the stop signal. However a daemon ends from then on is no \
         failure. Ending before with a failure is, and so is ending before it was `ready`; the run goes on without it, \
         but a job that needs it and has not started is skipped, which fails the run. If every job is a daemon, the run lasts until they end, or prun is told to stop.",
    ),
    key(
        "restart",
        "`\"never\"`, `\"on-failure\"` or `\"always\"`",
        "`\"never\"`",
        "After which ends a daemon is started again, while the run goes on: after failures (if `retry_on` is given, after \
         those), or also when it has ended well. At most `retries` times, without a limit if that is not given, and \
         after `retry_delay`. A delay that grows begins anew when the daemon has run for 10 seconds. A command that could \
         not be executed is not tried again. With `\"never\"` `retries` means what it means for any job.",
    ),
    key(
        "ready",
        "table",
        "none",
        "When a task of the job counts as up, for jobs that wait for it with `after`: `{ line = \"listening\" }`, a \
         regular expression on its output; `{ port = 6379 }`, a port of localhost; `{ command = \"pg_isready\" }`, which \
         exits with 0; or `{ after = \"2s\" }`. A task that is not up in time is stopped: `timeout`. One that ends \
         before, even with 0, has failed (under `after`, ending well counts as being up). Each attempt is looked at anew. \
         Daemons and other jobs may have it, workers not.",
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
        "on_exit",
        "command",
        "none",
        "The same after the last attempt of every task, however it ended, behind the other one: what that makes of a \
         success is not seen in `PRUN_OUTCOME`. It also runs after a task that was stopped because its job was \
         halted (`PRUN_OUTCOME` is `cancelled`), and never for one that was skipped. A stop of the whole run begins \
         none of the three; a task that was ok itself and lacks one because of that is `cancelled`, and is done again by \
         `--resume`.",
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
        "env_file",
        "string or array of strings",
        "none",
        "Files with environment variables, read when the job first starts something. What `env` says beats them, and \
         a later file an earlier one. A line is `NAME=VALUE`, also behind `export`; a `NAME` alone takes the variable \
         that prun was given, and sets none where prun has none. Empty lines are skipped, and `#` begins a comment, at \
         the start of a line or behind a blank. A value with blanks stands in quotes, and may then have several lines. \
         In `'single quotes'` nothing is special; elsewhere `\\n` is a newline, a backslash takes the meaning from a \
         quote, `$`, a blank or a backslash (before anything else it is an error), and `${NAME}` is the variable that \
         prun was given, else the one from above in the file, else empty. Any other `$` is text: `PW=abc$def` and \
         `HASH=$2y$05$uGiL` stay as they are. With a file that is missing or wrong the task is not started; the message \
         names the line and the variable. Only `--dry-run` tells what a file says.",
    ),
    key(
        "clear_env",
        "`true` or `false`",
        "`false`",
        "The task gets none of the variables that prun was given, only those of `env`, `env_file` and prun's own \
         `PRUN_…`. Without a `PATH` among them, programs are looked for in `/bin` and `/usr/bin`, as with `env -i`.",
    ),
    key(
        "umask",
        "string",
        "inherited",
        "The permissions that files which the task makes don't have, in octal: `\"077\"`, or `0o77`. Files that prun \
         opens for it have prun's own.",
    ),
    key(
        "nice",
        "number",
        "`0`",
        "How much nicer than prun the task is to other processes, as with nice(1): the sum is at most 19. Below 0 it is less \
         nice, which is root's to say.",
    ),
    key(
        "limits",
        "table",
        "inherited",
        "What the task's processes may use, each for itself (setrlimit(2)): `cpu`, `memory`, `files`, `processes`, \
         `file_size`, `core`, `stack`, such as `{ cpu = \"1m\", memory = \"2GiB\", core = 0 }`. Tables merge with that of \
         `[defaults]`, in which `\"none\"` undoes a limit. One above the hard limit that prun was given is root's to set. \
         `--dry-run` prints them for prlimit(1). The report says of a task that died of its limit which one it was, as \
         far as that can be told.",
    ),
    key(
        "cwd",
        "string",
        "the folder of the job file",
        "The working directory. Relative paths start from the folder of the job file.",
    ),
    key(
        "timeout",
        "duration or percentage",
        "none",
        "How long one attempt may take. Then it is stopped, and its outcome is `timeout`. It does not run while prun \
         is suspended. `\"300%\"` is so much of the median of what the job's tasks that ended ok took, to within one \
         per cent, once there are three of them.",
    ),
    key(
        "stop_signal",
        "string or number",
        "`\"TERM\"`, or the signal that prun got",
        "The signal that stops a task, by name or number, whoever stops it: a timeout, a halt, or a signal to prun. A task \
         of a job without this key gets the signal that prun got, such as INT for Ctrl-C. After `grace` SIGKILL follows, \
         to everything that the task started.",
    ),
    key(
        "stop",
        "`\"tree\"`, `\"group\"` or `\"process\"`",
        "`\"tree\"`",
        "Who gets the stop signal. With `\"tree\"` first the task's process group; and everything else that the task \
         started gets it once, when the task's first process has ended, but after one second at the latest: so it \
         reaches a server behind `timeout` or `set -m`, and rarely twice one whose parent passes it on (timeout(1) \
         signals its whole group as well: the key `timeout` does not, nor `timeout --foreground` under `\"process\"`). With \
         `\"group\"` the process group alone. With `\"process\"` the first process alone, and in a pipeline that of \
         each stage, as PostgreSQL and Celery want it, which stop their own children. What still runs after `grace` \
         gets SIGKILL in any case, wherever it is.",
    ),
    key(
        "grace",
        "duration",
        "the run's `grace`",
        "How long a task that is being stopped may take to end by itself, from the stop signal to SIGKILL.",
    ),
    key(
        "leftovers",
        "`\"leave\"`, `\"kill\"` or `\"wait\"`",
        "`\"kill\"` for daemons, otherwise `\"leave\"`",
        "What becomes of processes that a task leaves when it ends by itself: with `\"leave\"` they are no longer \
         prun's, and a later stop does not touch them; with `\"kill\"` they are killed, and with `\"wait\"` the task \
         ends when they have. A task that is stopped never leaves any. Without this key \
         an attempt that is followed by another leaves none in its process group: they are stopped as a task is, with the \
         stop signal and after `grace` SIGKILL, and the next attempt waits for that. So are those of a worker that is \
         replaced. A process in a session of its own stays, as a master connection of ssh is meant to, and is named. What \
         a prun within the task let go is \
         none of them.",
    ),
    key(
        "interactive",
        "`true` or `false`",
        "`false`",
        "The task has prun's terminal to itself while it runs: it may read from it, and Ctrl-C and Ctrl-Z are its own. \
         If a key ends it, prun stops as if the key had been meant for it; if it is suspended, so is everything, until \
         `fg`. Its stdin, stdout and stderr are prun's own unless the job says otherwise (stdin only where no job reads \
         its items there); what others write in the meantime is shown when it has ended. \
         One such task runs at a time. Without a terminal it is a task as any other. It can't be a worker or a daemon, nor have a terminal of its own (`pty`) or \
         read a pipe or a queue; a `pipeline` has the terminal as a whole. For prompts, editors and pagers.",
    ),
    key(
        "ok",
        "array",
        "`[0]`",
        "What counts as success: exit codes, `\"timeout\"`, `\"signal\"`. In a `pipeline` it holds for each stage that \
         has no `ok` of its own.",
    ),
    key(
        "retries",
        "number",
        "`0`; `2` with `worker`; no limit with `restart`",
        "How many further attempts a task that failed gets; how many times at most a daemon with `restart` is started again.",
    ),
    key(
        "retry_delay",
        "duration or table",
        "`0`; `\"1s\"` with `restart`",
        "How long to wait before a further attempt; the place in the pool and the locks are given back meanwhile. `{ first = \"1s\", \
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
    key("rate", "string", "none", "As in `[run]`, for the attempts of this job, within the run's rate."),
    key("keep_order", "`true` or `false`", "the run's `keep_order`", "As in `[run]`, for this job."),
    key("tag", "`true`, `false` or string", "the run's `tag`", "As in `[run]`, for this job."),
];

/// The keys of [`JOB`] that may not stand in `[defaults]`.
pub const NOT_IN_DEFAULTS: &[&str] =
    &["command", "script", "pipeline", "each", "repeat", "batch", "pool", "worker", "after"];
