"""How fast programs are started, and what one run costs."""

import os
import statistics

from lib.table import Compare, Failed, Figure, Figures, Peer, least, most


def checked(count, peers):
    """Lets each of the peers fail that did not run all tasks."""
    for peer in peers:
        peer.command += f" >out && test $(sort -n out | uniq | wc -l) = {count}"
    return peers


def start(bench):
    count = bench.amount(4000, 40)
    goals = {
        2: {"bare": least(0.93, 0.95), "capture": least(1.0, 1.03), "xargs": least(1.2, 1.22),
            "rust-parallel": least(1.28, 1.3), "parallel": least(7.2, 7.5)},
        8: {"xargs": least(1.3)},
        64: {},
    }
    for jobs, goal in goals.items():
        def row(program, name, command):
            return Peer(name, command, goal.get(program), needs=(program,))
        items = f"seq {count} |"
        peers = [
            Peer(f"prun exec -j{jobs}", f"{items} $PRUN exec -j{jobs} -- /bin/echo {{}}"),
            row("bare", "bare vfork+exec, no capture", f"bare {jobs} {count} /bin/echo"),
            row("capture", "C loop that captures", f"capture {jobs} {count} /bin/echo"),
            row("xargs", f"xargs -P{jobs} -n1 (no capture)", f"{items} xargs -P{jobs} -n1 /bin/echo"),
            row("rust-parallel", f"rust-parallel -j{jobs}", f"{items} rust-parallel -j{jobs} /bin/echo"),
        ]
        if jobs == 2:  # it has no more to show with 64, only more slowly
            peers.append(row("parallel", "GNU parallel -j2", f"{items} parallel -j2 /bin/echo {{}}"))
        yield Compare(f"{count:,} × /bin/echo, {jobs} at once, grouped", count, "tasks", checked(count, peers))


def starters(bench):
    """What more starting threads, or not waiting for the exec, would give: without capture, so ahead of prun."""
    count = bench.amount(4000, 40)
    for jobs in [2, 8]:
        peers = [Peer(f"prun exec -j{jobs}", f"seq {count} | $PRUN exec -j{jobs} -- /bin/echo {{}}")]
        for threads in [1, 2, 4, 8]:
            name = f"C, vfork, {threads} starting thread{'s' if threads > 1 else ''}"
            peers.append(Peer(name, f"starters vfork {threads} {jobs} {count} /bin/echo", needs=("starters",)))
        peers.append(Peer("C, no wait for the exec", f"starters clone {jobs} {count} /bin/echo", needs=("starters",)))
        yield Compare(f"{count:,} × /bin/echo, {jobs} at once, by starting threads", count, "tasks",
                      checked(count, peers))


def cores(bench):
    """Starts by CPUs, one task for each."""
    count = bench.amount(4000, 40)
    last = len(os.sched_getaffinity(0))
    powers = [1 << power for power in range(last.bit_length()) if 1 << power < last]
    for cpus in [*powers, last]:
        each = count * min(cpus, 8)
        peers = [
            Peer(f"prun exec -j{cpus}", f"seq {each} | $PRUN exec -j{cpus} -- /bin/echo {{}}"),
            Peer(f"xargs -P{cpus}", f"seq {each} | xargs -P{cpus} -n1 /bin/echo", needs=("xargs",)),
            Peer("bare vfork+exec", f"bare {cpus} {each} /bin/echo", needs=("bare",)),
            Peer("C, no wait for the exec", f"starters clone {cpus} {each} /bin/echo", needs=("starters",)),
        ]
        title = f"{each:,} × /bin/echo on {cpus} of {last} CPUs, {cpus} at once"
        yield Compare(title, each, "tasks", checked(each, peers), cpus=cpus)


def one(bench):
    for count, others in [(bench.amount(100, 3), [("xargs", "xargs -n1", least(0.75))]),
                          (bench.amount(10, 2), [("GNU parallel", "parallel", None)])]:
        def loop(command):
            return f"for i in $(seq {count}); do echo x | {command} /bin/echo >/dev/null; done"
        peers = [Peer("prun exec", loop("$PRUN exec --"))]
        peers += [Peer(name, loop(command), goal, needs=(command.split()[0],)) for name, command, goal in others]
        yield Compare(f"one task, {count} runs of it", count, "runs", peers)
    look = "grep VmHWM /proc/$PPID/status"
    commands = {"prun exec": f"echo x | $PRUN exec -c '{look}'", "xargs": f"echo x | xargs -n1 sh -c '{look}'"}

    def measure():
        lists, _ = bench.interleave("memory of one task", {
            name: lambda command=command: kilobytes(bench.shell(command)[0]) / 1000
            for name, command in commands.items()
        }, rounds=3)
        return medians(lists)
    rows = [Figure("prun exec", "MB", most(5, "MB")), Figure("xargs", "MB")]
    yield Figures("peak of resident memory while one task runs", rows, measure)


def kilobytes(line):
    """Returns the number of `VmHWM:  1234 kB`."""
    words = line.split()
    if len(words) < 2 or not words[1].isdigit():
        raise Failed(f"no VmHWM: {line!r}")
    return int(words[1])


def medians(lists):
    return {name: values if isinstance(values, Failed) else statistics.median(values) for name, values in lists.items()}


def heap(bench):
    """Starts while prun's heap is large: a job that is skipped holds a million items. The time that reading them takes
    is measured by a run of a single task, and taken off."""
    count, items = bench.amount(1000, 20), bench.amount(1_000_000)
    kinds = [(start, size) for start in ["spawn", "fork"] for size in ["small", "large"]]

    def write(start, size, tasks):
        job = f"[jobs.work]\nrepeat = {tasks}\nstart = '{start}'\n"
        if tasks == 1:
            job += "stdout = 'inherit'\ncommand = ['sh', '-c', 'grep VmHWM /proc/$PPID/status']\n"
        else:
            job += "command = ['/bin/true']\n"
        if size == "large":
            each = ",".join(f'"{number:020}"' for number in range(items))
            job += f"[jobs.heap]\nafter = {{ work = 'failure' }}\ncommand = 'true'\neach = [{each}]\n"
        name = f"{start}-{size}-{tasks}.toml"
        bench.write(name, f"run.pool = 2\n{job}")
        return f"$PRUN -q {name}"

    def measure():
        runs = {}
        for start, size in kinds:
            alone, work = write(start, size, 1), write(start, size, count)
            runs[start, size, 1] = lambda command=alone: bench.shell(command)
            runs[start, size, count] = lambda command=work: bench.shell(command)
        seen, _ = bench.interleave("heap", runs)
        values = {}
        for start, size in kinds:
            alone, work = seen[start, size, 1], seen[start, size, count]
            bad = next((side for side in (alone, work) if isinstance(side, Failed)), None)
            net = bad or statistics.median(time for _, time in work) - statistics.median(time for _, time in alone)
            # With very little work the difference may be noise.
            values[f"{start}, {size} heap"] = bad or count / max(net, 1e-3)
            values[f"{start}, {size} heap, memory"] = bad or max(kilobytes(said) for said, _ in alone) / 1000
        return values
    rows = [Figure(f"{start}, {size} heap", "tasks/s", digits=0) for start, size in kinds]
    rows += [Figure(f"{start}, {size} heap, memory", "MB") for start, size in kinds]
    yield Figures(f"{count:,} × /bin/true, two at once, without the time that reading the file takes", rows, measure)
    peers = [Peer(f"C, {start}, {size} MB", f"heap {start} {size} {count} /bin/true", needs=("heap",))
             for start in ["spawn", "fork"] for size in [1, 100]]
    yield Compare("for comparison: one at a time in C (ratio: to the first row)", count, "starts", peers)
