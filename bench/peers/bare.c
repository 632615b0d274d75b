/* The bare loop: vfork and exec, N at a time, nothing captured.
 * usage: bare N COUNT PROGRAM   runs PROGRAM with 1, 2, … COUNT as its argument */
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

int main(int argc, char **argv)
{
    if (argc != 4)
        return 125;
    int at_once = atoi(argv[1]), count = atoi(argv[2]), running = 0, status;
    for (int task = 1; task <= count || running > 0;) {
        if (task <= count && running < at_once) {
            char number[16];
            char *args[] = {argv[3], number, NULL};
            snprintf(number, sizeof number, "%d", task++);
            pid_t pid = vfork();
            if (pid == 0) {
                execv(argv[3], args);
                _exit(127);
            }
            if (pid < 0)
                return 125;
            running++;
        } else if (wait(&status) > 0) {
            running--;
        }
    }
    return 0;
}
