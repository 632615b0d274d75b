"""Python's pool of workers over the lines of a file: each answer is its task, written out.

usage: imap.py FILE
"""

import multiprocessing
import sys


def echo(line):
    return line


if __name__ == "__main__":
    with open(sys.argv[1]) as lines, multiprocessing.get_context("fork").Pool(2) as pool:
        for answer in pool.imap_unordered(echo, lines, chunksize=1):
            sys.stdout.write(answer)
