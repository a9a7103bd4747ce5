/* A supervised program that tells when its main() began: one line "ID NANOSECONDS PID" appended to a file.
 *   child stamp FILE ID          append the line, then sleep until a signal ends it
 *   child slow FILE ID MS        the same, and takes MS milliseconds to obey SIGTERM
 *   child write COUNT ID         write COUNT lines of 100 bytes to stdout in 4,000-byte writes, then sleep
 * CLOCK_MONOTONIC is the same for every process of a machine, so stamps can be compared. */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static volatile sig_atomic_t asked;
static void on_term(int number) { asked = number; }

static void stamp(const char *file, const char *id) {
    struct timespec now;
    char line[128];
    clock_gettime(CLOCK_MONOTONIC, &now);
    int length = snprintf(line, sizeof line, "%s %lld %d\n", id,
                          (long long)now.tv_sec * 1000000000LL + now.tv_nsec, (int)getpid());
    int fd = open(file, O_WRONLY | O_APPEND | O_CREAT, 0644);
    if (write(fd, line, length) != length) _exit(1);
    close(fd);
}

static void write_lines(long count, const char *id) {
    char block[4000];
    long number = 0;
    while (number < count) {
        size_t used = 0;
        for (; used + 100 <= sizeof block && number < count; number++, used += 100) {
            int n = snprintf(block + used, 100, "%s %010ld ", id, number);
            memset(block + used + n, 'x', 99 - n);
            block[used + 99] = '\n';
        }
        for (size_t sent = 0; sent < used;) {
            ssize_t n = write(1, block + sent, used - sent);
            if (n <= 0) _exit(2);
            sent += n;
        }
    }
}

int main(int argc, char **argv) {
    if (argc > 3 && strcmp(argv[1], "write") == 0)
        write_lines(atol(argv[2]), argv[3]);
    else if (argc > 3)
        stamp(argv[2], argv[3]);
    if (argc > 4 && strcmp(argv[1], "slow") == 0) {
        signal(SIGTERM, on_term);
        while (!asked) pause();
        usleep(atoi(argv[4]) * 1000);
        return 0;
    }
    for (;;) pause();
}
