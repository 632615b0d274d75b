"""How soon prun responds while it is busy with something else."""

import os
import random
import shutil
import signal
import statistics
import subprocess
import time

from lib.table import Failed, Figure, Figures, most

# The most that a busy prun may add to the delay of an idle one, which is the machine's.
ALLOWED = most(0.1, "ms")


def latency(bench):
    """How late a line of one task comes out, and how late a signal to prun reaches a task, while others start."""
    storm = bench.amount(2000, 50)
    whiles = {"idle": None, "-j2": 2, "-j64": 64}

    def lines(name, jobs):
        others = f"repeat = {storm}\ncommand = ['/bin/true']\n" if jobs else "command = ['sleep', '0.5']\n"
        bench.write(f"lines{name}.toml",
                    f"run.pool = {jobs or 1}\nrun.output = 'line'\n"
                    "[jobs.beat]\ndaemon = true\ncommand = ['latency', 'beat', '1000']\n"
                    f"[jobs.storm]\n{others}")
        return delays(f"$PRUN -q lines{name}.toml")

    def without_prun(name, jobs):
        """The same lines through a pipe of their own, beside a bare loop that starts as many."""
        others = f"bare {jobs} {storm} /bin/true" if jobs else "sleep 0.5"
        return delays(f"{{ latency beat 1000 & beat=$!; {others} >&2; kill $beat; }}")

    def delays(command):
        """Returns how many milliseconds late each line of the command came."""
        bench.shell(f"{command} | latency read late")
        with open(bench.path("late")) as late:
            found = [int(line) / 1e6 for line in late]
        if not found:
            raise Failed("no line came")
        return found

    def measure_lines():
        samples = {}
        for name, jobs in whiles.items():
            samples[f"prun, {name}"] = lambda name=name, jobs=jobs: lines(name, jobs)
            samples[f"without prun, {name}"] = lambda name=name, jobs=jobs: without_prun(name, jobs)
        return differences(bench.interleave("latency of a line", samples)[0], whiles)

    def measure_signals():
        # A run gives one sample.
        samples = {}
        for name, jobs in whiles.items():
            samples[f"prun, {name}"] = lambda name=name, jobs=jobs: [signal_delay(bench, name, jobs, storm)]
            samples[f"without prun, {name}"] = lambda jobs=jobs: [bare_signal_delay(bench, jobs, storm)]
        return differences(bench.interleave("latency of a signal", samples, rounds=bench.amount(40, 2))[0], whiles)

    rows = []
    for name in whiles:
        rows.append(Figure(f"prun, {name}", "ms", digits=3))
        if name != "idle":
            rows.append(Figure(f"prun, {name}, more than idle", "ms", ALLOWED, 3))
    others = [Figure(row.name.replace("prun", "without prun"), "ms", digits=3) for row in rows]
    title = f"while {storm:,} × /bin/true start, median"
    needs = ("latency", "bare")
    for what, measure in [("a task's write of a line to the reader of prun's stdout", measure_lines),
                          ("SIGTERM to prun to SIGTERM in a task", measure_signals)]:
        yield Figures(f"from {what}, {title}", rows + others, measure, needs)


def differences(lists, whiles):
    """Returns medians by name, and those less the idle one."""
    values = {}
    for who in {name.split(",")[0] for name in lists}:
        for name in whiles:
            samples = lists[f"{who}, {name}"]
            bad = isinstance(samples, Failed)
            values[f"{who}, {name}"] = samples if bad else statistics.median(sum(samples, []))
            idle = values[f"{who}, idle"]
            if name != "idle" and not bad and not isinstance(idle, Failed):
                values[f"{who}, {name}, more than idle"] = values[f"{who}, {name}"] - idle
    return values


def signal_delay(bench, name, jobs, storm):
    """Returns the milliseconds from a SIGTERM to prun until one of its tasks gets its own."""
    others = f"[jobs.storm]\nrepeat = {storm}\ncommand = ['/bin/true']\n" if jobs else ""
    bench.write(f"signal{name}.toml",
                f"run.pool = {(jobs or 1) + 1}\n[jobs.trap]\ncommand = ['latency', 'trap', 'ready', 'came']\n{others}")
    return delay_of_term(bench, [bench.prun, "-q", f"signal{name}.toml"], storm)


def bare_signal_delay(bench, jobs, storm):
    """The same if the task gets the signal at first hand, while a bare loop starts as many programs."""
    if not jobs:
        return delay_of_term(bench, ["latency", "trap", "ready", "came"], storm)
    # The loop goes on until it is ended.
    with spawn(bench, ["bare", str(jobs), "100000000", "/bin/true"], stderr=subprocess.DEVNULL) as loop:
        try:
            return delay_of_term(bench, ["latency", "trap", "ready", "came"], storm)
        finally:
            loop.kill()


def spawn(bench, command, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE):
    command = [shutil.which(command[0], path=bench.env["PATH"]) or command[0], *command[1:]]
    return subprocess.Popen(command, env=bench.env, cwd=bench.folder, stdin=stdin, stdout=subprocess.DEVNULL,
                            stderr=stderr)


def delay_of_term(bench, command, storm):
    """Runs a command that makes the file `ready`, sends it SIGTERM, and returns the milliseconds until the time in the
    file `came`."""
    for file in ["ready", "came"]:
        if os.path.exists(bench.path(file)):
            os.remove(bench.path(file))
    run = spawn(bench, command)
    try:
        wait_for(lambda: os.path.exists(bench.path("ready")), run, "the task's first sign")
        # At any moment of the starts that go on meanwhile.
        time.sleep(random.uniform(0.005, min(0.15, storm / 20_000)))
        sent = time.monotonic_ns()
        run.send_signal(signal.SIGTERM)
        run.communicate(timeout=30)
    except subprocess.TimeoutExpired:
        raise Failed(f"{command[0]} did not end within 30 s of SIGTERM") from None
    finally:
        run.kill()
        run.communicate()
    try:
        with open(bench.path("came")) as file:
            return (int(file.read()) - sent) / 1e6
    except (OSError, ValueError) as why:
        raise Failed(f"the signal did not come: {why}") from None


def wait_for(happened, run, what, limit=120):
    """Looks for something that a run does; Failed if it ends before, or it takes too long."""
    end = time.monotonic() + limit
    while not happened():
        if run.poll() is not None or time.monotonic() > end:
            run.kill()
            _, err = run.communicate()
            raise Failed(f"no {what}: {err.decode(errors='replace')[-300:]}")
        time.sleep(0.002)


def many(bench):
    """Children that all live at once."""
    count = bench.amount(5000, 50)
    script = "echo x >>started; exec sleep 1000"

    def sample():
        started = bench.path("started")
        open(started, "w").close()
        items = "\n".join(map(str, range(count))) + "\n"
        begin = time.monotonic()
        run = spawn(bench, [bench.prun, "exec", "-q", "-j0", "-c", script], stdin=subprocess.PIPE)
        try:
            run.stdin.write(items.encode())
            run.stdin.close()
            run.stdin = None
            wait_for(lambda: os.path.getsize(started) >= 2 * count, run, f"{count} children at once")
            all_run = time.monotonic()
            run.send_signal(signal.SIGTERM)
            run.communicate(timeout=120)
        except subprocess.TimeoutExpired:
            raise Failed("prun did not end within 120 s of SIGTERM") from None
        finally:
            run.kill()
            run.communicate()
        return all_run - begin, time.monotonic() - all_run

    def measure():
        pairs = bench.interleave("many", {"all": sample}, rounds=min(bench.rounds, 3))[0]["all"]
        if isinstance(pairs, Failed):
            raise pairs
        return dict(zip(["until all run", "from SIGTERM to prun's end"], map(statistics.median, zip(*pairs))))
    rows = [Figure("until all run", "s", digits=2),
            Figure("from SIGTERM to prun's end", "s", most(2, "s"), 2)]
    yield Figures(f"{count:,} × sh that executes sleep, all at once", rows, measure)
