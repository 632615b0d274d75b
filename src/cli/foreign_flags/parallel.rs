//! Options of GNU parallel 20221122, without those that it shares with xargs.

use super::flag::{Flag, flag};

const A_CPU: &str = "a CPU is a hardware thread that prun may use";
const UNCOMPRESSED: &str = "large output is buffered uncompressed in a temporary file; `--stdout` with \
                            `-c 'CMD | gzip'` keeps it small";
const NO_DATABASE: &str = "and load that file; prun writes to no database";
const NO_SEM: &str = "there is no `sem`; write the commands to `prun exec -jN -c`, one per line, or use `flock FILE \
                      CMD`";
const THIS_MACHINE: &str = "prun runs on this machine only; `prun exec ssh {} CMD ::: HOST...` runs a command on \
                            several";
const NO_TRANSFER: &str = "prun runs on this machine only; `-c 'scp ... && ssh ... && scp ...'` copies files there \
                           and back";
const NO_SSH: &str = "prun runs on this machine only; `~/.ssh/config` sets how ssh connects";

pub const PARALLEL: &[Flag] = &[
    // Items.
    flag(
        ":::, ::::, :::+, ::::+",
        "`:::`, `::::`, `:::+`, `::::+`",
        "`-a FILE` is a source, too, and comes before them",
    ),
    flag("--arg-sep STR, --arg-file-sep STR", "", "`:::` and `::::` are fixed"),
    flag("--link, --xapply", "`--link`", ""),
    flag(
        "--colsep RE, -C RE",
        "`--colsep RE`",
        "a regular expression without Perl's look-around; `-C` is `--cwd` here",
    ),
    flag("--csv", "`--csv`", ""),
    flag(
        "--header RE",
        "`--header`",
        "`--header :` is known, too; other values are not. Blocks of `--pipe` have no header: `-c '(head -n1 FILE; cat) | \
         CMD'`",
    ),
    flag("--trim n|l|r|lr|rl", "", "items are not trimmed; put `sed 's/^ *//; s/ *$//'` before prun"),
    flag("--shuf", "", "put `shuf` before prun"),
    flag("--skip-first-line", "", "put `tail -n+2` before prun"),
    flag("--filter EXPR", "", "put `grep` or `awk` before prun"),
    flag("--max-replace-args N, -N N", "`-n N`", "`{1}` to `{N}` are known with it"),
    flag("-N0, -n0", "`--repeat N`", "if only the number of items matters"),
    flag("-m, --xargs", "`-X`", "a word with `{}` is repeated for each item"),
    flag(
        "-X",
        "`-X`",
        "as many items as fit go to one task; they are not spread over the slots, use `-n` for that",
    ),
    // Placeholders.
    flag("--extensionreplace STR, --er STR", "`{.}`", "these names are fixed"),
    flag("--basenamereplace STR, --bnr STR", "`{/}`", "these names are fixed"),
    flag("--dirnamereplace STR, --dnr STR", "`{//}`", "these names are fixed"),
    flag("--basenameextensionreplace STR, --bner STR", "`{/.}`", "these names are fixed"),
    flag("--seqreplace STR, --slotreplace STR", "`{#}`, `{%}`", "these names are fixed"),
    flag(
        "--plus",
        "`{..}` and `{%END}`",
        "they need no flag. `{+/}` is `{//}`; for others use `-c` with `${1#...}` and the like",
    ),
    flag(
        "--rpl 'TAG PERL'",
        "",
        "there is no Perl; use `-c` and the shell's `${1%...}`, or let `sed` before prun write two columns \
         for `--colsep`",
    ),
    flag("--parens STR", "", "there are no Perl expressions; use `-c` and the shell's `${1%...}`"),
    flag(
        "--template FILE=REPL, --tmpl FILE=REPL",
        "",
        "make the file in a script: `-c 'sed ... >{#}.conf; CMD {#}.conf'`",
    ),
    flag("--quote", "", "without `-c` no shell reads the command, so nothing needs quoting; leave it out"),
    flag("-q", "`-q`", "means `--quiet` here; nothing needs quoting without `-c`"),
    flag("--shellquote, --shell-quote", "`--dry-run`", "its lines are quoted for a shell; or `printf %q`"),
    // Parallelism and throttling.
    flag(
        "--jobs N, -j N",
        "`-j N`",
        "also `N%`, `+N`, `-N` and a file that is read again when it changes. The default counts the CPUs that prun \
         may use",
    ),
    flag("--use-cores-instead-of-threads", "`-j 50%`", A_CPU),
    flag("--use-sockets-instead-of-threads", "`-j 50%`", A_CPU),
    flag("--use-cpus-instead-of-cores", "`-j N`", A_CPU),
    flag("--number-of-cpus, --number-of-threads", "", "see `nproc`"),
    flag("--number-of-cores, --number-of-sockets", "", "see `lscpu`"),
    flag(
        "--delay DURATION",
        "`--rate 10/s`",
        "`--delay` is known, too. Starts are evenly spaced, and there is no burst after a pause",
    ),
    flag("--load N", "`--load N`", ""),
    flag("--memfree SIZE", "`--memory-free SIZE`", "`--memfree` is known, too"),
    flag(
        "--memsuspend SIZE",
        "`--memory-free SIZE`",
        "a task is not suspended, but stopped and run again later",
    ),
    flag("--noswap", "`--memory-free SIZE`", "swapping is not considered"),
    flag("--limit 'CMD'", "`--load`, `--memory-free`", "no command runs before each start"),
    flag("--nice N", "", "put `nice -n N` before prun or before the command"),
    flag("--timeout N, --timeout N%", "`--timeout 30s`", "also `N%` of the median; a bare number is seconds"),
    flag(
        "--retries N",
        "`--retries N-1`",
        "it counts further attempts here; GNU parallel counts all attempts. See also `--retry-delay` and `--retry-on`",
    ),
    flag(
        "--halt WHEN, --halt-on-error WHEN",
        "`--halt WHEN`",
        "the same syntax. `--fail-fast` is `now,fail=1`. A stopped task and all its processes get TERM, \
         and KILL after `--grace`",
    ),
    flag(
        "--term-seq SEQUENCE, --termseq SEQUENCE",
        "`--stop-signal`, `--grace`",
        "one signal, then the grace period, then KILL",
    ),
    // Output.
    flag("--group", "`--output group`", "it is the default here, too"),
    flag("--ungroup, -u", "`-u`", ""),
    flag("--keep-order, -k", "`-k`", "the output of the first running task is shown as it arrives"),
    flag("--line-buffer, --linebuffer, --lb", "`--output line`", "these are known, too"),
    flag("--latest-line, --ll", "`--output line`", "the bar has a line for each running task"),
    flag("--no-keep-order", "", "it is the default; leave out `-k`"),
    flag("--tag", "`--tag`", ""),
    flag("--tagstring STR", "`--tag=STR`", "`--tagstring` is known, too"),
    flag("--ctag, --ctagstring STR, --color-failed, --cf", "`--tag`", "output of tasks is not coloured"),
    flag("--color", "`--color=WHEN`", "applies to messages of prun; output of tasks is not coloured"),
    flag(
        "--bar, --eta, --progress",
        "`--progress`",
        "the others are known, too; it is on by default on a terminal",
    ),
    flag("--total-jobs N, --total N", "", "the bar shows the total once the last item has been read"),
    flag("--dry-run, --dryrun", "`--dry-run`", "each line can be run by a shell"),
    flag("-v", "`-v`", "goes to stderr"),
    flag("--silent", "`-q`", "commands are printed only with `-v`; `-q` prints failures only"),
    flag(
        "--results DIR, --res DIR",
        "`--results DIR`",
        "the same files and tables, except that no item leads out of DIR, and long ones are not cut",
    ),
    flag(
        "--files, --output-as-files, --outputasfiles",
        "`--stdout FILE`",
        "with a placeholder in FILE: `--stdout part.{#}`",
    ),
    flag("--compress", "", UNCOMPRESSED),
    flag("--compress-program PRG, --decompress-program PRG", "", UNCOMPRESSED),
    flag("--tmpdir DIR", "", "set `TMPDIR`"),
    // The log.
    flag(
        "--joblog FILE, --jl FILE",
        "`--joblog FILE`",
        "the same lines. To go on later use `--journal FILE`, which recognises a task by what it does",
    ),
    flag(
        "--resume",
        "`--journal FILE --resume`",
        "skips items that ended ok, wherever they stand now; failed ones run again",
    ),
    flag("--resume-failed", "`--resume`", "it also runs failed items again"),
    flag(
        "--retry-failed",
        "`--journal FILE --retry-failed`",
        "with the same command and items; runs only those that failed last time",
    ),
    flag("--sqlandworker DBURL, --sql-and-worker DBURL", "`--results FILE.csv`", NO_DATABASE),
    flag("--sqlmaster DBURL, --sql-master DBURL", "`--results FILE.csv`", NO_DATABASE),
    flag("--sqlworker DBURL, --sql-worker DBURL, --sql DBURL", "`--results FILE.csv`", NO_DATABASE),
    // Blocks.
    flag("--pipe, --spreadstdin", "`--pipe`", "for a regular file as fast as `--pipepart`"),
    flag("--pipepart, --pipe-part", "`--pipe`", "with `-a FILE` or `<FILE`; `--pipepart` is known, too"),
    flag(
        "--block SIZE, --block-size SIZE",
        "`--block SIZE`",
        "not -1, a share for each task, which is `--round-robin`",
    ),
    flag(
        "--block-timeout DURATION, --bt DURATION",
        "",
        "a block is passed on when it is full, or at the end of the input",
    ),
    flag("--recstart STR, --recend STR", "`--recstart`, `--recend`", "plain text with escapes"),
    flag(
        "--regexp",
        "",
        "records begin and end with plain text; in a job file `records.start` is a regular expression",
    ),
    flag(
        "--remove-rec-sep, --removerecsep, --rrs",
        "",
        "records keep their separators; `-c 'tr -d ... | CMD'` removes them",
    ),
    flag("--round-robin, --round", "`--round-robin`", ""),
    flag(
        "--cat, --fifo",
        "`--pipe -c 'cat >f.{#}; CMD f.{#}'`",
        "or `CMD /dev/stdin`, which most programs can read",
    ),
    flag("--tee", "", "in a job file a queue with `deliver = \"all\"`; or `tee >(CMD1) >(CMD2)` of bash"),
    flag(
        "--shard COL, --bin COL",
        "",
        "records go to any free task; let `awk '{ print | \"CMD \" $1 }'` divide them by a column",
    ),
    flag("--group-by COL", "", "mark the beginning of each group, then use `--recstart MARK`"),
    // The command.
    flag(
        "--workdir DIR, --wd DIR",
        "`--cwd DIR`, `-C DIR`",
        "`--wd` is known, too; `...` and `.` of remote hosts are not",
    ),
    flag(
        "--env NAME",
        "`--env NAME=VALUE`",
        "sets a variable; the whole environment is inherited, also exported functions of bash",
    ),
    flag("--record-env, --session", "", "the environment is inherited as it is"),
    flag("--tty", "`--once`", "gives one program the terminal; many at once can't share it"),
    flag("--tmux, --tmuxpane", "", "`--lb --tag` shows what all tasks write"),
    flag(
        "--profile NAME, -J NAME",
        "",
        "the configuration file and `PRUN_...` variables set defaults; an alias of the shell does the rest",
    ),
    flag("--plain", "`--no-config`", ""),
    flag(
        "--shebang, --hashbang, --shebang-wrap",
        "",
        "a job file whose first line is `#!/usr/bin/env -S prun` can be executed",
    ),
    flag("--embed", "", "prun is one file; put it beside the script"),
    flag("--shell-completion SHELL", "`prun completions SHELL`", ""),
    flag("--semaphore, --fg, --bg, --wait", "", NO_SEM),
    flag("--id NAME, --semaphorename NAME, --semaphore-name NAME", "", NO_SEM),
    flag("--st S, --semaphoretimeout S, --semaphore-timeout S", "", NO_SEM),
    // Other machines.
    flag("-S HOST, --sshlogin HOST", "", THIS_MACHINE),
    flag("--slf FILE, --sshloginfile FILE", "", THIS_MACHINE),
    flag("--onall, --nonall", "`prun exec --tag ssh {} CMD ::: HOST...`", ""),
    flag("--trc FILE, --cleanup, --return FILE", "", NO_TRANSFER),
    flag("--transfer, --transferfile FILE, --tf FILE", "", NO_TRANSFER),
    flag("--basefile FILE, --bf FILE", "", NO_TRANSFER),
    flag("--controlmaster, -M, --ssh CMD, --rsync-opts OPTS", "", NO_SSH),
    flag("--ssh-delay S, --sshdelay S, --filter-hosts", "", NO_SSH),
    flag("--hostgroups, --hgrp", "", NO_SSH),
    flag("--citation, --will-cite", "", "nobody asks for a citation; leave it out"),
    flag("--gnu, --minversion N", "", "there is one mode and one version; leave it out"),
    flag(
        "--max-line-length-allowed",
        "",
        "`-X` knows the limits of the system; `getconf ARG_MAX` tells them",
    ),
];
