"""The sections of bench/run, by name: functions that return the tables of one. They run nothing themselves."""

from sections import data, limits, pools, responses, starts

ALL = {
    "start": starts.start,
    "starters": starts.starters,
    "cores": starts.cores,
    "one": starts.one,
    "heap": starts.heap,
    "counts": limits.counts,
    "latency": responses.latency,
    "many": responses.many,
    "feed": data.feed,
    "pipeline": data.pipeline,
    "group": data.group,
    "pipe": data.pipe,
    "queue": data.queue,
    "workers": pools.workers,
    "journal": limits.journal,
    "scale": limits.scale,
}
