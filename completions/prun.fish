# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_prun_global_optspecs
    string join \n j/jobs= rate= delay= load= memory-free= max-record= jobserver= k/keep-order u/ungroup output= line-buffer group tag= tagstring= halt= fail-fast grace= status= on-success= on-failure= on-exit= journal= resume retry-failed sync dry-run v/verbose q/quiet progress= bar color= no-config D/define= list no-deps h/help V/version
end

function __fish_prun_needs_command
    # Figure out if the current invocation already has a command.
    set -l cmd (commandline -opc)
    set -e cmd[1]
    argparse -s (__fish_prun_global_optspecs) -- $cmd 2>/dev/null
    or return
    if set -q argv[1]
        # Also print the command, so this can be used to figure out what it is.
        echo $argv[1]
        return 1
    end
    return 0
end

function __fish_prun_using_subcommand
    set -l cmd (__fish_prun_needs_command)
    test -z "$cmd"
    and return 1
    contains -- $cmd[1] $argv
end

complete -c prun -n "__fish_prun_needs_command" -s j -l jobs -d 'Run N tasks at once [default: CPUs]' -r
complete -c prun -n "__fish_prun_needs_command" -l rate -d 'Start at most this many attempts per time: 10/s, 100/m, 5/h, 1/2s' -r
complete -c prun -n "__fish_prun_needs_command" -l delay -d 'The time from one start to the next, an option of GNU parallel' -r
complete -c prun -n "__fish_prun_needs_command" -l load -d 'Start nothing new unless the load average is below this: 4, or 80% of the CPUs' -r
complete -c prun -n "__fish_prun_needs_command" -l memory-free -d 'Start nothing new while less memory than this is free: 2GB' -r
complete -c prun -n "__fish_prun_needs_command" -l max-record -d 'Let a record that goes to a standard input, or a worker\'s answer, have up to this many bytes [default: 64MiB]' -r
complete -c prun -n "__fish_prun_needs_command" -l jobserver -d 'Share the slots with programs that tasks start, such as make and cargo: pipe or fifo [without HOW: pipe]' -r
complete -c prun -n "__fish_prun_needs_command" -l output -d 'Print a task\'s output in one piece (group), by whole lines (line) or untouched (raw)' -r -f -a "group\t''
line\t''
raw\t''"
complete -c prun -n "__fish_prun_needs_command" -l tag -d 'Prefix each line of output with the item, or with a text that may have placeholders' -r
complete -c prun -n "__fish_prun_needs_command" -l tagstring -r
complete -c prun -n "__fish_prun_needs_command" -l halt -d 'Stop the run early: never, or now or soon with a limit, such as now,fail=1 or soon,fail=20%' -r
complete -c prun -n "__fish_prun_needs_command" -l grace -d 'Set the grace period: the time from the stop signal to SIGKILL [default: 10s]' -r
complete -c prun -n "__fish_prun_needs_command" -l status -d 'Choose the exit status: first, any, count or xargs [default: first]' -r -f -a "first\t''
any\t''
count\t''
xargs\t''"
complete -c prun -n "__fish_prun_needs_command" -l on-success -d 'Run CMD at the end of the run if nothing failed, with the report on its stdin' -r
complete -c prun -n "__fish_prun_needs_command" -l on-failure -d 'The same if something failed' -r
complete -c prun -n "__fish_prun_needs_command" -l on-exit -d 'The same however the run ended, after the other hook' -r
complete -c prun -n "__fish_prun_needs_command" -l journal -d 'Write a line for each finished task to FILE, for --resume' -r -F
complete -c prun -n "__fish_prun_needs_command" -l progress -d 'Show progress: auto, bar, plain or none [default: auto; without WHEN: bar]' -r -f -a "auto\t''
bar\t''
plain\t''
none\t''"
complete -c prun -n "__fish_prun_needs_command" -l color -d 'Use colours: auto, always or never [default: auto]' -r -f -a "auto\t''
always\t''
never\t''"
complete -c prun -n "__fish_prun_needs_command" -s D -l define -d 'Set a variable of the job file' -r
complete -c prun -n "__fish_prun_needs_command" -s k -l keep-order -d 'Print output in the order of the items'
complete -c prun -n "__fish_prun_needs_command" -s u -l ungroup -d 'Let children write straight to prun\'s own stdout and stderr (--output raw)'
complete -c prun -n "__fish_prun_needs_command" -l line-buffer
complete -c prun -n "__fish_prun_needs_command" -l group
complete -c prun -n "__fish_prun_needs_command" -l fail-fast -d 'Stop everything at the first failure'
complete -c prun -n "__fish_prun_needs_command" -l resume -d 'Skip the tasks that ended ok according to the journal'
complete -c prun -n "__fish_prun_needs_command" -l retry-failed -d 'Run only the tasks that failed last time according to the journal'
complete -c prun -n "__fish_prun_needs_command" -l sync -d 'Sync each line to the disk before going on: the journal survives a power failure'
complete -c prun -n "__fish_prun_needs_command" -l dry-run -d 'Print the commands instead of running them'
complete -c prun -n "__fish_prun_needs_command" -s v -l verbose -d 'Print each command as it starts, and the resources it used; twice: also process IDs'
complete -c prun -n "__fish_prun_needs_command" -s q -l quiet -d 'Print failures only'
complete -c prun -n "__fish_prun_needs_command" -l bar
complete -c prun -n "__fish_prun_needs_command" -l no-config -d 'Ignore the configuration file'
complete -c prun -n "__fish_prun_needs_command" -l list -d 'List the jobs and the comment above each'
complete -c prun -n "__fish_prun_needs_command" -l no-deps -d 'Leave out what the JOBs need: run them as if it had been done'
complete -c prun -n "__fish_prun_needs_command" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c prun -n "__fish_prun_needs_command" -s V -l version -d 'Print version'
complete -c prun -n "__fish_prun_needs_command" -a "run" -d 'Run a job file, or these jobs of it and what they need'
complete -c prun -n "__fish_prun_needs_command" -a "exec" -d 'Run COMMAND for each item: a line of stdin or of FILE, or a word after `:::`'
complete -c prun -n "__fish_prun_needs_command" -a "check" -d 'Find what is wrong or doubtful in job files, without running anything'
complete -c prun -n "__fish_prun_needs_command" -a "graph" -d 'Show the graph of a job file: which jobs wait for which, and what joins them'
complete -c prun -n "__fish_prun_needs_command" -a "report" -d 'Summarize a journal: how tasks ended, how long they took, which failed'
complete -c prun -n "__fish_prun_needs_command" -a "completions" -d 'Print completions for a shell'
complete -c prun -n "__fish_prun_using_subcommand run" -s j -l jobs -d 'Run N tasks at once [default: CPUs]' -r
complete -c prun -n "__fish_prun_using_subcommand run" -l rate -d 'Start at most this many attempts per time: 10/s, 100/m, 5/h, 1/2s' -r
complete -c prun -n "__fish_prun_using_subcommand run" -l delay -d 'The time from one start to the next, an option of GNU parallel' -r
complete -c prun -n "__fish_prun_using_subcommand run" -l load -d 'Start nothing new unless the load average is below this: 4, or 80% of the CPUs' -r
complete -c prun -n "__fish_prun_using_subcommand run" -l memory-free -d 'Start nothing new while less memory than this is free: 2GB' -r
complete -c prun -n "__fish_prun_using_subcommand run" -l max-record -d 'Let a record that goes to a standard input, or a worker\'s answer, have up to this many bytes [default: 64MiB]' -r
complete -c prun -n "__fish_prun_using_subcommand run" -l jobserver -d 'Share the slots with programs that tasks start, such as make and cargo: pipe or fifo [without HOW: pipe]' -r
complete -c prun -n "__fish_prun_using_subcommand run" -l output -d 'Print a task\'s output in one piece (group), by whole lines (line) or untouched (raw)' -r -f -a "group\t''
line\t''
raw\t''"
complete -c prun -n "__fish_prun_using_subcommand run" -l tag -d 'Prefix each line of output with the item, or with a text that may have placeholders' -r
complete -c prun -n "__fish_prun_using_subcommand run" -l tagstring -r
complete -c prun -n "__fish_prun_using_subcommand run" -l halt -d 'Stop the run early: never, or now or soon with a limit, such as now,fail=1 or soon,fail=20%' -r
complete -c prun -n "__fish_prun_using_subcommand run" -l grace -d 'Set the grace period: the time from the stop signal to SIGKILL [default: 10s]' -r
complete -c prun -n "__fish_prun_using_subcommand run" -l status -d 'Choose the exit status: first, any, count or xargs [default: first]' -r -f -a "first\t''
any\t''
count\t''
xargs\t''"
complete -c prun -n "__fish_prun_using_subcommand run" -l on-success -d 'Run CMD at the end of the run if nothing failed, with the report on its stdin' -r
complete -c prun -n "__fish_prun_using_subcommand run" -l on-failure -d 'The same if something failed' -r
complete -c prun -n "__fish_prun_using_subcommand run" -l on-exit -d 'The same however the run ended, after the other hook' -r
complete -c prun -n "__fish_prun_using_subcommand run" -l journal -d 'Write a line for each finished task to FILE, for --resume' -r -F
complete -c prun -n "__fish_prun_using_subcommand run" -l progress -d 'Show progress: auto, bar, plain or none [default: auto; without WHEN: bar]' -r -f -a "auto\t''
bar\t''
plain\t''
none\t''"
complete -c prun -n "__fish_prun_using_subcommand run" -l color -d 'Use colours: auto, always or never [default: auto]' -r -f -a "auto\t''
always\t''
never\t''"
complete -c prun -n "__fish_prun_using_subcommand run" -s D -l define -d 'Set a variable of the job file' -r
complete -c prun -n "__fish_prun_using_subcommand run" -s k -l keep-order -d 'Print output in the order of the items'
complete -c prun -n "__fish_prun_using_subcommand run" -s u -l ungroup -d 'Let children write straight to prun\'s own stdout and stderr (--output raw)'
complete -c prun -n "__fish_prun_using_subcommand run" -l line-buffer
complete -c prun -n "__fish_prun_using_subcommand run" -l group
complete -c prun -n "__fish_prun_using_subcommand run" -l fail-fast -d 'Stop everything at the first failure'
complete -c prun -n "__fish_prun_using_subcommand run" -l resume -d 'Skip the tasks that ended ok according to the journal'
complete -c prun -n "__fish_prun_using_subcommand run" -l retry-failed -d 'Run only the tasks that failed last time according to the journal'
complete -c prun -n "__fish_prun_using_subcommand run" -l sync -d 'Sync each line to the disk before going on: the journal survives a power failure'
complete -c prun -n "__fish_prun_using_subcommand run" -l dry-run -d 'Print the commands instead of running them'
complete -c prun -n "__fish_prun_using_subcommand run" -s v -l verbose -d 'Print each command as it starts, and the resources it used; twice: also process IDs'
complete -c prun -n "__fish_prun_using_subcommand run" -s q -l quiet -d 'Print failures only'
complete -c prun -n "__fish_prun_using_subcommand run" -l bar
complete -c prun -n "__fish_prun_using_subcommand run" -l no-config -d 'Ignore the configuration file'
complete -c prun -n "__fish_prun_using_subcommand run" -l list -d 'List the jobs and the comment above each'
complete -c prun -n "__fish_prun_using_subcommand run" -l no-deps -d 'Leave out what the JOBs need: run them as if it had been done'
complete -c prun -n "__fish_prun_using_subcommand run" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c prun -n "__fish_prun_using_subcommand run" -s V -l version -d 'Print version'
complete -c prun -n "__fish_prun_using_subcommand exec" -s j -l jobs -d 'Run N tasks at once [default: CPUs]' -r
complete -c prun -n "__fish_prun_using_subcommand exec" -l rate -d 'Start at most this many attempts per time: 10/s, 100/m, 5/h, 1/2s' -r
complete -c prun -n "__fish_prun_using_subcommand exec" -l delay -d 'The time from one start to the next, an option of GNU parallel' -r
complete -c prun -n "__fish_prun_using_subcommand exec" -l load -d 'Start nothing new unless the load average is below this: 4, or 80% of the CPUs' -r
complete -c prun -n "__fish_prun_using_subcommand exec" -l memory-free -d 'Start nothing new while less memory than this is free: 2GB' -r
complete -c prun -n "__fish_prun_using_subcommand exec" -l max-record -d 'Let a record that goes to a standard input, or a worker\'s answer, have up to this many bytes [default: 64MiB]' -r
complete -c prun -n "__fish_prun_using_subcommand exec" -l jobserver -d 'Share the slots with programs that tasks start, such as make and cargo: pipe or fifo [without HOW: pipe]' -r
complete -c prun -n "__fish_prun_using_subcommand exec" -l output -d 'Print a task\'s output in one piece (group), by whole lines (line) or untouched (raw)' -r -f -a "group\t''
line\t''
raw\t''"
complete -c prun -n "__fish_prun_using_subcommand exec" -l tag -d 'Prefix each line of output with the item, or with a text that may have placeholders' -r
complete -c prun -n "__fish_prun_using_subcommand exec" -l tagstring -r
complete -c prun -n "__fish_prun_using_subcommand exec" -l halt -d 'Stop the run early: never, or now or soon with a limit, such as now,fail=1 or soon,fail=20%' -r
complete -c prun -n "__fish_prun_using_subcommand exec" -l grace -d 'Set the grace period: the time from the stop signal to SIGKILL [default: 10s]' -r
complete -c prun -n "__fish_prun_using_subcommand exec" -l status -d 'Choose the exit status: first, any, count or xargs [default: first]' -r -f -a "first\t''
any\t''
count\t''
xargs\t''"
complete -c prun -n "__fish_prun_using_subcommand exec" -l on-success -d 'Run CMD at the end of the run if nothing failed, with the report on its stdin' -r
complete -c prun -n "__fish_prun_using_subcommand exec" -l on-failure -d 'The same if something failed' -r
complete -c prun -n "__fish_prun_using_subcommand exec" -l on-exit -d 'The same however the run ended, after the other hook' -r
complete -c prun -n "__fish_prun_using_subcommand exec" -l journal -d 'Write a line for each finished task to FILE, for --resume' -r -F
complete -c prun -n "__fish_prun_using_subcommand exec" -l progress -d 'Show progress: auto, bar, plain or none [default: auto; without WHEN: bar]' -r -f -a "auto\t''
bar\t''
plain\t''
none\t''"
complete -c prun -n "__fish_prun_using_subcommand exec" -l color -d 'Use colours: auto, always or never [default: auto]' -r -f -a "auto\t''
always\t''
never\t''"
complete -c prun -n "__fish_prun_using_subcommand exec" -s a -l arg-file -d 'Read items from FILE instead of stdin (-: stdin)' -r -F
complete -c prun -n "__fish_prun_using_subcommand exec" -s d -l delimiter -d 'Items end with this character: one byte, or \\n, \\t, \\0, \\xHH' -r
complete -c prun -n "__fish_prun_using_subcommand exec" -l colsep -d 'Split items into columns {1}, {2} and so on, separated by REGEX' -r
complete -c prun -n "__fish_prun_using_subcommand exec" -s n -l max-args -d 'Pass up to N items to one task, also as {1} to {N}' -r
complete -c prun -n "__fish_prun_using_subcommand exec" -s I -l replace -d 'Replace STR with the items, instead of {}' -r
complete -c prun -n "__fish_prun_using_subcommand exec" -l repeat -d 'Run COMMAND N times, without items' -r
complete -c prun -n "__fish_prun_using_subcommand exec" -l block -d 'Make blocks of about this size: 64KiB, 10MB [default: 1MiB]' -r
complete -c prun -n "__fish_prun_using_subcommand exec" -s L -d 'A record is N lines, not one' -r
complete -c prun -n "__fish_prun_using_subcommand exec" -l recstart -d 'A record begins with STR (\\n, \\t, \\0, \\xHH are understood)' -r
complete -c prun -n "__fish_prun_using_subcommand exec" -l recend -d 'A record ends with STR [default: \\n]; with --recstart only where that follows' -r
complete -c prun -n "__fish_prun_using_subcommand exec" -l worker -d 'Send the items, a line each, to long-lived processes that answer each with a line' -r
complete -c prun -n "__fish_prun_using_subcommand exec" -l shell -d 'The shell of scripts [default: /bin/sh]; implies -c' -r
complete -c prun -n "__fish_prun_using_subcommand exec" -s C -l cwd -d 'Set the working directory' -r
complete -c prun -n "__fish_prun_using_subcommand exec" -l env -d 'Set an environment variable' -r
complete -c prun -n "__fish_prun_using_subcommand exec" -l stdin -d 'Read each task\'s standard input from FILE (with placeholders)' -r
complete -c prun -n "__fish_prun_using_subcommand exec" -l stdout -d 'Write each task\'s standard output to FILE: --stdout {%.gz}.txt' -r
complete -c prun -n "__fish_prun_using_subcommand exec" -l stderr -d 'Write each task\'s standard error to FILE (with placeholders)' -r
complete -c prun -n "__fish_prun_using_subcommand exec" -l results -d 'Write each task\'s output to files in DIR, or all to a table: FILE.csv, FILE.tsv or FILE.json' -r
complete -c prun -n "__fish_prun_using_subcommand exec" -l joblog -d 'Write a line for each ended task to FILE, in GNU parallel\'s format' -r
complete -c prun -n "__fish_prun_using_subcommand exec" -l start -d 'Start processes by spawn or fork [default: spawn]' -r -f -a "spawn\t''
fork\t''"
complete -c prun -n "__fish_prun_using_subcommand exec" -l timeout -d 'Stop an attempt that takes longer: 30s, 1h30m' -r
complete -c prun -n "__fish_prun_using_subcommand exec" -l retries -d 'Try again up to N times after a failure' -r
complete -c prun -n "__fish_prun_using_subcommand exec" -l retry-delay -d 'Wait this long before each further attempt [default: 0]' -r
complete -c prun -n "__fish_prun_using_subcommand exec" -l retry-on -d 'Try again only after these: exit statuses, timeout, signal' -r
complete -c prun -n "__fish_prun_using_subcommand exec" -l ok -d 'Count these as success: exit statuses, timeout, signal, separated by commas: 0,1 [default: 0]' -r
complete -c prun -n "__fish_prun_using_subcommand exec" -l stop-signal -d 'Send this signal to stop a task [default: TERM, or the one that prun got]' -r
complete -c prun -n "__fish_prun_using_subcommand exec" -l stop -d 'Send the stop signal to the tree, the group or the process [default: tree]' -r -f -a "tree\t''
group\t''
process\t''"
complete -c prun -n "__fish_prun_using_subcommand exec" -s k -l keep-order -d 'Print output in the order of the items'
complete -c prun -n "__fish_prun_using_subcommand exec" -s u -l ungroup -d 'Let children write straight to prun\'s own stdout and stderr (--output raw)'
complete -c prun -n "__fish_prun_using_subcommand exec" -l line-buffer
complete -c prun -n "__fish_prun_using_subcommand exec" -l group
complete -c prun -n "__fish_prun_using_subcommand exec" -l fail-fast -d 'Stop everything at the first failure'
complete -c prun -n "__fish_prun_using_subcommand exec" -l resume -d 'Skip the tasks that ended ok according to the journal'
complete -c prun -n "__fish_prun_using_subcommand exec" -l retry-failed -d 'Run only the tasks that failed last time according to the journal'
complete -c prun -n "__fish_prun_using_subcommand exec" -l sync -d 'Sync each line to the disk before going on: the journal survives a power failure'
complete -c prun -n "__fish_prun_using_subcommand exec" -l dry-run -d 'Print the commands instead of running them'
complete -c prun -n "__fish_prun_using_subcommand exec" -s v -l verbose -d 'Print each command as it starts, and the resources it used; twice: also process IDs'
complete -c prun -n "__fish_prun_using_subcommand exec" -s q -l quiet -d 'Print failures only'
complete -c prun -n "__fish_prun_using_subcommand exec" -l bar
complete -c prun -n "__fish_prun_using_subcommand exec" -l no-config -d 'Ignore the configuration file'
complete -c prun -n "__fish_prun_using_subcommand exec" -s 0 -l null -d 'Items end with NUL, not newline: for find -print0'
complete -c prun -n "__fish_prun_using_subcommand exec" -l words -d 'Items are words: blanks and newlines separate them, quotes and backslashes work as in xargs'
complete -c prun -n "__fish_prun_using_subcommand exec" -l csv -d 'Items are rows of comma-separated values'
complete -c prun -n "__fish_prun_using_subcommand exec" -l header -d 'Take column names from the first item of each source, for {NAME}'
complete -c prun -n "__fish_prun_using_subcommand exec" -l link -d 'Take items of all sources in step, not in all combinations; shorter sources start again'
complete -c prun -n "__fish_prun_using_subcommand exec" -s X -d 'Pass as many items to one task as fit; a word with {} is repeated'
complete -c prun -n "__fish_prun_using_subcommand exec" -s r -l no-run-if-empty -d 'Skip empty items; without any items nothing ever runs'
complete -c prun -n "__fish_prun_using_subcommand exec" -l once -d 'Run COMMAND once, without items, with prun\'s own stdin'
complete -c prun -n "__fish_prun_using_subcommand exec" -l pipe -d 'Cut stdin (or -a FILE) into blocks of whole lines, one to the stdin of each task'
complete -c prun -n "__fish_prun_using_subcommand exec" -l round-robin -d 'Pass the blocks to long-lived tasks, each to the one with the least left to read'
complete -c prun -n "__fish_prun_using_subcommand exec" -s c -l script -d 'COMMAND is a script for the shell'
complete -c prun -n "__fish_prun_using_subcommand exec" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c prun -n "__fish_prun_using_subcommand check" -s D -l define -d 'Set a variable of the job files' -r
complete -c prun -n "__fish_prun_using_subcommand check" -l color -d 'Use colours: auto, always or never [default: auto]' -r -f -a "auto\t''
always\t''
never\t''"
complete -c prun -n "__fish_prun_using_subcommand check" -s q -l quiet -d 'Print nothing for files that are in order, and no counts'
complete -c prun -n "__fish_prun_using_subcommand check" -l no-config -d 'Ignore the configuration file'
complete -c prun -n "__fish_prun_using_subcommand check" -s h -l help -d 'Print help'
complete -c prun -n "__fish_prun_using_subcommand graph" -l format -d 'Draw it as text, or write it for another program: text, dot or mermaid [default: text]' -r -f -a "text\t''
dot\t''
mermaid\t''"
complete -c prun -n "__fish_prun_using_subcommand graph" -s D -l define -d 'Set a variable of the job file' -r
complete -c prun -n "__fish_prun_using_subcommand graph" -l color -d 'Use colours: auto, always or never [default: auto]' -r -f -a "auto\t''
always\t''
never\t''"
complete -c prun -n "__fish_prun_using_subcommand graph" -l no-config -d 'Ignore the configuration file'
complete -c prun -n "__fish_prun_using_subcommand graph" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c prun -n "__fish_prun_using_subcommand report" -l format -d 'Write it for other programs: joblog, junit or trace' -r -f -a "joblog\t''
junit\t''
trace\t''"
complete -c prun -n "__fish_prun_using_subcommand report" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c prun -n "__fish_prun_using_subcommand completions" -s h -l help -d 'Print help'
