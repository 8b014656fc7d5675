/* The guard: a file that is truncated under its mapping reads as zeros, and every later call says so. */
#include "check.h"

#include <pthread.h>
#include <setjmp.h>
#include <sys/mman.h>

enum { PAGE = 4096, IN_PAGE = PAGE / 4, PAGES = 100, LEN = PAGES * IN_PAGE };

/* The address sanitizer would take the signal for a mistake of this program's. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
    return "handle_sigbus=0:handle_segv=0";
}

static const char *path;

/* A file of LEN elements 1, 2, 3 ... that is closed. */
static void make(const char *name)
{
    static uint32_t elements[LEN];
    uint32_t index;
    for (index = 0; index < LEN; index++) {
        elements[index] = index + 1;
    }
    path = in_scratch(name);
    write_file(path, elements, sizeof elements);
}

/* Touches what the compiler might leave alone. */
static uint32_t peek(const uint32_t *at)
{
    return *(const volatile uint32_t *)at;
}

static void poke(uint32_t *at, uint32_t value)
{
    *(volatile uint32_t *)at = value;
}

/* errno, which the compiler believes to stay as it is while memory is only touched. */
static volatile int *last_error(void)
{
    return &errno;
}

/* How many mappings the process has between two addresses. */
static int mappings(const void *start, size_t bytes)
{
    char line[8192];
    unsigned long first, end;
    int count = 0;
    FILE *maps = fopen("/proc/self/maps", "r");
    CHECK(maps != NULL);
    while (fgets(line, sizeof line, maps) != NULL) {
        CHECK(sscanf(line, "%lx-%lx", &first, &end) == 2);
        count += first < (unsigned long)start + bytes && end > (unsigned long)start;
    }
    fclose(maps);
    return count;
}

/* Every function that takes a handle and gives a code. */
static void all_calls_say_so(mba_array *array)
{
    mba_array *other;
    uint32_t values[2] = {5, 6};
    size_t found = 77;
    int answer = 77;
    const size_t len = mba_len(array);
    const void *data = mba_data_ptr(array);
    OK(mba_anon(MBA_UINT32, &other));
#define SAYS_SO(call) GIVES(MBA_ETRUNCATED, call)
    SAYS_SO(mba_get(array, 0, values));
    SAYS_SO(mba_get(array, len - 1, values));
    SAYS_SO(mba_get(array, SIZE_MAX, values));
    SAYS_SO(mba_set(array, 0, values));
    SAYS_SO(mba_append(array, values));
    SAYS_SO(mba_pop(array, values));
    SAYS_SO(mba_insert(array, 0, values));
    SAYS_SO(mba_remove(array, 0, values));
    SAYS_SO(mba_extend(array, values, 2));
    SAYS_SO(mba_extend(array, NULL, 0));
    SAYS_SO(mba_read(array, 0, 2, values));
    SAYS_SO(mba_write(array, 0, values, 2));
    SAYS_SO(mba_splice(array, 0, 1, values, 2));
    SAYS_SO(mba_resize(array, 1));
    SAYS_SO(mba_clear(array));
    SAYS_SO(mba_fill(array, 0, 1, values));
    SAYS_SO(mba_reserve(array, 1));
    SAYS_SO(mba_shrink_to_fit(array));
    SAYS_SO(mba_commit(array, len));
    SAYS_SO(mba_find(array, values, 0, 1, &found));
    SAYS_SO(mba_count(array, values, &found));
    SAYS_SO(mba_compare(array, other, &answer));
    SAYS_SO(mba_compare(other, array, &answer));
    SAYS_SO(mba_equal(array, other, &answer));
    SAYS_SO(mba_equal(other, array, &answer));
    SAYS_SO(mba_reverse(array));
    SAYS_SO(mba_byteswap(array));
    SAYS_SO(mba_flush(array));
    SAYS_SO(mba_refresh(array));
    SAYS_SO(mba_lock(array, 0));
    SAYS_SO(mba_unlock(array));
    SAYS_SO(mba_advise(array, 0, 1, MBA_ADVICE_NORMAL));
#undef SAYS_SO
    EQ(values[0], 5);
    EQ(values[1], 6);
    EQ(found, 77);
    EQ(answer, 77);
    EQ(mba_len(array), len);
    CHECK(mba_data_ptr(array) == data);
    OK(mba_close(other));
}

/* A file is truncated to `kept` bytes under a handle; all of it is touched, forwards or backwards. */
static void cut_under(uint32_t flags, size_t kept, int forwards, int enabled_before)
{
    mba_array *array;
    uint32_t *data;
    size_t step, at, room;
    uint32_t value = 7;
    const int writable = flags != MBA_RDONLY;
    make("cut");
    if (enabled_before) {
        OK(mba_guard_enable());
    }
    OK(mba_open(path, MBA_UINT32, flags, &array));
    data = mba_data_ptr(array);
    room = 4 * (mba_reserved(array) > LEN ? mba_reserved(array) : LEN);
    EQ(peek(&data[LEN - 1]), LEN); /* it is in memory already, and goes all the same */
    if (writable) {
        poke(&data[LEN - 2], LEN - 1);
    }
    SYS(truncate(path, (off_t)kept));
    if (!enabled_before) {
        OK(mba_guard_enable());
    }
    OK(mba_get(array, 0, &value)); /* nobody has noticed yet, for what is there */
    EQ(value, kept >= 4 ? 1 : 0);
    *last_error() = 12345;
    for (step = 0; step < LEN; step++) {
        at = forwards ? step : LEN - 1 - step;
        EQ(peek(&data[at]), at < kept / 4 ? at + 1 : 0);
    }
    EQ(*last_error(), 12345);
    CHECK(mappings(data, room) <= 3);
    for (at = (kept + PAGE - 1) / PAGE * IN_PAGE; writable && at < LEN; at++) {
        poke(&data[at], 3); /* stores are lost, and do no harm */
    }
    all_calls_say_so(array);
    CHECK(mappings(data, room) <= 3);
    if (kept >= 4) {
        EQ(peek(&data[0]), 1);
    }
    GIVES(MBA_ETRUNCATED, mba_close(array));
    EQ(mappings(data, room), 0);
    EQ(file_size(path), kept);
    OK(mba_guard_disable());
}

/* Calls of the library meet the lost elements themselves. */
static void calls_meet_it(void)
{
    static uint32_t copy[LEN];
    mba_array *array;
    uint32_t value = 9, index;
    size_t count = 0;
    OK(mba_guard_enable());

    make("call");
    array = open_u32(path, MBA_RDONLY);
    SYS(truncate(path, PAGE));
    OK(mba_get(array, LEN - 1, &value));
    EQ(value, 0);
    GIVES(MBA_ETRUNCATED, mba_get(array, 0, &value));
    mba_free(array);

    make("call");
    array = open_u32(path, MBA_RDWR);
    SYS(truncate(path, PAGE));
    OK(mba_read(array, 0, LEN, copy));
    for (index = 0; index < LEN; index++) {
        EQ(copy[index], index < IN_PAGE ? index + 1 : 0);
    }
    GIVES(MBA_ETRUNCATED, mba_read(array, 0, 1, copy));
    GIVES(MBA_ETRUNCATED, mba_close(array));
    EQ(file_size(path), PAGE);

    make("call");
    array = open_u32(path, MBA_RDWR);
    SYS(truncate(path, PAGE));
    OK(mba_set(array, LEN / 2, &value));
    GIVES(MBA_ETRUNCATED, mba_set(array, 0, &value));
    mba_free(array);

    make("call");
    array = open_u32(path, MBA_RDONLY);
    SYS(truncate(path, PAGE));
    value = 0;
    OK(mba_count(array, &value, &count));
    EQ(count, LEN - IN_PAGE);
    GIVES(MBA_ETRUNCATED, mba_count(array, &value, &count));
    mba_free(array);

    /* A writer with room: the truncation takes the room and the record; it stops at the next call. */
    make("call");
    array = open_u32(path, MBA_RDWR);
    OK(mba_append(array, &value));
    CHECK(mba_capacity(array) > mba_len(array));
    SYS(truncate(path, PAGE));
    OK(mba_append(array, &value));
    GIVES(MBA_ETRUNCATED, mba_append(array, &value));
    GIVES(MBA_ETRUNCATED, mba_unlock(array));
    EQ(mba_has_lock(array), 1);
    GIVES(MBA_ETRUNCATED, mba_close(array));
    EQ(file_size(path), PAGE);
    array = open_u32(path, MBA_RDWR); /* the lock is free, and the rest is there */
    EQ(mba_len(array), IN_PAGE);
    OK(mba_append(array, &value));
    OK(mba_close(array));

    /* One handle after the other meets it, each for itself. */
    make("call");
    {
        mba_array *first = open_u32(path, MBA_RDONLY), *second = open_u32(path, MBA_RDONLY);
        SYS(truncate(path, PAGE));
        OK(mba_get(first, LEN - 1, &value));
        GIVES(MBA_ETRUNCATED, mba_get(first, 0, &value));
        OK(mba_get(second, 0, &value));
        EQ(value, 1);
        OK(mba_refresh(second));
        EQ(mba_len(second), IN_PAGE);
        GIVES(MBA_ETRUNCATED, mba_close(first));
        OK(mba_close(second));
    }
    OK(mba_guard_disable());
}

/* Cut again and again, grown in between, touched far beyond the length: it stays one hole. */
static void again_and_again(void)
{
    /* Valgrind reports what is touched where the file never had bytes, and rightly so. */
    const int beyond = getenv("MBA_CTEST_VALGRIND") == NULL;
    mba_array *array;
    uint32_t *data;
    int pages;
    uint32_t number = 1;
    make("again");
    OK(mba_guard_enable());
    array = open_u32(path, MBA_RDWR);
    data = mba_data_ptr(array);
    for (pages = PAGES - 1; pages > 0; pages -= 3) {
        SYS(truncate(path, (off_t)pages * PAGE));
        EQ(peek(&data[pages * IN_PAGE]), 0);
        EQ(peek(&data[pages * IN_PAGE - 1]), pages * IN_PAGE);
    }
    for (pages = 0; pages < 2000; pages++) {
        number = number * 1664525u + 1013904223u;
        if (beyond) {
            EQ(peek(&data[LEN + number % 10000000u]), 0);
        }
        if (pages % 500 == 0) {
            SYS(truncate(path, (off_t)(number % 50 + 1) * PAGE));
        }
    }
    CHECK(mappings(data, 4 * mba_reserved(array)) <= 10);
    GIVES(MBA_ETRUNCATED, mba_close(array));
    OK(mba_guard_disable());
}

/* A read-only handle's memory stays read-only, also where it is gone. */
static void store_read_only(void)
{
    mba_array *array;
    uint32_t *data;
    make("store");
    OK(mba_guard_enable());
    array = open_u32(path, MBA_RDONLY);
    data = mba_data_ptr(array);
    SYS(truncate(path, 0));
    EQ(peek(&data[0]), 0);
    poke(&data[0], 1);
    CHECK(0);
}

/* The system doesn't send a signal for what it copies itself. */
static void kernel_copies(void)
{
    mba_array *array;
    int ends[2];
    uint32_t value;
    make("copies");
    OK(mba_guard_enable());
    array = open_u32(path, MBA_RDWR);
    SYS(truncate(path, PAGE));
    SYS(pipe(ends));
    EQ(write(ends[1], "12345678", 8), 8);
    EQ(read(ends[0], (uint32_t *)mba_data_ptr(array) + LEN - 8, 8), -1);
    EQ(errno, EFAULT);
    OK(mba_get(array, 0, &value));
    OK(mba_close(array));
    OK(mba_guard_disable());
}

/* A mapping of this program's own, whose second page is gone. */
static unsigned char *own_mapping(void)
{
    unsigned char *own;
    int fd;
    make("own");
    fd = open(path, O_RDWR);
    SYS(fd);
    own = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    CHECK(own != MAP_FAILED);
    SYS(ftruncate(fd, PAGE));
    SYS(close(fd));
    return own;
}

static volatile sig_atomic_t calls, calls_later;
static void *volatile seen_address;
static volatile int seen_code, blocked_bus, blocked_usr1, blocked_usr2, on_other_stack;
static unsigned char *own;
static sigjmp_buf back;
static char other_stack[65536];

static void look(void)
{
    sigset_t now;
    char here;
    sigprocmask(SIG_SETMASK, NULL, &now);
    blocked_bus = sigismember(&now, SIGBUS);
    blocked_usr1 = sigismember(&now, SIGUSR1);
    blocked_usr2 = sigismember(&now, SIGUSR2);
    on_other_stack = (uintptr_t)&here - (uintptr_t)other_stack < sizeof other_stack;
    calls++;
}

static void mend(void)
{
    if (mmap(own + PAGE, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1,
             0) == MAP_FAILED) {
        _exit(9);
    }
}

static void plain_handler(int signal)
{
    if (signal != SIGBUS) {
        _exit(9);
    }
    look();
    mend();
}

static void full_handler(int signal, siginfo_t *info, void *context)
{
    seen_address = info->si_addr;
    seen_code = info->si_code;
    if (context == NULL) {
        _exit(9);
    }
    plain_handler(signal);
}

static void jumping_handler(int signal)
{
    (void)signal;
    calls++;
    siglongjmp(back, 1);
}

static void install(void (*handler)(int), int flags)
{
    struct sigaction action;
    memset(&action, 0, sizeof action);
    if (flags & SA_SIGINFO) {
        action.sa_sigaction = full_handler;
    } else {
        action.sa_handler = handler;
    }
    action.sa_flags = flags;
    sigaddset(&action.sa_mask, SIGUSR1);
    SYS(sigaction(SIGBUS, &action, NULL));
}

/* One of our arrays is met, and doesn't reach the program's handler. */
static void meet_ours(void)
{
    const int before = calls;
    mba_array *array;
    make("ours");
    array = open_u32(path, MBA_RDONLY);
    SYS(truncate(path, 0));
    EQ(peek((uint32_t *)mba_data_ptr(array) + LEN - 1), 0);
    GIVES(MBA_ETRUNCATED, mba_close(array));
    EQ(calls, before);
}

/* The program's own handler gets what isn't ours, just as it would without us. */
static void handed_on(int flags)
{
    struct sigaction action;
    sigset_t set, now;
    const stack_t stack = {other_stack, 0, sizeof other_stack};
    SYS(sigaltstack(&stack, NULL));
    own = own_mapping();
    install(plain_handler, flags);
    sigemptyset(&set);
    sigaddset(&set, SIGUSR2);
    SYS(sigprocmask(SIG_SETMASK, &set, NULL));
    OK(mba_guard_enable());
    meet_ours();
    *last_error() = 4321;
    EQ(own[PAGE + 123], 0);
    EQ(*last_error(), 4321);
    EQ(calls, 1);
    EQ(blocked_bus, (flags & SA_NODEFER) == 0);
    EQ(blocked_usr1, 1);
    EQ(blocked_usr2, 1);
    EQ(on_other_stack, 1);
    if (flags & SA_SIGINFO) {
        CHECK(seen_address == own + PAGE + 123);
        EQ(seen_code, BUS_ADRERR);
    }
    SYS(sigprocmask(SIG_SETMASK, NULL, &now));
    EQ(sigismember(&now, SIGUSR1), 0);
    EQ(sigismember(&now, SIGUSR2), 1);
    EQ(sigismember(&now, SIGBUS), 0);
    meet_ours();
    if (!(flags & (int)SA_RESETHAND)) {
        SYS(kill(getpid(), SIGBUS)); /* also one that is no fault */
        EQ(calls, 2);
    }
    OK(mba_guard_disable());
    SYS(sigaction(SIGBUS, NULL, &action));
    if (flags & (int)SA_RESETHAND) {
        CHECK(action.sa_handler == SIG_DFL);
    } else if (flags & SA_SIGINFO) {
        CHECK(action.sa_sigaction == full_handler);
    } else {
        CHECK(action.sa_handler == plain_handler);
    }
    EQ(action.sa_flags & ~0x04000000, flags); /* without the C library's own SA_RESTORER */
    EQ(sigismember(&action.sa_mask, SIGUSR1), 1);
    EQ(sigismember(&action.sa_mask, SIGUSR2), 0);
}

/* A handler may jump away, as often as it likes. */
static void jumps_away(void)
{
    volatile int round;
    own = own_mapping();
    install(jumping_handler, 0);
    OK(mba_guard_enable());
    for (round = 0; round < 100; round++) {
        if (sigsetjmp(back, 1) == 0) {
            EQ(own[PAGE], 0);
            CHECK(0);
        }
        meet_ours();
    }
    EQ(calls, 100);
}

/* What nobody handles ends the process, by this very signal. */
static void dies_by_fault(void)
{
    own = own_mapping();
    OK(mba_guard_enable());
    meet_ours();
    EQ(own[PAGE], 0);
    CHECK(0);
}

static void dies_by_ignored_fault(void)
{
    signal(SIGBUS, SIG_IGN);
    OK(mba_guard_enable());
    SYS(raise(SIGBUS)); /* ignored, since it is sent */
    SYS(kill(getpid(), SIGBUS));
    dies_by_fault();
}

static void dies_by_raise(void)
{
    OK(mba_guard_enable());
    SYS(raise(SIGBUS));
    CHECK(0);
}

static void dies_after_one_signal(void)
{
    own = own_mapping();
    install(plain_handler, (int)SA_RESETHAND);
    OK(mba_guard_enable());
    EQ(own[PAGE], 0);
    meet_ours();
    SYS(raise(SIGBUS));
    CHECK(0);
}

static void dies_once_disabled(void)
{
    mba_array *array;
    OK(mba_guard_enable());
    OK(mba_guard_disable());
    make("off");
    array = open_u32(path, MBA_RDONLY);
    SYS(truncate(path, 0));
    EQ(peek(mba_data_ptr(array)), 0);
    CHECK(0);
}

static void dies_without_a_guard(void)
{
    OK(mba_guard_disable());
    dies_once_disabled();
}

static void dies_in_memory_of_the_callers(void)
{
    mba_array *array;
    own = own_mapping();
    OK(mba_guard_enable());
    OK(mba_from_memory(own, 2 * PAGE, MBA_UINT8, MBA_RDWR, &array));
    EQ(((volatile unsigned char *)mba_data_ptr(array))[PAGE], 0);
    CHECK(0);
}

static void ends_by(int signal, void (*body)(void))
{
    int status;
    struct kid kid = fork_kid();
    if (kid.pid == 0) {
        body();
        _exit(0);
    }
    SYS(waitpid(kid.pid, &status, 0));
    SYS(close(kid.wire));
    if (!WIFSIGNALED(status) || WTERMSIG(status) != signal) {
        check_fail(__FILE__, __LINE__, "a child ends by status %x, not by signal %d",
                   (unsigned)status, signal);
    }
}

/* A handler that comes after ours, and passes on what isn't its own. */
static struct sigaction below_later;

static void later_handler(int signal, siginfo_t *info, void *context)
{
    calls_later++;
    if (below_later.sa_flags & SA_SIGINFO) {
        below_later.sa_sigaction(signal, info, context);
    } else if (below_later.sa_handler != SIG_DFL && below_later.sa_handler != SIG_IGN) {
        below_later.sa_handler(signal);
    } else {
        _exit(9);
    }
}

static void install_later(void)
{
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_sigaction = later_handler;
    action.sa_flags = SA_SIGINFO;
    SYS(sigaction(SIGBUS, &action, &below_later));
}

/* Enabling counts, and disabling leaves a handler alone that came later. */
static void counted(void)
{
    struct sigaction action;
    install(plain_handler, 0);
    own = own_mapping();
    OK(mba_guard_enable());
    OK(mba_guard_enable());
    OK(mba_guard_disable());
    meet_ours();
    install_later();
    meet_ours(); /* the later handler passes it on */
    EQ(calls_later, 1);
    OK(mba_guard_enable()); /* on top again */
    OK(mba_guard_enable());
    meet_ours();
    EQ(calls_later, 1);
    EQ(own[PAGE], 0); /* ours, the later one, ours again, and then the first */
    EQ(calls_later, 2);
    EQ(calls, 1);
    OK(mba_guard_disable());
    OK(mba_guard_disable());
    meet_ours();
    OK(mba_guard_disable());
    SYS(sigaction(SIGBUS, NULL, &action));
    CHECK(action.sa_sigaction == later_handler);
    SYS(raise(SIGBUS)); /* what is left of ours passes it on */
    EQ(calls_later, 3);
    EQ(calls, 2);

    /* And it can be turned on again. */
    OK(mba_guard_enable());
    meet_ours();
    EQ(calls_later, 3);
    OK(mba_guard_disable());
}

static void buried_is_off(void)
{
    mba_array *array;
    OK(mba_guard_enable());
    install_later();
    OK(mba_guard_disable());
    make("off");
    array = open_u32(path, MBA_RDONLY);
    SYS(truncate(path, 0));
    EQ(peek(mba_data_ptr(array)), 0);
    CHECK(0);
}

/* Layer upon layer: at last there are no more, and what was enabled stays so. */
static void layers(void)
{
    int round;
    for (round = 0; round < 8; round++) {
        OK(mba_guard_enable());
        install_later();
    }
    GIVES(EBUSY, mba_guard_enable());
    for (round = 0; round < 8; round++) {
        OK(mba_guard_disable());
    }
    GIVES(EBUSY, mba_guard_enable());
    signal(SIGBUS, SIG_DFL);
    own = own_mapping();
    EQ(own[PAGE], 0);
    CHECK(0);
}

static void layers_without_end(void)
{
    int round;
    for (round = 0; round < 100; round++) {
        OK(mba_guard_enable());
        meet_ours();
        OK(mba_guard_disable());
    }
}

/* Threads that meet the same cut at once, while others open and close. */
enum { THREADS = 6 };
static mba_array *volatile shared;
static pthread_barrier_t barrier;
static volatile int over;

static void *toucher(void *argument)
{
    unsigned number = (unsigned)(uintptr_t)argument;
    while (1) {
        const uint32_t *data;
        int step;
        pthread_barrier_wait(&barrier); /* a file is open, and will be truncated */
        if (over) {
            return NULL;
        }
        data = mba_data_ptr(shared);
        for (step = 0; step < 500; step++) {
            uint32_t at, value;
            number = number * 1664525u + 1013904223u;
            at = (number >> 8) % LEN;
            value = peek(&data[at]);
            CHECK(value == 0 || value == at + 1);
        }
        pthread_barrier_wait(&barrier);
    }
}

static void *opener(void *argument)
{
    (void)argument;
    while (!over) {
        mba_array *arrays[20];
        int at;
        for (at = 0; at < 20; at++) {
            OK(mba_anon(MBA_UINT8, &arrays[at]));
        }
        for (at = 0; at < 20; at++) {
            OK(mba_close(arrays[at]));
        }
    }
    return NULL;
}

static void many_threads(int rounds)
{
    pthread_t threads[THREADS], opening;
    uintptr_t at;
    const char *name;
    EQ(pthread_barrier_init(&barrier, NULL, THREADS + 1), 0);
    OK(mba_guard_enable());
    EQ(pthread_create(&opening, NULL, opener, NULL), 0);
    for (at = 0; at < THREADS; at++) {
        EQ(pthread_create(&threads[at], NULL, toucher, (void *)at), 0);
    }
    while (rounds-- > 0) {
        uint32_t value;
        make("threads");
        name = path;
        shared = open_u32(name, rounds % 2 ? MBA_RDWR : MBA_RDONLY);
        pthread_barrier_wait(&barrier);
        SYS(truncate(name, PAGE * (rounds % PAGES)));
        pthread_barrier_wait(&barrier);
        EQ(peek((uint32_t *)mba_data_ptr(shared) + LEN - 1), 0);
        GIVES(MBA_ETRUNCATED, mba_get(shared, 0, &value));
        if (rounds % 10 == 0) {
            IN_A_CHILD(meet_ours());
        }
        GIVES(MBA_ETRUNCATED, mba_close(shared));
    }
    over = 1;
    pthread_barrier_wait(&barrier);
    for (at = 0; at < THREADS; at++) {
        EQ(pthread_join(threads[at], NULL), 0);
    }
    EQ(pthread_join(opening, NULL), 0);
    OK(mba_guard_disable());
}

/* A forked child has the guard, and marks its own copy of the handle. */
static void forked(void)
{
    mba_array *array;
    uint32_t value;
    struct kid kid;
    make("forked");
    OK(mba_guard_enable());
    array = open_u32(path, MBA_RDWR);
    SYS(truncate(path, PAGE));
    kid = fork_kid();
    if (kid.pid == 0) {
        EQ(peek((uint32_t *)mba_data_ptr(array) + LEN - 1), 0);
        GIVES(MBA_ETRUNCATED, mba_get(array, 0, &value));
        GIVES(MBA_ETRUNCATED, mba_append(array, &value));
        GIVES(MBA_ETRUNCATED, mba_close(array));
        OK(mba_guard_disable());
        _exit(0);
    }
    join_kid(kid);
    OK(mba_get(array, 0, &value));
    EQ(value, 1);
    EQ(peek((uint32_t *)mba_data_ptr(array) + LEN - 1), 0);
    GIVES(MBA_ETRUNCATED, mba_get(array, 0, &value));
    GIVES(MBA_ETRUNCATED, mba_close(array));
    OK(mba_guard_disable());
}

int main(int argc, char **argv)
{
    static const size_t kept[] = {0, 4, PAGE, 2 * PAGE + 8, (PAGES - 1) * PAGE, LEN * 4 - PAGE};
    static const uint32_t flags[] = {MBA_RDONLY, MBA_RDWR, MBA_RDWR | MBA_EXACT, MBA_PRIVATE};
    static const int forms[] = {0,
                                SA_SIGINFO,
                                SA_NODEFER,
                                SA_SIGINFO | SA_ONSTACK,
                                (int)SA_RESETHAND,
                                SA_SIGINFO | (int)SA_RESETHAND | SA_NODEFER | SA_RESTART};
    size_t which, at;
    begin(argc, argv);
    for (which = 0; which < sizeof flags / sizeof flags[0]; which++) {
        for (at = 0; at < sizeof kept / sizeof kept[0]; at++) {
            cut_under(flags[which], kept[at], at % 2 == 0, (which + at) % 3 != 0);
        }
    }
    calls_meet_it();
    again_and_again();
    kernel_copies();
    ends_by(SIGSEGV, store_read_only);
    for (at = 0; at < sizeof forms / sizeof forms[0]; at++) {
        IN_A_CHILD(handed_on(forms[at]));
    }
    IN_A_CHILD(jumps_away());
    ends_by(SIGBUS, dies_by_fault);
    ends_by(SIGBUS, dies_by_ignored_fault);
    ends_by(SIGBUS, dies_by_raise);
    ends_by(SIGBUS, dies_after_one_signal);
    ends_by(SIGBUS, dies_once_disabled);
    ends_by(SIGBUS, dies_without_a_guard);
    ends_by(SIGBUS, dies_in_memory_of_the_callers);
    ends_by(SIGBUS, buried_is_off);
    ends_by(SIGBUS, layers);
    IN_A_CHILD(counted());
    IN_A_CHILD(layers_without_end());
    forked();
    IN_A_CHILD(many_threads(30));
    return 0;
}
