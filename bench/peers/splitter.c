/* What cutting a stream into blocks of whole lines needs and nothing else: blocks of about 1 MiB go to two
 * children, each to the one that takes it, through pipes of 256 KiB that don't block.
 * usage: splitter copy PROGRAM [ARG...]     stdin is read and written, a buffer for each child
 *        splitter splice PROGRAM [ARG...]   stdin is a file that goes to the pipes within the kernel */
#define _GNU_SOURCE
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { CHILDREN = 2, BLOCK = 1 << 20, LONGEST = 1 << 16, PIPE = 256 << 10 };

struct child {
    int to;
    char *bytes;          /* of a block in memory */
    size_t length, sent;
    loff_t start;         /* of a block in the file */
};

static struct child children[CHILDREN];
static char rest[LONGEST];  /* read behind the end of the last block */
static size_t rest_length;
static int at_end;
static loff_t at;

static void start(struct child *child, char **argv)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) < 0)
        exit(125);
    fcntl(ends[1], F_SETPIPE_SZ, PIPE);
    pid_t pid = vfork();
    if (pid == 0) {
        dup2(ends[0], 0);
        execvp(argv[0], argv);
        _exit(127);
    }
    if (pid < 0)
        exit(125);
    close(ends[0]);
    fcntl(ends[1], F_SETFL, O_NONBLOCK);
    child->to = ends[1];
    child->bytes = malloc(BLOCK);
}

/* The next block into the child's buffer; 0 at the end. */
static size_t next_copy(struct child *child)
{
    size_t filled = rest_length;
    memcpy(child->bytes, rest, rest_length);
    while (filled < BLOCK && !at_end) {
        ssize_t got = read(0, child->bytes + filled, BLOCK - filled);
        if (got <= 0)
            at_end = 1;
        else
            filled += got;
    }
    char *last = at_end ? NULL : memrchr(child->bytes, '\n', filled);
    size_t length = last ? (size_t)(last - child->bytes) + 1 : filled;
    rest_length = filled - length;
    if (rest_length > LONGEST)
        exit(125);
    memcpy(rest, child->bytes + length, rest_length);
    return length;
}

/* The next block of the file: only its end is looked for. */
static size_t next_splice(struct child *child)
{
    static char window[LONGEST];
    ssize_t got = pread(0, window, sizeof window, at + BLOCK - LONGEST);
    child->start = at;
    if (got <= 0)
        got = 0;
    char *last = got == LONGEST ? memrchr(window, '\n', got) : NULL;
    size_t length = last ? BLOCK - LONGEST + (size_t)(last - window) + 1 : 0;
    if (length == 0) {
        loff_t end = lseek(0, 0, SEEK_END);
        length = end > at ? end - at : 0;
    }
    at += length;
    return length;
}

static ssize_t copy_out(struct child *child)
{
    return write(child->to, child->bytes + child->sent, child->length - child->sent);
}

static ssize_t splice_out(struct child *child)
{
    loff_t from = child->start + child->sent;
    return splice(0, &from, child->to, NULL, child->length - child->sent, SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
}

int main(int argc, char **argv)
{
    if (argc < 3)
        return 125;
    int splices = strcmp(argv[1], "splice") == 0;
    signal(SIGPIPE, SIG_IGN);
    for (int n = 0; n < CHILDREN; n++)
        start(&children[n], argv + 2);
    if (!splices)
        fcntl(0, F_SETPIPE_SZ, PIPE);
    for (int open = CHILDREN; open > 0;) {
        struct pollfd polls[CHILDREN];
        for (int n = 0; n < CHILDREN; n++)
            polls[n] = (struct pollfd){.fd = children[n].to, .events = POLLOUT};
        poll(polls, CHILDREN, -1);
        for (int n = 0; n < CHILDREN; n++) {
            struct child *child = &children[n];
            if (child->to < 0 || polls[n].revents == 0)
                continue;
            if (child->sent == child->length) {
                child->sent = 0;
                child->length = splices ? next_splice(child) : next_copy(child);
            }
            ssize_t sent = child->length == 0 ? 0 : splices ? splice_out(child) : copy_out(child);
            if (sent > 0)
                child->sent += sent;
            if (child->length == 0) {
                close(child->to);
                child->to = -1;
                open--;
            }
        }
    }
    while (wait(NULL) > 0)
        ;
    return 0;
}
