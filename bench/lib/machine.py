"""What else the machine does while it is measured."""

import os
import resource

# Above these, a warning is printed.
LOAD = 0.5
PRESSURE = 5.0
STOLEN = 0.01
OTHERS = 0.15

TICKS = os.sysconf("SC_CLK_TCK")


def cpu_times():
    """Returns the seconds of CPU time that all programs used, that was stolen, and that passed, since boot, on the CPUs
    that the bench may use."""
    names = {f"cpu{number}" for number in os.sched_getaffinity(0)}
    with open("/proc/stat") as file:
        lines = [line.split() for line in file if line.startswith("cpu")]
    rows = [[int(word) for word in line[1:9]] for line in lines if line[0] in names]
    user, nice, system, *_, stolen = map(sum, zip(*rows))
    return (user + nice + system) / TICKS, stolen / TICKS, sum(map(sum, rows)) / TICKS


def own_times():
    used = [resource.getrusage(who) for who in (resource.RUSAGE_CHILDREN, resource.RUSAGE_SELF)]
    return sum(usage.ru_utime + usage.ru_stime for usage in used)


def warnings():
    """Returns why a measurement that begins now can't be trusted."""
    found = []
    load = os.getloadavg()[0]
    if load > LOAD:
        found.append(f"the load average is {load:.2f}")
    try:
        with open("/proc/pressure/cpu") as file:
            pressure = float(file.readline().split("avg10=")[1].split()[0])
    except (OSError, IndexError, ValueError):  # a kernel without it
        pressure = 0.0
    if pressure > PRESSURE:
        found.append(f"tasks waited for a CPU in {pressure:.0f} % of the last 10 s")
    return found


class Disturbance:
    """The CPU time that a row's runs lost to the hypervisor and to other programs."""

    def __init__(self):
        self.stolen = self.others = self.total = 0.0

    def __enter__(self):
        self.begin = (*cpu_times(), own_times())
        return self

    def __exit__(self, *_):
        used, stolen, total, own = (now - begin for now, begin in zip((*cpu_times(), own_times()), self.begin))
        self.stolen += stolen
        self.others += used - own
        self.total += total

    def note(self):
        """Returns the warning for the row's end of line, or nothing."""
        # Less than half a second says nothing: the kernel counts in ticks.
        if self.total < 0.5:
            return ""
        found = []
        if self.stolen / self.total > STOLEN:
            found.append(f"{self.stolen / self.total:.0%} stolen")
        if self.others / self.total > OTHERS:
            found.append(f"{self.others / self.total:.0%} used by others")
        return "busy: " + ", ".join(found) if found else ""
