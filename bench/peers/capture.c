/* A loop that does what grouped output needs and nothing else: two pipes and a process group for each child,
 * a poller, and the output of each child in one piece.
 * usage: capture N COUNT PROGRAM   runs PROGRAM with 1, 2, … COUNT as its argument */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

enum { MOST = 64, ROOM = 1 << 16 };

struct child {
    pid_t pid;   /* 0: has ended */
    int fds[2];  /* -1: at its end */
    size_t length[2];
    char *bytes[2];
};

static struct child children[MOST];
static int poller;

static void start(struct child *child, char *program, int task)
{
    char number[16];
    char *args[] = {program, number, NULL};
    int out[2], err[2];
    snprintf(number, sizeof number, "%d", task);
    if (pipe2(out, O_CLOEXEC) < 0 || pipe2(err, O_CLOEXEC) < 0)
        exit(125);
    child->pid = vfork();
    if (child->pid == 0) {
        sigset_t none;
        sigemptyset(&none);
        setpgid(0, 0);
        dup2(out[1], 1);
        dup2(err[1], 2);
        sigprocmask(SIG_SETMASK, &none, NULL);
        execv(program, args);
        _exit(127);
    }
    if (child->pid < 0)
        exit(125);
    close(out[1]);
    close(err[1]);
    child->fds[0] = out[0];
    child->fds[1] = err[0];
    for (int which = 0; which < 2; which++) {
        struct epoll_event event = {.events = EPOLLIN, .data.u32 = (child - children) * 2 + which};
        fcntl(child->fds[which], F_SETFL, O_NONBLOCK);
        epoll_ctl(poller, EPOLL_CTL_ADD, child->fds[which], &event);
        child->length[which] = 0;
    }
}

/* Reads what is there. The output of one child is small here; what does not fit is passed on at once. */
static void take(struct child *child, int which)
{
    for (;;) {
        size_t room = ROOM - child->length[which];
        ssize_t got = read(child->fds[which], child->bytes[which] + child->length[which], room);
        if (got < 0 && errno == EAGAIN)
            return;
        if (got <= 0) {
            close(child->fds[which]);
            child->fds[which] = -1;
            return;
        }
        child->length[which] += got;
        if (child->length[which] == ROOM) {
            if (write(which + 1, child->bytes[which], ROOM) != ROOM)
                exit(125);
            child->length[which] = 0;
        }
    }
}

static int is_over(struct child *child)
{
    return child->pid == 0 && child->fds[0] < 0 && child->fds[1] < 0;
}

static void show(struct child *child)
{
    for (int which = 0; which < 2; which++)
        if (child->length[which] > 0 && write(which + 1, child->bytes[which], child->length[which]) < 0)
            exit(125);
}

static int reap(int at_once)
{
    pid_t pid;
    int ended = 0, status;
    while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
        for (int slot = 0; slot < at_once; slot++)
            if (children[slot].pid == pid) {
                children[slot].pid = 0;
                ended++;
            }
    return ended;
}

int main(int argc, char **argv)
{
    if (argc != 4 || atoi(argv[1]) > MOST)
        return 125;
    int at_once = atoi(argv[1]), count = atoi(argv[2]), task = 1, running = 0;
    sigset_t chld;
    sigemptyset(&chld);
    sigaddset(&chld, SIGCHLD);
    sigprocmask(SIG_BLOCK, &chld, NULL);
    int exits = signalfd(-1, &chld, SFD_CLOEXEC | SFD_NONBLOCK);
    struct epoll_event event = {.events = EPOLLIN, .data.u32 = MOST * 2};
    poller = epoll_create1(EPOLL_CLOEXEC);
    epoll_ctl(poller, EPOLL_CTL_ADD, exits, &event);
    char busy[MOST] = {0};
    for (int slot = 0; slot < at_once; slot++)
        for (int which = 0; which < 2; which++)
            children[slot].bytes[which] = malloc(ROOM);
    while (task <= count || running > 0) {
        for (int slot = 0; slot < at_once && task <= count; slot++)
            if (!busy[slot]) {
                start(&children[slot], argv[3], task++);
                busy[slot] = 1;
                running++;
            }
        struct epoll_event events[MOST];
        int ready = epoll_wait(poller, events, MOST, -1);
        for (int at = 0; at < ready; at++) {
            unsigned key = events[at].data.u32;
            if (key == MOST * 2) {
                struct signalfd_siginfo info;
                while (read(exits, &info, sizeof info) > 0)
                    ;
                reap(at_once);
            } else {
                take(&children[key / 2], key % 2);
            }
        }
        for (int slot = 0; slot < at_once; slot++)
            if (busy[slot] && is_over(&children[slot])) {
                show(&children[slot]);
                busy[slot] = 0;
                running--;
            }
    }
    return 0;
}
