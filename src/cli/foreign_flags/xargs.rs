//! Options of xargs, GNU findutils 4.9. Those that GNU parallel shares with it are listed only here.

use super::flag::{Flag, flag};

pub const XARGS: &[Flag] = &[
    flag("-0, --null", "`-0`", ""),
    flag(
        "-a FILE, --arg-file=FILE",
        "`-a FILE`",
        "may be given more than once; each file is a source, as after `::::`. The tasks' standard input is still empty",
    ),
    flag("-d C, --delimiter=C", "`-d C`", "with the same escapes; the default is a newline, see `--words`"),
    flag(
        "-E STR, -e[STR], --eof[=STR]",
        "",
        "there is no end-of-file string; end the items before prun: `sed '/^STR$/Q' | prun exec ...`",
    ),
    flag(
        "-I STR, -i[STR], --replace[=STR]",
        "`-I STR`",
        "`{}` is the placeholder without it; with it all others are off",
    ),
    flag(
        "-L N, -l[N], --max-lines[=N]",
        "`-n N`",
        "a line is one item, whatever it holds; `--colsep '\\s+'` makes its words columns",
    ),
    flag(
        "-n N, --max-args=N",
        "`-n N`",
        "the default is one item to one task. `-X` is what xargs does without `-n`: as many items as fit",
    ),
    flag(
        "-o, --open-tty",
        "`--once`",
        "gives one program the terminal; many at once can't share it. It takes no items: `prun exec --once vi $(...)`",
    ),
    flag(
        "-P N, --max-procs=N",
        "`-j N`",
        "`-P N` is known, too. The default is one task for each CPU; `-j1` runs one after another. 0 is no limit",
    ),
    flag(
        "-p, --interactive",
        "`--dry-run`",
        "there is no prompt before each command; `--once` gives a command the terminal",
    ),
    flag(
        "--process-slot-var=NAME",
        "`--env NAME={%}`",
        "`PRUN_SLOT` is always set. Slots count from 1, not from 0",
    ),
    flag("-r, --no-run-if-empty", "`-r`", "without items nothing ever runs; `-r` skips empty items"),
    flag(
        "-s N, --max-chars=N",
        "`-n N`",
        "only the system limits the length of a command line; `-X` knows that limit",
    ),
    flag("--show-limits", "", "`-X` knows the limits of the system; `getconf ARG_MAX` tells them"),
    flag("-t, --verbose", "`-v`", "`-t` is known, too"),
    flag("-x, --exit", "", "a task whose command line is too long always fails, but no other task"),
    flag("--help, -h", "`-h`", "the most used options on one screen; `--help` has all of them"),
    flag("--version, -V", "`prun --version`", ""),
];
