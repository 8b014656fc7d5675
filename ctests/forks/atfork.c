/*
 * Handlers of pthread_atfork that use arrays, registered before the library is loaded and after; and a signal handler that
 * forks in the midst of whatever the library is doing. The library is loaded by dlopen: its path is the second argument.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>
#include "mmap_backed_array.h"

/* The functions that are used here, found when the library is loaded. */
static int (*open_)(const char *, mba_type, uint32_t, mba_array **);
static int (*anon)(mba_type, mba_array **);
static int (*close_)(mba_array *);
static int (*append)(mba_array *, const void *);
static int (*pop)(mba_array *, void *);
static int (*lock)(mba_array *, int);
static int (*unlock)(mba_array *);
static int (*refresh)(mba_array *);
static size_t (*len)(const mba_array *);
static int (*fd)(const mba_array *);

static char path[2][512];
static mba_array *shared;
static volatile sig_atomic_t forks, calls;

#define MUST(condition) must((condition), #condition, __LINE__)

static void must(int is_so, const char *condition, int line)
{
    if (!is_so) {
        fprintf(stderr, "atfork.c:%d: not so: %s\n", line, condition);
        _exit(1);
    }
}

/* What a handler may want of arrays: all of it. */
static void use(int which, int is_child)
{
    const uint32_t value = 7;
    mba_array *own, *other;
    int code = append(shared, &value);
    MUST(code == MBA_OK || (is_child && code == MBA_ELOCKED));
    MUST(anon(MBA_UINT32, &own) == MBA_OK);
    MUST(append(own, &value) == MBA_OK);
    MUST(fd(own) > 2);
    MUST(close_(own) == MBA_OK);
    MUST(open_(path[which], MBA_UINT32, MBA_RDWR | MBA_CREATE, &other) == MBA_OK);
    /* The parent's handler runs beside the child's. */
    code = lock(other, 10000);
    MUST(code == MBA_OK);
    MUST(append(other, &value) == MBA_OK);
    MUST(pop(other, NULL) == MBA_OK);
    MUST(unlock(other) == MBA_OK);
    MUST(close_(other) == MBA_OK);
    calls++;
}

static void prepare_before(void)
{
    use(0, 0);
}
static void parent_before(void)
{
    use(0, 0);
}
static void child_before(void)
{
    use(0, 1);
}
static void prepare_after(void)
{
    use(1, 0);
}
static void parent_after(void)
{
    use(1, 0);
}
static void child_after(void)
{
    use(1, 1);
}

static void load(const char *library)
{
    void *loaded = dlopen(library, RTLD_NOW);
    MUST(loaded != NULL);
/* Converting a pointer to a function this way is what POSIX says. */
#define FIND(pointer, name) MUST((*(void **)&(pointer) = dlsym(loaded, name)) != NULL)
    FIND(open_, "mba_open");
    FIND(anon, "mba_anon");
    FIND(close_, "mba_close");
    FIND(append, "mba_append");
    FIND(pop, "mba_pop");
    FIND(lock, "mba_lock");
    FIND(unlock, "mba_unlock");
    FIND(refresh, "mba_refresh");
    FIND(len, "mba_len");
    FIND(fd, "mba_fd");
}

static void wait_for(pid_t child)
{
    int status;
    pid_t ended;
    do {
        ended = waitpid(child, &status, 0);
    } while (ended < 0 && errno == EINTR);
    MUST(ended == child && WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void fork_in_handlers_beside(void)
{
    int round;
    for (round = 0; round < 50; round++) {
        const size_t before = len(shared);
        pid_t child = fork();
        MUST(child >= 0);
        if (child == 0) {
            _exit(0);
        }
        wait_for(child);
        MUST(len(shared) == before + 4); /* two that prepare, and two of the parent's */
    }
    MUST(calls == 50 * 4);
}

/* Forks, and the child comes to an end without having used anything. */
static void fork_now(int number)
{
    const int before = errno;
    pid_t child = fork();
    (void)number;
    if (child == 0) {
        _exit(0);
    }
    if (child > 0) {
        while (waitpid(child, NULL, 0) < 0 && errno == EINTR) {
        }
        forks++;
    }
    errno = before;
}

/* The process has one thread: then fork is safe in a signal handler, whatever it interrupts. */
static void fork_in_a_signal_handler(void)
{
    struct sigaction action;
    struct itimerval often, never;
    uint32_t value = 0, expected = 0;
    const int is_slow = getenv("MBA_CTEST_VALGRIND") != NULL;
    mba_array *array, *other;
    memset(&action, 0, sizeof action);
    action.sa_handler = fork_now;
    action.sa_flags = SA_RESTART;
    MUST(sigaction(SIGALRM, &action, NULL) == 0);
    memset(&often, 0, sizeof often);
    memset(&never, 0, sizeof never);
    often.it_value.tv_usec = 300;
    often.it_interval.tv_usec = is_slow ? 50000 : 700;
    MUST(setitimer(ITIMER_REAL, &often, NULL) == 0);
    while (forks < (is_slow ? 40 : 400)) {
        MUST(open_(path[0], MBA_UINT32, MBA_RDWR | MBA_CREATE, &array) == MBA_OK);
        MUST(len(array) == expected);
        for (value = 0; value < 300; value++, expected++) {
            MUST(append(array, &value) == MBA_OK);
        }
        MUST(unlock(array) == MBA_OK);
        MUST(anon(MBA_UINT32, &other) == MBA_OK);
        MUST(append(other, &value) == MBA_OK);
        MUST(close_(other) == MBA_OK);
        MUST(open_(path[0], MBA_UINT32, MBA_RDWR, &other) == MBA_OK);
        MUST(lock(other, -1) == MBA_OK);
        MUST(pop(other, NULL) == MBA_OK);
        expected--;
        MUST(close_(other) == MBA_OK);
        MUST(refresh(array) == MBA_OK);
        MUST(len(array) == expected);
        MUST(close_(array) == MBA_OK);
    }
    MUST(setitimer(ITIMER_REAL, &never, NULL) == 0);
}

int main(int argc, char **argv)
{
    pid_t child;
    MUST(argc == 3);
    snprintf(path[0], sizeof path[0], "%s/before", argv[1]);
    snprintf(path[1], sizeof path[1], "%s/after", argv[1]);
    alarm(120); /* a hang is a failure */
    child = fork();
    MUST(child >= 0);
    if (child == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        /* In a child, so that the handlers aren't there. */
        load(argv[2]);
        fork_in_a_signal_handler();
        _exit(0);
    }
    wait_for(child);
    unlink(path[0]);
    MUST(pthread_atfork(prepare_before, parent_before, child_before) == 0);
    load(argv[2]);
    MUST(pthread_atfork(prepare_after, parent_after, child_after) == 0);
    MUST(anon(MBA_UINT32, &shared) == MBA_OK);
    fork_in_handlers_beside();
    MUST(close_(shared) == MBA_OK);
    return 0;
}
