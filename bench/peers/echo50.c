// A worker that costs next to nothing: answers each line with itself. What is there is read at once, and all whole
// lines of it are answered in one write.

#define _GNU_SOURCE
#include <string.h>
#include <unistd.h>

int main(void) {
    static char buffer[64 << 10];
    size_t kept = 0;
    ssize_t count;
    while ((count = read(0, buffer + kept, sizeof buffer - kept)) > 0) {
        size_t length = kept + count;
        const char *last = memrchr(buffer, '\n', length);
        size_t whole = last ? last + 1 - buffer : 0;
        for (size_t written = 0; written < whole;) {
            ssize_t part = write(1, buffer + written, whole - written);
            if (part < 0) return 1;
            written += part;
        }
        kept = length - whole;
        memmove(buffer, buffer + whole, kept);
    }
    return 0;
}
