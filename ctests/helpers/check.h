/*
 * What every program here needs: checks that say where they failed, a scratch directory, files, children.
 * The first include of a program, since it asks for what Linux has beyond C99.
 */
#ifndef CHECK_H
#define CHECK_H

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "mmap_backed_array.h"

/* A program or child that hangs is killed after so many seconds, and under valgrind, where all is slow, more. */
static inline unsigned patience(void)
{
    return getenv("MBA_CTEST_VALGRIND") == NULL ? 100 : 500;
}

static inline void check_fail(const char *file, int line, const char *format, ...)
    __attribute__((noreturn, format(printf, 3, 4)));

static inline void check_fail(const char *file, int line, const char *format, ...)
{
    va_list list;
    fprintf(stderr, "%s:%d: ", file, line);
    va_start(list, format);
    vfprintf(stderr, format, list);
    va_end(list);
    fputc('\n', stderr);
    fflush(stderr);
    _exit(1);
}

/* CHECK: a condition holds. SYS: a system call didn't fail. */
#define CHECK(condition)                                                                           \
    ((condition) ? (void)0 : check_fail(__FILE__, __LINE__, "not so: %s", #condition))
#define SYS(call)                                                                                  \
    ((call) != -1 ? (void)0 : check_fail(__FILE__, __LINE__, "%s: %s", #call, strerror(errno)))

/* OK: a call of the library succeeds. GIVES: it returns just this code. */
#define GIVES(code, call) check_code(__FILE__, __LINE__, #call, (call), (code))
#define OK(call) GIVES(MBA_OK, call)

static inline void check_code(const char *file, int line, const char *what, int code, int expected)
{
    if (code != expected) {
        check_fail(file, line, "%s gives %d (%s), not %d (%s)", what, code, mba_strerror(code),
                   expected, mba_strerror(expected));
    }
}

/* EQ: two whole numbers are the same. */
#define EQ(actual, expected)                                                                       \
    check_equal(__FILE__, __LINE__, #actual, (long long)(actual), (long long)(expected))

static inline void check_equal(const char *file, int line, const char *what, long long actual,
                               long long expected)
{
    if (actual != expected) {
        check_fail(file, line, "%s is %lld, not %lld", what, actual, expected);
    }
}

/* Every call that changes the length, or takes the lock for that, gives this code and hands nothing out. */
#define CHANGES_GIVE(code, array) check_changes(__FILE__, __LINE__, (array), (code))

static inline void check_changes(const char *file, int line, mba_array *array, int code)
{
    const size_t len = mba_len(array), more = len + 6;
    uint32_t value = 9;
#define REFUSED(call) check_code(file, line, #call, (call), code)
    REFUSED(mba_append(array, &value));
    REFUSED(mba_pop(array, &value));
    REFUSED(mba_insert(array, 0, &value));
    REFUSED(mba_remove(array, 0, &value));
    REFUSED(mba_extend(array, &value, 1));
    REFUSED(mba_splice(array, 0, 1, NULL, 0));
    REFUSED(mba_resize(array, more));
    REFUSED(mba_clear(array));
    REFUSED(mba_reserve(array, more));
    REFUSED(mba_shrink_to_fit(array));
    REFUSED(mba_commit(array, len));
    REFUSED(mba_lock(array, 0));
#undef REFUSED
    check_equal(file, line, "the value", (long long)value, 9);
    check_equal(file, line, "mba_has_lock(array)", mba_has_lock(array), 0);
}

/* HOLDS: an array of uint32_t has just these elements, by length, by mba_read and through the pointer. */
#define HOLDS(array, ...)                                                                          \
    check_elements(__FILE__, __LINE__, (array), (const uint32_t[]){__VA_ARGS__},                   \
                   sizeof((const uint32_t[]){__VA_ARGS__}) / sizeof(uint32_t))

static inline void check_elements(const char *file, int line, const mba_array *array,
                                  const uint32_t *expected, size_t count)
{
    size_t at;
    check_equal(file, line, "the length", (long long)mba_len(array), (long long)count);
    for (at = 0; at < count; at++) {
        uint32_t copied = ~expected[at];
        check_code(file, line, "mba_read", mba_read(array, at, 1, &copied), MBA_OK);
        check_equal(file, line, "an element by mba_read", copied, expected[at]);
        check_equal(file, line, "an element by pointer",
                    ((const uint32_t *)mba_data_ptr(array))[at], expected[at]);
    }
}

/* The directory for a program's files; it is empty at first, and removed afterwards. */
static const char *scratch;

/* A path in the scratch directory; good for the next few calls. */
static inline const char *in_scratch(const char *name)
{
    static char paths[8][4096];
    static unsigned next;
    char *path = paths[next++ % 8];
    snprintf(path, sizeof paths[0], "%s/%s", scratch, name);
    return path;
}

/*
 * The program runs with the library that the test has just built, and with no other: MBA_CTEST_LIBRARY
 * names it; without that the program is linked statically, and no such library is mapped.
 */
static inline void check_library(void)
{
    const char *expected = getenv("MBA_CTEST_LIBRARY");
    char line[8192];
    int found = 0;
    FILE *maps = fopen("/proc/self/maps", "r");
    CHECK(maps != NULL);
    while (fgets(line, sizeof line, maps) != NULL) {
        if (strstr(line, "libmmap_backed_array") == NULL) {
            continue;
        }
        line[strcspn(line, "\n")] = 0;
        if (expected == NULL || strcmp(strchr(line, '/'), expected) != 0) {
            check_fail(__FILE__, __LINE__, "the wrong library is mapped: %s", line);
        }
        found = 1;
    }
    fclose(maps);
    if (!found && expected != NULL) {
        check_fail(__FILE__, __LINE__, "%s isn't mapped", expected);
    }
}

/* What main begins with. */
static inline void begin(int argc, char **argv)
{
    CHECK(argc >= 2);
    scratch = argv[1];
    alarm(patience());
    signal(SIGPIPE, SIG_IGN);
    check_library();
}

/* Files, without the library. */

static inline long long file_size(const char *path)
{
    struct stat status;
    SYS(stat(path, &status));
    return (long long)status.st_size;
}

static inline void write_file(const char *path, const void *bytes, size_t count)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0666);
    SYS(fd);
    EQ(write(fd, bytes, count), count);
    SYS(close(fd));
}

/* The whole file, to be freed. */
static inline unsigned char *read_file(const char *path, size_t *count)
{
    unsigned char *bytes;
    int fd = open(path, O_RDONLY);
    SYS(fd);
    *count = (size_t)file_size(path);
    bytes = malloc(*count + 1);
    CHECK(bytes != NULL);
    EQ(read(fd, bytes, *count + 1), *count);
    SYS(close(fd));
    return bytes;
}

/* Arrays of uint32_t. */

static inline mba_array *open_u32(const char *path, uint32_t flags)
{
    mba_array *array = NULL;
    OK(mba_open(path, MBA_UINT32, flags, &array));
    CHECK(array != NULL);
    return array;
}

/* A new file with the elements 1, 2, 3 ... count, and no spare room. */
static inline void make_u32(const char *path, uint32_t count)
{
    uint32_t value;
    mba_array *array = open_u32(path, MBA_RDWR | MBA_CREATE | MBA_EXCL);
    for (value = 1; value <= count; value++) {
        OK(mba_append(array, &value));
    }
    OK(mba_close(array));
    EQ(file_size(path), 4LL * count);
}

/* Children, and the wire to talk to each: a socket pair. */

struct kid {
    pid_t pid; /* 0 in the child itself */
    int wire;
};

static inline struct kid fork_kid(void)
{
    struct kid kid;
    int ends[2];
    SYS(socketpair(AF_UNIX, SOCK_STREAM, 0, ends));
    fflush(NULL);
    kid.pid = fork();
    SYS(kid.pid);
    if (kid.pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        alarm(patience());
    }
    kid.wire = ends[kid.pid == 0];
    close(ends[kid.pid != 0]);
    return kid;
}

/* Waits for a child that ends well. */
static inline void join_kid(struct kid kid)
{
    int status;
    SYS(waitpid(kid.pid, &status, 0));
    SYS(close(kid.wire));
    CHECK(WIFEXITED(status));
    EQ(WEXITSTATUS(status), 0);
}

/* Kills a child by SIGKILL, and waits until it is gone. */
static inline void kill_kid(struct kid kid)
{
    int status;
    SYS(kill(kid.pid, SIGKILL));
    SYS(waitpid(kid.pid, &status, 0));
    SYS(close(kid.wire));
    CHECK(WIFSIGNALED(status));
}

/* Says a line to the other end of a wire. */
static inline void say(int wire, const char *line)
{
    char text[64];
    int count = snprintf(text, sizeof text, "%s\n", line);
    EQ(write(wire, text, (size_t)count), count);
}

/* Waits for this line from the other end. */
#define HEAR(wire, line) check_heard(__FILE__, __LINE__, (wire), (line))

static inline void check_heard(const char *file, int line, int wire, const char *expected)
{
    char text[64] = "";
    size_t count = 0;
    while (count < sizeof text - 1 && read(wire, text + count, 1) == 1 && text[count] != '\n') {
        count++;
    }
    text[count] = 0;
    if (strcmp(text, expected) != 0) {
        check_fail(file, line, "heard \"%s\", not \"%s\"", text, expected);
    }
}

/* Runs the statements in a child, which must end well, and waits for it. */
#define IN_A_CHILD(...)                                                                            \
    do {                                                                                           \
        struct kid kid_ = fork_kid();                                                              \
        if (kid_.pid == 0) {                                                                       \
            __VA_ARGS__;                                                                           \
            _exit(0);                                                                              \
        }                                                                                          \
        join_kid(kid_);                                                                            \
    } while (0)

#endif
