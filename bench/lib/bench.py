"""Runs tables and prints them."""

import contextlib
import os
import signal
import statistics
import subprocess
import sys
import time

from lib import machine, tools
from lib.table import Compare, Failed

# Seconds after which a command counts as hung.
LIMIT = 600


class Bench:
    """The settings of a run, and what it found."""

    def __init__(self, size, rounds, folder, prun):
        self.size = size
        self.rounds = rounds
        self.top = folder
        self.folder = folder
        self.prun = prun
        self.missed, self.failed, self.busy = [], [], []
        # GNU parallel asks for a citation on its first runs; an empty file `will-cite` is its own way to say that it
        # was read. The user's configuration of prun is not read.
        self.env = dict(os.environ, PARALLEL_HOME=folder, XDG_CONFIG_HOME=folder, LC_ALL="C", PRUN=prun)
        self.env["PATH"] = tools.PATH

    # --- what sections ask for ---

    def amount(self, full, at_least=1):
        """Returns how much of the full work is done in this run."""
        return max(round(full * self.size), at_least)

    @property
    def megabytes(self):
        return self.amount(1000, 8)

    def path(self, name):
        """Returns the path of a file of this section, which no other section sees."""
        return os.path.join(self.folder, name)

    def data_path(self, megabytes):
        return os.path.join(self.top, f"lines-{megabytes}M")

    def data(self, megabytes):
        """Makes the file of data_path, once for all sections: lines of numbered text, about so many megabytes."""
        path = self.data_path(megabytes)
        if not os.path.exists(path):
            line = b"%08d the quick brown fox jumps over the lazy dog, again and again and again\n"
            block = b"".join(line % number for number in range(13000))
            with open(path, "wb") as out:
                for _ in range(max(megabytes * 1_000_000 // len(block), 1)):
                    out.write(block)
        return path

    def write(self, name, text):
        with open(self.path(name), "w") as out:
            out.write(text)

    def enter(self, section):
        """Gives the section a folder of its own."""
        self.folder = os.path.join(self.top, section)
        os.makedirs(self.folder, exist_ok=True)

    def shell(self, command):
        """Runs `sh -c command` and returns its stdout and how long it took; Failed if it fails or hangs."""
        begin = time.perf_counter()
        child = subprocess.Popen(["sh", "-c", command], env=self.env, cwd=self.folder, stdin=subprocess.DEVNULL,
                                 stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True)
        try:
            out, err = child.communicate(timeout=LIMIT)
        except subprocess.TimeoutExpired:
            end_group(child)
            raise Failed(f"`{command}`: still running after {LIMIT} s") from None
        except BaseException:
            end_group(child)
            raise
        elapsed = time.perf_counter() - begin
        if child.returncode != 0:
            said = err.decode(errors="replace").strip()[-300:]
            raise Failed(f"`{command}`: status {child.returncode}{': ' + said if said else ''}")
        return out.decode(errors="replace"), elapsed

    def seconds(self, command):
        """Returns how long `sh -c command` took, or the time that it prints itself."""
        out, elapsed = self.shell(command)
        return float(out) if out.strip() else elapsed

    def interleave(self, title, samples, rounds=None, warm_up=True):
        """Calls each function of `samples` once a round. Returns, by name, the list of its values, or the Failed that
        ended it; and by name how the machine was disturbed."""
        values = {name: [] for name in samples}
        disturbed = {name: machine.Disturbance() for name in samples}
        rounds = rounds or self.rounds
        for number in range(0 if warm_up and self.size > 0.05 else 1, rounds + 1):
            for name, sample in samples.items():
                if isinstance(values[name], Failed):
                    continue
                tools.say(f"{title}: round {number}/{rounds}: {name}")
                try:
                    with disturbed[name]:
                        value = sample()
                except (Failed, OSError, ValueError) as why:
                    values[name] = why if isinstance(why, Failed) else Failed(f"{type(why).__name__}: {why}")
                    continue
                if number > 0:  # the first one warms up
                    values[name].append(value)
        return values, disturbed

    # --- tables ---

    def show(self, section, table):
        tools.say("")
        if isinstance(table, Compare):
            self.compare(section, table)
        elif not all(map(tools.is_there, table.needs)):
            print(f"\n{section}: {table.title}\n  left out, because it needs {' and '.join(table.needs)}")
        else:
            self.figures(section, table)
        sys.stdout.flush()

    def compare(self, section, table):
        if table.prepare:
            table.prepare()
        peers = {peer.name: peer for peer in table.peers if all(map(tools.is_there, peer.needs))}
        if not peers:
            return
        samples = {name: lambda peer=peer: self.seconds(peer.command) for name, peer in peers.items()}
        with on_cpus(table.cpus):
            times, disturbed = self.interleave(table.title, samples)
        tools.say("")
        print(f"\n{section}: {table.title}")
        print(f"  {'':36} {'median':>9} {table.unit + '/s':>12} {'ratio':>7}  goal")
        ours = times[next(iter(peers))]
        for name, peer in peers.items():
            if isinstance(times[name], Failed):
                self.failure(section, name, times[name])
                continue
            median = statistics.median(times[name])
            rate = table.count / median
            ratio = None
            if not isinstance(ours, Failed):
                ratio = statistics.median(their / our for their, our in zip(times[name], ours))
            verdicts = [
                self.judge(section, table.title, name, value, goal)
                for value, goal in [(ratio, peer.goal), (rate, peer.rate)]
                if goal is not None and value is not None
            ]
            told = "" if ratio is None else f"{ratio:7.2f}"
            note = self.disturbance(section, name, disturbed[name])
            line = f"  {name:36} {median:7.3f} s {rate:12,.0f} {told:7}  {'; '.join([*verdicts, *note])}"
            print(line.rstrip())

    def figures(self, section, table):
        disturbed = machine.Disturbance()
        try:
            with disturbed:
                values = table.measure()
        except Failed as why:
            values = {row.name: why for row in table.rows}
        tools.say("")
        print(f"\n{section}: {table.title}")
        for row in table.rows:
            value = values.get(row.name)
            if isinstance(value, Failed):
                self.failure(section, row.name, value)
            elif value is not None:
                verdict = self.judge(section, table.title, row.name, value, row.goal) if row.goal else ""
                print(f"  {row.name:42} {value:13,.{row.digits}f} {row.unit:12}  {verdict}".rstrip())
        for note in self.disturbance(section, table.title, disturbed):
            print(f"  {note}")

    def judge(self, section, title, name, value, goal):
        verdict = goal.verdict(value)
        if verdict == "MISSED":
            self.missed.append(f"{section}: {title}: {name}: {value:,.2f}, goal {goal}")
        return f"{goal} {verdict}"

    def failure(self, section, name, why):
        self.failed.append(f"{section}: {name}: {why}")
        print(f"  {name:36} failed: {why}")

    def disturbance(self, section, name, disturbed):
        note = disturbed.note()
        if note:
            self.busy.append(f"{section}: {name}: {note}")
        return [note] if note else []

    def summary(self):
        print()
        for title, found in [("goals missed", self.missed), ("failed", self.failed), ("rows on a busy machine", self.busy)]:
            print(f"{title}: {len(found) or 'none'}")
            for line in found:
                print(f"  {line}")


def end_group(child):
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGKILL)
    child.communicate()


@contextlib.contextmanager
def on_cpus(count):
    """Runs what is started meanwhile on the first `count` of the CPUs that may be used (None: on all)."""
    allowed = os.sched_getaffinity(0)
    try:
        if count is not None:
            os.sched_setaffinity(0, sorted(allowed)[:count])
        yield
    finally:
        os.sched_setaffinity(0, allowed)
