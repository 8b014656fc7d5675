/*
 * Children of every kind, beside a thread that appends all the time: children DIRECTORY KIND HABIT MANNER ROUNDS.
 *
 * All appends that were acknowledged, the thread's and the children's, are there once and in their order at the end; a
 * program that hangs is killed.
 */
#include "check.h"

#include <pthread.h>
#include <spawn.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>

/* Of a child: the most appends that it tries. */
enum { FEW = 20, MOST_CHILDREN = 1 << 20, MOST_IDLE = 4 };

static mba_array *array;
/* How many appends of each child are acknowledged, in memory that all share. */
static _Atomic uint32_t *acknowledged;
static atomic_int is_over, has_begun;
static const char *manner, *kind, *habit;

/* An element says who appended it, from 0 for the thread, and which of his it is. */
static uint64_t element(uint64_t who, uint64_t number)
{
    return who << 40 | number;
}

/* The thread holds the lock all the time, or gives it back after some appends, or is without it half of the time. */
static void *append_all_the_time(void *unused)
{
    const int in_turns = strcmp(manner, "turns") == 0;
    uint64_t number = 0;
    (void)unused;
    while (!atomic_load(&is_over)) {
        uint64_t some;
        if (in_turns) {
            OK(mba_lock(array, -1));
        }
        for (some = 0; some < 200; some++) {
            uint64_t value = element(0, number);
            if (number / 50 % 2 == 0) {
                OK(mba_append(array, &value));
            } else {
                OK(mba_push(array, &value, sizeof value));
            }
            number++;
        }
        atomic_store(&has_begun, 1);
        if (in_turns) {
            OK(mba_unlock(array));
        }
        /* The file must not become too large. */
        if (number > 3000000) {
            struct timespec pause = {0, 1000000};
            nanosleep(&pause, NULL);
        }
    }
    acknowledged[0] = (uint32_t)number;
    return NULL;
}

/* In a child. What it may say of the lock depends on whether the parent gives it back ever. */
static void push_some(uint32_t who, int timeout)
{
    uint32_t number;
    for (number = 0; number < FEW; number++) {
        uint64_t value = element(who, number);
        int code = number % 5 == 0 ? mba_lock(array, timeout) : MBA_OK;
        if (code == MBA_OK) {
            code =
                number % 2 == 0 ? mba_append(array, &value) : mba_push(array, &value, sizeof value);
        }
        if (code == MBA_ELOCKED || code == ETIMEDOUT) {
            CHECK(timeout == 0 || strcmp(manner, "turns") != 0);
            return;
        }
        if (code != MBA_OK) {
            check_fail(__FILE__, __LINE__, "an append of a child gives %d", code);
        }
        acknowledged[who] = number + 1;
        if (number % 5 == 4) {
            OK(mba_unlock(array));
        }
    }
}

/* What a child does with the rest of its life. */
static void live(uint32_t who, int wire, int timeout)
{
    char byte;
    if (strcmp(habit, "pushes") == 0) {
        push_some(who, timeout);
    } else if (strcmp(habit, "closes") == 0) {
        OK(mba_close(array));
    } else if (strcmp(habit, "pushes and closes") == 0) {
        push_some(who, timeout);
        OK(mba_close(array));
    } else if (strcmp(habit, "reads") == 0) {
        uint64_t value = 0;
        size_t at;
        OK(mba_refresh(array));
        for (at = 0; at < mba_len(array); at += 1 + mba_len(array) / 50) {
            OK(mba_get(array, at, &value));
            CHECK(value >> 40 < MOST_CHILDREN && (value & 0xffffffffff) <= at);
        }
    } else if (strcmp(habit, "idles") == 0 && wire >= 0) {
        while (read(wire, &byte, 1) < 0 && errno == EINTR) {
        }
    }
    _exit(0);
}

static void ends_well(pid_t child)
{
    int status;
    while (waitpid(child, &status, 0) < 0) {
        EQ(errno, EINTR);
    }
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
        check_fail(__FILE__, __LINE__, "a child ends by %x", (unsigned)status);
    }
}

extern char **environ;

/* A child of the kind that is asked for. */
static pid_t make_child(uint32_t who, int wire)
{
    pid_t child = -1;
    if (strcmp(kind, "fork") == 0) {
        child = fork();
    } else if (strcmp(kind, "_Fork") == 0) {
#if defined(__GLIBC__) && (__GLIBC__ > 2 || __GLIBC_MINOR__ >= 34)
        child = _Fork();
#else
        child = (pid_t)syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);
#endif
    } else if (strcmp(kind, "clone") == 0) {
        child = (pid_t)syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);
    } else if (strcmp(kind, "vfork") == 0) {
        /* It may end or become another program, and nothing else: it has its parent's memory. */
        child = vfork();
        if (child == 0) {
            if (who % 2 == 0) {
                execl("/bin/true", "true", (char *)NULL);
            }
            _exit(0);
        }
    } else if (strcmp(kind, "posix_spawn") == 0) {
        char *arguments[] = {(char *)"true", NULL};
        EQ(posix_spawn(&child, "/bin/true", NULL, NULL, arguments, environ), 0);
    } else {
        CHECK(!"a kind of child");
    }
    SYS(child);
    if (child == 0) {
        alarm(patience());
        live(who, wire, strcmp(manner, "turns") == 0 ? -1 : 0);
    }
    return child;
}

static void beside_a_thread(uint32_t rounds)
{
    /* Children that idle are there while others come and go. */
    pid_t idle[MOST_IDLE] = {0};
    int wires[MOST_IDLE] = {0};
    uint32_t round;
    const int idles = strcmp(habit, "idles") == 0;
    for (round = 0; round < rounds; round++) {
        int ends[2], at = (int)(round % MOST_IDLE);
        pid_t child;
        SYS(pipe2(ends, O_CLOEXEC));
        child = make_child(round + 1, ends[0]);
        SYS(close(ends[0]));
        if (idles && idle[at] != 0) {
            EQ(write(wires[at], "", 1), 1);
            ends_well(idle[at]);
            SYS(close(wires[at]));
        }
        if (idles) {
            idle[at] = child;
            wires[at] = ends[1];
        } else {
            SYS(close(ends[1]));
            ends_well(child);
        }
    }
    for (round = 0; round < MOST_IDLE; round++) {
        if (idle[round] != 0) {
            EQ(write(wires[round], "", 1), 1);
            ends_well(idle[round]);
        }
    }
}

/* The same from a handler of a signal that interrupts the thread in the midst of its appends. */
static _Atomic uint32_t handled;
static uint32_t to_handle;

static void fork_in_the_handler(int signal)
{
    const int saved = errno;
    pid_t child;
    uint32_t who;
    (void)signal;
    if (handled >= to_handle) {
        return;
    }
    who = ++handled;
#if defined(__GLIBC__) && (__GLIBC__ > 2 || __GLIBC_MINOR__ >= 34)
    child = strcmp(kind, "_Fork in a handler") == 0 ? _Fork() : fork();
#else
    child = fork();
#endif
    SYS(child);
    if (child == 0) {
        alarm(patience());
        /* It must not return into what was interrupted. Its parent waits, so that it can't wait for the lock. */
        live(who, -1, 0);
    }
    ends_well(child);
    errno = saved;
}

static void beside_a_signal(pthread_t thread, uint32_t rounds)
{
    /* No two of them at moments that depend on each other. */
    unsigned seed = 12345;
    to_handle = rounds;
    while (handled < rounds) {
        struct timespec pause = {0, 0};
        uint32_t before = handled;
        seed = seed * 1103515245u + 12345u;
        pause.tv_nsec = (long)(seed >> 16) % 100000;
        nanosleep(&pause, NULL);
        EQ(pthread_kill(thread, SIGUSR1), 0);
        while (handled == before) {
            sched_yield();
        }
    }
    to_handle = 0;
}

static void check_elements_of_all(const char *path, uint32_t rounds)
{
    uint32_t *next = calloc(rounds + 1, sizeof *next), who;
    size_t at, count;
    unsigned char *bytes = read_file(path, &count);
    CHECK(next != NULL);
    EQ(count % 8, 0);
    for (at = 0; at < count; at += 8) {
        uint64_t value, number;
        memcpy(&value, bytes + at, 8);
        number = value & 0xffffffffff;
        CHECK(value >> 40 <= rounds);
        who = (uint32_t)(value >> 40);
        if (number != next[who]++) {
            check_fail(__FILE__, __LINE__, "element %zu is number %lld of %u, not number %u",
                       at / 8, (long long)number, who, next[who] - 1);
        }
    }
    for (who = 0; who <= rounds; who++) {
        /* What was done just before a child ended may not be acknowledged; there is none such here. */
        EQ(next[who], acknowledged[who]);
    }
    free(next);
    free(bytes);
}

int main(int argc, char **argv)
{
    const char *path;
    pthread_t thread;
    uint32_t rounds, appended = 0, who;
    int in_handler;
    CHECK(argc == 6);
    begin(argc, argv);
    kind = argv[2];
    habit = argv[3];
    manner = argv[4];
    rounds = (uint32_t)strtoul(argv[5], NULL, 10);
    CHECK(rounds > 0 && rounds < MOST_CHILDREN);
    in_handler = strstr(kind, "in a handler") != NULL;
    acknowledged = mmap(NULL, (rounds + 1) * sizeof *acknowledged, PROT_READ | PROT_WRITE,
                        MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(acknowledged != MAP_FAILED);
    path = in_scratch("children");
    unlink(path);
    OK(mba_open(path, MBA_UINT64, MBA_RDWR | MBA_CREATE, &array));
    if (in_handler) {
        struct sigaction action = {0};
        action.sa_handler = fork_in_the_handler;
        action.sa_flags = SA_RESTART;
        SYS(sigaction(SIGUSR1, &action, NULL));
    }
    OK(mba_lock(array, 0));
    if (strcmp(manner, "turns") == 0) {
        OK(mba_unlock(array));
    }
    EQ(pthread_create(&thread, NULL, append_all_the_time, NULL), 0);
    while (!atomic_load(&has_begun)) {
        sched_yield();
    }
    if (in_handler) {
        beside_a_signal(thread, rounds);
    } else {
        beside_a_thread(rounds);
    }
    atomic_store(&is_over, 1);
    EQ(pthread_join(thread, NULL), 0);
    OK(mba_close(array));
    check_elements_of_all(path, rounds);
    for (who = 1; who <= rounds; who++) {
        appended += acknowledged[who];
    }
    /* Else nothing was tried. */
    CHECK(acknowledged[0] > 0);
    CHECK((appended > 0) ==
              (strstr(habit, "pushes") != NULL && strcmp(manner, "turns") == 0 && !in_handler) ||
          in_handler);
    printf("%u appends, and %u of children\n", acknowledged[0], appended);
    return 0;
}
