// A bare pool of workers: two children over pipes, each with up to AHEAD tasks in flight, one thread that polls,
// reads what is there, writes it out and writes as many new tasks. What prun's workers are measured against.
//
// usage: pingpong AHEAD FILE WORKER [ARG...]    tasks are the lines of FILE, answers go to stdout

#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { WORKERS = 2 };

struct worker {
    int to, from;
    long in_flight;
};

static const char *next, *end;

static void die(const char *what) {
    perror(what);
    exit(1);
}

static void start(struct worker *worker, char **command) {
    int to[2], from[2];
    if (pipe2(to, O_CLOEXEC) || pipe2(from, O_CLOEXEC)) die("pipe");
    pid_t pid = fork();
    if (pid < 0) die("fork");
    if (pid == 0) {
        dup2(to[0], 0);
        dup2(from[1], 1);
        execvp(*command, command);
        _exit(127);
    }
    close(to[0]);
    close(from[1]);
    *worker = (struct worker){to[1], from[0], 0};
}

static void write_all(int fd, const char *from, size_t length) {
    while (length > 0) {
        ssize_t written = write(fd, from, length);
        if (written < 0) die("write");
        from += written;
        length -= written;
    }
}

// Fills the worker up to `ahead` tasks, in one write.
static void give(struct worker *worker, long ahead) {
    const char *from = next;
    for (; worker->in_flight < ahead && next < end; worker->in_flight++)
        next = (const char *)memchr(next, '\n', end - next) + 1;
    if (next > from) write_all(worker->to, from, next - from);
    if (next == end && worker->to >= 0 && worker->in_flight == 0) {
        close(worker->to);
        worker->to = -1;
    }
}

int main(int count, char **words) {
    if (count < 4) return 2;
    long ahead = atol(words[1]);
    int file = open(words[2], O_RDONLY | O_CLOEXEC);
    struct stat about;
    if (file < 0 || fstat(file, &about)) die(words[2]);
    next = mmap(NULL, about.st_size, PROT_READ, MAP_PRIVATE, file, 0);
    if (next == MAP_FAILED) die("mmap");
    end = next + about.st_size;

    int poller = epoll_create1(EPOLL_CLOEXEC), open_workers = WORKERS;
    struct worker workers[WORKERS];
    for (int i = 0; i < WORKERS; i++) {
        start(&workers[i], words + 3);
        struct epoll_event event = {.events = EPOLLIN, .data.u32 = i};
        epoll_ctl(poller, EPOLL_CTL_ADD, workers[i].from, &event);
        give(&workers[i], ahead);
    }
    static char buffer[64 << 10];
    while (open_workers > 0) {
        struct epoll_event events[WORKERS];
        int ready = epoll_wait(poller, events, WORKERS, -1);
        for (int i = 0; i < ready; i++) {
            struct worker *worker = &workers[events[i].data.u32];
            ssize_t length = read(worker->from, buffer, sizeof buffer);
            if (length <= 0) {
                close(worker->from);
                open_workers--;
                continue;
            }
            for (const char *at = buffer; (at = memchr(at, '\n', buffer + length - at)); at++) worker->in_flight--;
            write_all(1, buffer, length);
            give(worker, ahead);
        }
    }
    while (wait(NULL) > 0) {}
    return 0;
}
