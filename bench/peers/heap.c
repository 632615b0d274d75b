/* What a large heap does to a start: MB megabytes are touched, then COUNT programs are started one by one.
 * usage: heap spawn|fork MB COUNT PROGRAM */
#define _GNU_SOURCE
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

int main(int argc, char **argv)
{
    if (argc != 5)
        return 125;
    int copies = strcmp(argv[1], "fork") == 0, status;
    size_t size = (size_t)atoi(argv[2]) << 20;
    char *args[] = {argv[4], NULL};
    char *heap = malloc(size + 1);
    if (heap == NULL)
        return 125;
    memset(heap, 1, size + 1);
    for (int count = atoi(argv[3]); count > 0; count--) {
        pid_t pid = copies ? fork() : vfork();
        if (pid == 0) {
            execv(args[0], args);
            _exit(127);
        }
        if (pid < 0 || waitpid(pid, &status, 0) < 0)
            return 125;
    }
    return heap[size] == 1 ? 0 : 125;
}
