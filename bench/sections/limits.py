"""What a task costs in instructions, page faults, calls, lines of a log and memory."""

import os
import re
import statistics
import subprocess

from lib.table import Compare, Failed, Figure, Figures, Peer, least, most
from lib.tools import is_there
from sections.starts import medians

# Runs that are counted, by name; {0} is the number of tasks. Callgrind does not know every way of starting a program,
# but it knows fork.
RUNS = {
    "prun": "$PRUN exec -j2 -a items{0} -- /bin/true",
    "bare vfork+exec": "bare 2 {0} /bin/true",
    "C loop that captures": "capture 2 {0} /bin/true",
    "xargs": "xargs -a items{0} -P2 -n1 /bin/true",
}
COUNTED = {
    # what: unit, how, who
    "instructions": "callgrind, prun's process alone, children by fork",
    "system calls": "strace -f -b execve, up to a child's exec",
    "page faults": "getrusage, with those of the children",
    "context switches": "getrusage, voluntary, with those of the children",
}


def counts(bench):
    """Numbers that hardly depend on the machine: those of one task, and how many more a run with twice as many tasks
    has, divided by the tasks."""
    few = bench.amount(400, 20)

    def measure(what):
        samples = {}
        for name, command in rows_of(what):
            for tasks in [1, few, 2 * few]:
                samples[name, tasks] = lambda command=command, tasks=tasks: COUNTERS[what](bench, command.format(tasks))
        for tasks in [1, few, 2 * few]:
            bench.write(f"items{tasks}", "".join(f"{number}\n" for number in range(tasks)))
        seen = medians(bench.interleave(what, samples, rounds=1 if what == "instructions" else 3, warm_up=False)[0])
        values = {}
        for name, _ in rows_of(what):
            bad = next((seen[name, tasks] for tasks in [1, few, 2 * few] if isinstance(seen[name, tasks], Failed)), None)
            values[f"{name}, one task in all"] = bad or seen[name, 1]
            values[f"{name}, each start"] = bad or (seen[name, 2 * few] - seen[name, few]) / few
        return values

    for what, how in COUNTED.items():
        rows = [Figure(f"{name}, {which}", "", digits=digits) for which, digits in
                [("each start", 1), ("one task in all", 0)] for name, _ in rows_of(what)]
        yield Figures(f"{what} ({how})", rows, lambda what=what: measure(what))


def rows_of(what):
    if what == "instructions":
        return [("prun", RUNS["prun"].replace("exec -j2", "exec -j2 --start fork"))] if is_there("valgrind") else []
    if what == "system calls" and not is_there("strace"):
        return []
    return [(name, command) for name, command in RUNS.items() if name == "prun" or is_there(command.split()[0])]


def instructions(bench, command):
    tool = "valgrind --tool=callgrind --trace-children=no --callgrind-out-file=callgrind.out"
    bench.shell(f"{tool} --log-file=callgrind.log {command} </dev/null >/dev/null")
    with open(bench.path("callgrind.log")) as log:
        found = re.search(r"Collected : (\d+)", log.read())
    if not found:
        raise Failed(f"callgrind counted nothing in `{command}`")
    return int(found[1])


def system_calls(bench, command):
    bench.shell(f"strace -f -b execve -c -o calls {command} >/dev/null")
    with open(bench.path("calls")) as table:
        total = table.read().rstrip().rsplit("\n", 1)[-1].split()
    if not total or total[-1] != "total":
        raise Failed(f"strace counted nothing in `{command}`")
    return int(total[3])


def usage(field):
    def of(bench, command):
        child = subprocess.Popen(["sh", "-c", f"exec {command} >/dev/null"], env=bench.env, cwd=bench.folder,
                                 stdin=subprocess.DEVNULL)
        _, status, used = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        if child.returncode != 0:
            raise Failed(f"`{command}`: status {child.returncode}")
        return getattr(used, field)
    return of


COUNTERS = {
    "instructions": instructions,
    "system calls": system_calls,
    "page faults": usage("ru_minflt"),
    "context switches": usage("ru_nvcsw"),
}


def journal(bench):
    """What a line for each task costs: each kind of log beside the same run without."""
    count = bench.amount(4000, 40)
    for flags, lines, goal in [("--journal log", count, least(0.95)), ("--journal log --sync", count, None),
                               ("--joblog log", count + 1, least(0.95))]:
        run = f"rm -f log; seq {count} | $PRUN exec -j2 {{}} -- /bin/true"
        yield Compare(f"{count:,} × /bin/true, two at once, with {flags}", count, "tasks", [
            Peer(f"prun exec {flags}", f"{run.format(flags)}; test $(grep -c . log) -ge {lines}"),
            Peer("prun exec", run.format(""), goal),
        ])


def scale(bench):
    """Neither the cost of a task nor memory grow with the number of items."""
    least_tasks, many = bench.amount(1000, 20), bench.amount(1_000_000, 2000)
    runs = {}
    for tasks in [least_tasks, 10 * least_tasks, 100 * least_tasks]:
        runs[f"{tasks:,} × /bin/true"] = (tasks, f"seq {tasks} | peak hwm $PRUN exec -j2 /bin/true")
    ours, theirs = f"{many:,} items, prun exec -n1000", f"{many:,} items, xargs -n1000"
    runs[ours] = (many, "peak hwm $PRUN exec -j2 -n1000 /bin/true <million")
    if is_there("xargs"):
        runs[theirs] = (many, "peak hwm xargs -P2 -n1000 /bin/true <million")

    names = list(runs)
    pairs = {(name, names[0]): f"an item: {name} / {names[0]}" for name in names[1:3]}
    pairs[ours, theirs] = "an item: prun / xargs, -n1000"

    def sample(command):
        seconds = bench.seconds(command)
        with open(bench.path("hwm")) as hwm:
            return seconds, int(hwm.read()) / 1000

    def measure():
        bench.write("million", "".join(f"{number}\n" for number in range(many)))
        seen, _ = bench.interleave("scale", {name: lambda command=command: sample(command)
                                             for name, (_, command) in runs.items()})
        values = {}
        for name, (count, _) in runs.items():
            bad = seen[name] if isinstance(seen[name], Failed) else None
            values[name] = bad or statistics.median(time for time, _ in seen[name]) / count * 1e6
            values[f"{name}, memory"] = bad or max(memory for _, memory in seen[name])
        for (name, first), row in pairs.items():
            if all(isinstance(seen.get(side), list) for side in (name, first)):
                values[row] = values[name] / values[first]
        return values

    rows = []
    for name in [*names[:3], ours, theirs]:
        rows.append(Figure(name, "µs an item", digits=2))
        rows.append(Figure(f"{name}, memory", "MB", most(20, "MB") if name != theirs else None))
    rows += [Figure(row, "", most(1.2 if first == theirs else 1.1), 2) for (_, first), row in pairs.items()]
    yield Figures("many items, two tasks at once", rows, measure, ("peak",))
