/* What the kernel gives to who starts programs in other ways than one thread that waits for each exec. Nothing is
 * captured.
 * usage: starters vfork THREADS N COUNT PROGRAM   vfork and exec from THREADS threads, N at a time in all
 *        starters clone N COUNT PROGRAM           one thread that shares its memory with the child, as vfork does, but
 *                                                 does not wait for its exec
 * PROGRAM gets 1, 2, … COUNT as its argument. */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

enum { STACK = 64 << 10, MOST = 1024 };

extern char **environ;
static char *program;

/* The memory of a child between clone and exec. The kernel sets `tid` to 0 when the child has executed PROGRAM or has
 * ended, and does not touch the stack any more. */
struct start {
    char *stack;
    volatile pid_t tid;
    char number[16];
};

static void die(const char *what)
{
    perror(what);
    exit(125);
}

static int child(void *argument)
{
    struct start *start = argument;
    char *args[] = {program, start->number, NULL};
    execve(program, args, environ);
    _exit(127);
}

static void make_stack(struct start *start)
{
    start->stack = mmap(NULL, STACK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (start->stack == MAP_FAILED)
        die("mmap");
}

static void run(struct start *start, int flags, int task)
{
    snprintf(start->number, sizeof start->number, "%d", task);
    if (clone(child, start->stack + STACK, flags, start, NULL, NULL, &start->tid) < 0)
        die("clone");
}

static void reap(void)
{
    int status;
    if (wait(&status) < 0)
        die("wait");
    if (status != 0)
        exit(1);
}

/* Returns a start whose last child has executed, if any. */
static struct start *free_start(struct start *starts, int at_once)
{
    for (;; sched_yield())
        for (int slot = 0; slot < at_once; slot++)
            if (starts[slot].tid == 0)
                return &starts[slot];
}

static void without_waiting(int at_once, int count)
{
    static struct start starts[MOST];
    for (int slot = 0; slot < at_once; slot++)
        make_stack(&starts[slot]);
    for (int task = 1, running = 0; task <= count || running > 0;) {
        if (task <= count && running < at_once) {
            struct start *start = free_start(starts, at_once);
            start->tid = 1;
            run(start, CLONE_VM | CLONE_CHILD_CLEARTID | SIGCHLD, task++);
            running++;
        } else {
            reap();
            running--;
        }
    }
}

static sem_t wanted, started;
static int next_task, last_task;

static void take(sem_t *semaphore)
{
    while (sem_wait(semaphore) < 0 && errno == EINTR)
        ;
}

static void *starter(void *unused)
{
    struct start start = {0};
    (void)unused;
    make_stack(&start);
    for (;;) {
        take(&wanted);
        int task = __atomic_add_fetch(&next_task, 1, __ATOMIC_RELAXED);
        if (task > last_task)
            return NULL;
        run(&start, CLONE_VM | CLONE_VFORK | SIGCHLD, task);
        sem_post(&started);
    }
}

/* A child is waited for only after its start is known, so wait(2) always finds one. */
static void from_threads(int threads, int at_once, int count)
{
    pthread_t ids[MOST];
    last_task = count;
    sem_init(&wanted, 0, 0);
    sem_init(&started, 0, 0);
    for (int thread = 0; thread < threads; thread++)
        if (pthread_create(&ids[thread], NULL, starter, NULL) != 0)
            die("pthread_create");
    for (int asked = 0, ended = 0; ended < count;) {
        if (asked < count && asked - ended < at_once) {
            sem_post(&wanted);
            asked++;
        } else {
            take(&started);
            reap();
            ended++;
        }
    }
    for (int thread = 0; thread < threads; thread++)
        sem_post(&wanted);
    for (int thread = 0; thread < threads; thread++)
        pthread_join(ids[thread], NULL);
}

int main(int argc, char **argv)
{
    int threads = argc == 6 && strcmp(argv[1], "vfork") == 0 ? atoi(argv[2]) : 0;
    if (threads == 0 && (argc != 5 || strcmp(argv[1], "clone") != 0))
        return 125;
    int at_once = atoi(argv[argc - 3]), count = atoi(argv[argc - 2]);
    if (threads > MOST || at_once < 1 || at_once > MOST)
        return 125;
    program = argv[argc - 1];
    if (threads > 0)
        from_threads(threads, at_once, count);
    else
        without_waiting(at_once, count);
    return 0;
}
