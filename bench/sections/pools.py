"""How fast a pool of workers answers."""

import os

from lib.table import Compare, Peer, least
from lib.tools import PEERS


def workers(bench):
    for ahead, full, goal in [(1, 200_000, 0.85), (8, 1_000_000, 0.8), (64, 2_000_000, 0.8)]:
        count = bench.amount(full, 1000)
        path = bench.path(f"tasks-{count}")

        def prepare(path=path, count=count):
            with open(path, "w") as out:
                out.writelines(f"{number:08} the quick brown fox jumps over the lazy..\n" for number in range(count))
        peers = [
            Peer(f"prun exec --worker=ahead={ahead}",
                 f"$PRUN exec -j2 --worker=ahead={ahead} -a {path} -- echo50 >/dev/null"),
            Peer("bare C ping-pong", f"pingpong {ahead} {path} echo50 >/dev/null", least(goal), needs=("pingpong",)),
        ]
        if ahead == 8:
            imap = os.path.join(PEERS, "imap.py")
            peers.append(Peer("Python Pool.imap_unordered", f"python3 {imap} {path} >/dev/null", least(2.5)))
        yield Compare(f"answers of two workers, {ahead} ahead", count, "tasks", peers, prepare)
