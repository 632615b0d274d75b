"""How fast bytes go through prun."""

from lib.table import Compare, Peer, least

# Python's whole communicate(), timed inside, so that its start-up and the reading of the data don't count.
COMMUNICATE = """
import subprocess, sys, time
data = open(sys.argv[1], "rb").read()
begin = time.perf_counter()
output, _ = subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE).communicate(data)
print(time.perf_counter() - begin)
assert output == data
"""


def feed(bench):
    path = bench.data_path(bench.megabytes)

    def prepare():
        bench.data(bench.megabytes)
        bench.write("communicate.py", COMMUNICATE)
    yield Compare(f"{bench.megabytes} MB through `cat` and captured", bench.megabytes, "MB", [
        Peer("prun exec --stdin FILE", f"$PRUN exec --stdin {path} -c cat ::: x >/dev/null"),
        Peer("Python communicate()", f"python3 communicate.py {path}", least(8)),
    ], prepare)


def pipeline(bench):
    path = bench.data_path(bench.megabytes)

    def prepare():
        bench.data(bench.megabytes)
        bench.write("pipeline.toml",
                    f"[jobs.p]\npipeline = ['cat {path}', 'tr a-z A-Z', 'wc -l']\nstdout.file = '/dev/null'\n")
    yield Compare(f"three stages over {bench.megabytes} MB", bench.megabytes, "MB", [
        Peer("prun, pipeline = [...]", "$PRUN pipeline.toml"),
        Peer("sh -c 'a | b | c'", f"cat {path} | tr a-z A-Z | wc -l >/dev/null", least(0.98)),
    ], prepare)


def group(bench):
    part = bench.data_path(bench.megabytes // 8)

    def prepare():
        bench.data(bench.megabytes // 8)
    for title, tasks, ours, theirs, rate in [
        ("grouped, from two tasks", 2, "", "", None),
        ("grouped, from eight tasks", 8, "", "", None),
        ("tagged", 8, "--tag={#}", "--tagstring {#}", least(500, unit="MB/s")),
        ("by lines", 8, "--output line", "--line-buffer", None),
    ]:
        items = f"yes {part} | head -n {tasks} |"
        cat = f"cat{' {}' * (8 // tasks)} >/dev/null"
        yield Compare(f"{bench.megabytes} MB of output, {title}", bench.megabytes, "MB", [
            Peer(f"prun exec {ours}".strip(), f"{items} $PRUN exec -j2 {ours} -- {cat}", rate=rate),
            Peer(f"parallel {theirs}".strip(), f"{items} parallel -j2 {theirs} {cat}", least(1.0), needs=("parallel",)),
        ], prepare)
    for results in ["results", "results.csv", "results.json"]:
        command = f"rm -rf {results}; yes {part} | head -n 8 | {{}} -j2 --results {results} cat {{{{}}}} >/dev/null"
        yield Compare(f"{bench.megabytes} MB of output, as {results}", bench.megabytes, "MB", [
            Peer(f"prun exec --results {results}", command.format("$PRUN exec")),
            Peer(f"parallel --results {results}", command.format("parallel"), needs=("parallel",)),
        ], prepare)


def sum_is(path):
    """Returns a check that the numbers in the file `out` add up to the lines of `path`: nobody is measured who does
    not do the work."""
    return f"test $(awk '{{ all += $1 }} END {{ printf \"%d\", all }}' out) = $(cat {path}.count)"


def counted(bench):
    """Makes the data, and beside it a file with the number of its lines."""
    path = bench.data(bench.megabytes)
    with open(path, "rb") as file, open(path + ".count", "w") as out:
        out.write(str(sum(chunk.count(b"\n") for chunk in iter(lambda: file.read(1 << 20), b""))))


def pipe(bench):
    """Lines to `wc -l`."""
    path = bench.data_path(bench.megabytes)
    check = sum_is(path)
    for source, is_file in [("a file", True), ("a pipe", False)]:
        def through(command):
            return f"{command} <{path} >out; {check}" if is_file else f"cat {path} | {command} >out; {check}"

        def ours(options):
            if is_file:
                return f"$PRUN exec -j2 -a {path} --pipe {options} wc -l >out; {check}"
            return through(f"$PRUN exec -j2 --pipe {options} wc -l")

        def part(block):
            return f"parallel -j2 --pipepart -a {path} --block {block} wc -l >out; {check}"

        peers = [
            Peer("prun --pipe --round-robin", ours("--round-robin")),
            Peer("C splitter, read and write", through("splitter copy wc -l"), None if is_file else least(0.9),
                 needs=("splitter",)),
            Peer("parallel --pipe --round-robin", through("parallel -j2 --pipe --round-robin wc -l"),
                 least(6) if is_file else None, needs=("parallel",)),
        ]
        if is_file:
            peers.insert(2, Peer("C splitter, splice", through("splitter splice wc -l"), needs=("splitter",)))
            # One block for each: the fastest that it can do.
            peers.append(Peer("parallel --pipepart --block -1", part("-1"), least(2), needs=("parallel",)))
        yield Compare(f"{bench.megabytes} MB to two that live on, from {source}", bench.megabytes, "MB", peers,
                      lambda: counted(bench))

        peers = [
            Peer("prun --pipe --block 10M", ours("--block 10M"), rate=None if is_file else least(1600, unit="MB/s")),
            Peer("parallel --pipe --block 10M", through("parallel -j2 --pipe --block 10M wc -l"),
                 least(6) if is_file else None, needs=("parallel",)),
        ]
        if is_file:
            peers.append(Peer("parallel --pipepart --block 10M", part("10M"), least(2), needs=("parallel",)))
        yield Compare(f"{bench.megabytes} MB in blocks, from {source}", bench.megabytes, "MB", peers,
                      lambda: counted(bench))


def queue(bench):
    """The same through a queue of a job file."""
    path = bench.data_path(bench.megabytes)
    check = sum_is(path)

    def prepare():
        counted(bench)
        one = "[jobs.read]\nrepeat = 2\n"
        two = "[jobs.a]\nstdin.queue = 'q'\ncommand = 'wc -l'\n[jobs.b]\n"
        for deliver, readers in [("any", one), ("all", two)]:
            bench.write(f"{deliver}.toml",
                        f"run.output = 'group'\n[queues.q]\ndeliver = '{deliver}'\n"
                        f"[jobs.write]\ncommand = ['cat', '{path}']\nstdout.queue = 'q'\n"
                        f"{readers}stdin.queue = 'q'\ncommand = 'wc -l'\n")
    yield Compare(f"{bench.megabytes} MB through a queue from one `cat` to two `wc -l`", bench.megabytes, "MB", [
        Peer('prun, deliver = "any"', f"$PRUN any.toml >out; {check}"),
        Peer('prun, deliver = "all"', "$PRUN all.toml >out; test $(sort -u out | wc -l) = 1",
             rate=least(500, unit="MB/s")),
        Peer("C splitter, read and write", f"cat {path} | splitter copy wc -l >out; {check}", least(0.9),
             needs=("splitter",)),
    ], prepare)
