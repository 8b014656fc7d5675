/* A line for people: the path, what has happened, and what the file has to say of it. */
#include "check.h"
#include <pthread.h>

static char line[4096];

static const char *text(int code, const char *path)
{
    memset(line, 'x', sizeof line);
    CHECK(mba_error_text(code, path, line, sizeof line) == line);
    return line;
}

/* SAYS: the line is the path, and this. */
#define SAYS(code, path, words) says(__LINE__, (code), (path), (words))

static void says(int at, int code, const char *path, const char *words)
{
    char expected[4096];
    snprintf(expected, sizeof expected, "%s: %s", *path == 0 ? "\"\"" : path, words);
    if (strcmp(text(code, path), expected) != 0) {
        check_fail(__FILE__, at, "\"%s\", not \"%s\"", line, expected);
    }
}

/* A process that has locked the whole file by fcntl, until it is ended. */
static pid_t lock_all_of(const char *path, short type)
{
    struct flock all;
    int fd, ready[2];
    char byte;
    pid_t child;
    memset(&all, 0, sizeof all);
    all.l_type = type;
    all.l_whence = SEEK_SET;
    SYS(pipe(ready));
    SYS(child = fork());
    if (child == 0) {
        SYS(fd = open(path, O_RDWR));
        SYS(fcntl(fd, F_SETLK, &all));
        SYS(write(ready[1], "", 1));
        for (;;) {
            pause();
        }
    }
    SYS(read(ready[0], &byte, 1));
    SYS(close(ready[0]));
    SYS(close(ready[1]));
    return child;
}

static void end(pid_t child)
{
    int status;
    SYS(kill(child, SIGKILL));
    SYS(waitpid(child, &status, 0));
}

/* A program's own lock on the whole file isn't taken for another handle's. */
static void by_programs(const char *path)
{
    char words[256];
    const uint32_t value = 7;
    mba_status told;
    mba_array *array;
    pid_t child;
    child = lock_all_of(path, F_WRLCK);
    GIVES(MBA_ELOCKED, mba_open(path, MBA_UINT32, MBA_RDWR, &array));
    snprintf(words, sizeof words, "A program has locked the whole file by fcntl (process %d)",
             (int)child);
    SAYS(MBA_ELOCKED, path, words);
    end(child);

    /* Nor if it is met by a wait, beside a footer that names the last handle that had the lock. */
    OK(mba_open(path, MBA_UINT32, MBA_RDWR, &array));
    OK(mba_append(array, &value));
    OK(mba_unlock(array));
    child = lock_all_of(path, F_RDLCK);
    GIVES(ETIMEDOUT, mba_lock(array, 1));
    snprintf(words, sizeof words, "%s; a program has locked the whole file by fcntl (process %d)",
             mba_strerror(ETIMEDOUT), (int)child);
    SAYS(ETIMEDOUT, path, words);
    told.size = sizeof told;
    OK(mba_info(path, &told));
    EQ(told.holder, 0);
    end(child);
    OK(mba_close(array));

    /* A handle that has locked a file without spare room has told nobody yet who it is. */
    OK(mba_open(path, MBA_UINT32, MBA_RDWR, &array));
    OK(mba_lock(array, 0));
    snprintf(words, sizeof words, "%s (a process that has not changed the length yet has it)",
             mba_strerror(MBA_ELOCKED));
    SAYS(MBA_ELOCKED, path, words);
    OK(mba_close(array));
    SAYS(ENOENT, "", "No such file or directory");
}

/* Each thread has its own last error. */
static void *another_error(void *path)
{
    mba_array *array;
    char own[256];
    GIVES(EINVAL, mba_open(path, MBA_UINT32, 0x8000, &array));
    CHECK(strcmp(mba_error_text(EINVAL, NULL, own, sizeof own),
                 "A flag that is unknown, or that this call does not take") == 0);
    return NULL;
}

int main(int argc, char **argv)
{
    const char *path, *missing;
    char words[256];
    const uint32_t value = 7;
    mba_array *array, *other = NULL;
    pid_t child;
    int ready[2];
    size_t size;
    pthread_t thread;
    begin(argc, argv);
    path = in_scratch("array");
    missing = in_scratch("missing");

    GIVES(ENOENT, mba_open(missing, MBA_UINT32, MBA_RDONLY, &array));
    SAYS(ENOENT, missing, "No such file or directory");
    CHECK(strcmp(text(ENOENT, NULL), "No such file or directory") == 0);

    /* An argument without sense is named, as long as it was this thread's last error. */
    GIVES(EINVAL, mba_open(path, MBA_UINT32, MBA_CREATE, &array));
    SAYS(EINVAL, path, "MBA_CREATE needs MBA_RDWR");
    GIVES(EINVAL, mba_open(path, MBA_UINT32, MBA_RDWR | MBA_EXCL, &array));
    SAYS(EINVAL, path, "MBA_EXCL needs MBA_CREATE");
    GIVES(EINVAL, mba_open(path, MBA_UINT32, MBA_EXACT, &array));
    SAYS(EINVAL, path, "MBA_EXACT needs MBA_RDWR");
    GIVES(EINVAL, mba_open(path, MBA_UINT32, MBA_PRIVATE | MBA_RDWR | MBA_CREATE, &array));
    SAYS(EINVAL, path, "MBA_PRIVATE can be combined with MBA_RDWR only");
    GIVES(EINVAL, mba_open(path, MBA_UINT32, 0x8000, &array));
    SAYS(EINVAL, path, "A flag that is unknown, or that this call does not take");
    GIVES(EINVAL, mba_close(NULL));
    CHECK(strcmp(text(EINVAL, NULL), "A pointer is NULL where it must not be") == 0);
    GIVES(EINVAL, mba_append(NULL, &value));
    EQ(pthread_create(&thread, NULL, another_error, (void *)(uintptr_t)path), 0);
    EQ(pthread_join(thread, NULL), 0);
    CHECK(strcmp(text(EINVAL, NULL), "A pointer is NULL where it must not be") == 0);
    GIVES(ENOENT, mba_open(missing, MBA_UINT32, MBA_RDONLY, &array));
    CHECK(strcmp(text(EINVAL, NULL), "Invalid argument") == 0);

    /* A growing file knows its type, and who grows it. */
    OK(mba_open(path, MBA_UINT32, MBA_RDWR | MBA_CREATE, &array));
    CHECK(strcmp(mba_path(array), path) == 0);
    OK(mba_append(array, &value));
    GIVES(MBA_ETYPE, mba_open(path, MBA_FLOAT64, MBA_RDONLY, &other));
    snprintf(words, sizeof words, "%s (the file has elements of type uint32, 'I')",
             mba_strerror(MBA_ETYPE));
    SAYS(MBA_ETYPE, path, words);
    OK(mba_open(path, MBA_UINT32, MBA_RDWR, &other));
    GIVES(MBA_ELOCKED, mba_append(other, &value));
    snprintf(words, sizeof words, "%s (this process has it, by another handle)",
             mba_strerror(MBA_ELOCKED));
    SAYS(MBA_ELOCKED, path, words);
    GIVES(ETIMEDOUT, mba_lock(other, 1));
    snprintf(words, sizeof words, "%s (this process has it, by another handle)",
             mba_strerror(ETIMEDOUT));
    SAYS(ETIMEDOUT, path, words);
    CHECK(strstr(line, "Connection") == NULL);
    OK(mba_close(array));

    SYS(pipe(ready));
    SYS(child = fork());
    if (child == 0) {
        mba_array *own;
        OK(mba_open(path, MBA_UINT32, MBA_RDWR, &own));
        OK(mba_append(own, &value));
        SYS(write(ready[1], "", 1));
        for (;;) {
            pause();
        }
    }
    SYS(read(ready[0], words, 1));
    GIVES(MBA_ELOCKED, mba_append(other, &value));
    snprintf(words, sizeof words, "%s (process %d has it)", mba_strerror(MBA_ELOCKED), (int)child);
    SAYS(MBA_ELOCKED, path, words);
    end(child);
    /* Nobody has it any more: nobody is named. */
    SAYS(MBA_ELOCKED, path, mba_strerror(MBA_ELOCKED));
    mba_free(other);
    by_programs(path);

    /* A line is cut where it has to be, and ends by NUL; without room it is the code's own text. */
    for (size = 1; size < 40; size++) {
        memset(line, 'x', sizeof line);
        CHECK(mba_error_text(ENOENT, "name", line, size) == line);
        CHECK(strlen(line) == (size - 1 < 31 ? size - 1 : 31));
        CHECK(strncmp(line, "name: No such file or directory", strlen(line)) == 0);
        CHECK(line[size] == 'x');
    }
    CHECK(mba_error_text(ENOENT, "name", NULL, 10) == mba_strerror(ENOENT));
    CHECK(mba_error_text(ENOENT, "name", line, 0) == mba_strerror(ENOENT));
    CHECK(strcmp(text(12345, NULL), mba_strerror(12345)) == 0);
    return 0;
}
