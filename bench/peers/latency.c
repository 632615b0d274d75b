/* Both ends of a measurement of delay. Times are nanoseconds of CLOCK_MONOTONIC, which all processes share.
 * usage: latency beat MICROSECONDS [COUNT]   writes the time every so often, COUNT times or for ever
 *        latency read FILE                   reads lines that end so from stdin, writes into FILE how late each came
 *        latency trap READY FILE             makes the file READY, waits for SIGTERM, writes the time into FILE */
#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static long long now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * 1000000000LL + time.tv_nsec;
}

static int beat(long microseconds, long count)
{
    struct timespec pause = {microseconds / 1000000, microseconds % 1000000 * 1000};
    for (long at = 0; count == 0 || at < count; at++) {
        char line[32];
        int length = snprintf(line, sizeof line, "%lld\n", now());
        if (write(1, line, length) != length)
            return 1;
        nanosleep(&pause, NULL);
    }
    return 0;
}

/* Each read is one arrival. A line that is cut off stays for the next one. */
static int read_all(const char *name)
{
    char buffer[64 << 10];
    size_t kept = 0;
    ssize_t count;
    FILE *out = fopen(name, "w");
    if (!out)
        return 1;
    while ((count = read(0, buffer + kept, sizeof buffer - kept)) > 0) {
        long long arrived = now();
        char *at = buffer, *end = buffer + kept + count, *newline;
        while ((newline = memchr(at, '\n', end - at))) {
            char *number = newline;
            while (number > at && number[-1] >= '0' && number[-1] <= '9')
                number--;
            fprintf(out, "%lld\n", arrived - atoll(number));
            at = newline + 1;
        }
        kept = end - at;
        memmove(buffer, at, kept);
    }
    return fclose(out) != 0;
}

static int trap(const char *ready, const char *name)
{
    sigset_t term;
    int signal;
    sigemptyset(&term);
    sigaddset(&term, SIGTERM);
    sigprocmask(SIG_BLOCK, &term, NULL);
    int made = open(ready, O_WRONLY | O_CREAT, 0666);
    if (made < 0 || close(made) != 0 || sigwait(&term, &signal) != 0)
        return 1;
    long long arrived = now();
    FILE *out = fopen(name, "w");
    return !out || fprintf(out, "%lld\n", arrived) < 0 || fclose(out) != 0;
}

int main(int argc, char **argv)
{
    if (argc >= 3 && strcmp(argv[1], "beat") == 0)
        return beat(atol(argv[2]), argc > 3 ? atol(argv[3]) : 0);
    if (argc == 3 && strcmp(argv[1], "read") == 0)
        return read_all(argv[2]);
    if (argc == 4 && strcmp(argv[1], "trap") == 0)
        return trap(argv[2], argv[3]);
    return 125;
}
