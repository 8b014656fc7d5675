/*
 * An array of anonymous memory handed over by fork and by descriptor, and a named one found by name.
 * Without a second argument both processes are of this program. With one, the other is in Rust, in
 * exchange.rs, at the other end of the socket on descriptor 0: "give" and "take" hand a descriptor over,
 * "named" opens the name that follows.
 */
#include "exchange.h"

static mba_array *make_anonymous(void)
{
    mba_array *array;
    OK(mba_anon(MBA_UINT32, &array));
    append_elements(array, 0, FIRST);
    OK(mba_unlock(array));
    return array;
}

static mba_array *take(int wire)
{
    mba_array *array;
    int fd = receive_fd(wire);
    OK(mba_from_fd(fd, MBA_UINT32, MBA_RDWR, &array));
    SYS(close(fd)); /* the handle has one of its own */
    return array;
}

static void by_fork(void)
{
    mba_array *array = make_anonymous();
    struct kid kid = fork_kid();
    if (kid.pid == 0) {
        follow(array, kid.wire);
        _exit(0);
    }
    lead(array, kid.wire);
    join_kid(kid);
    OK(mba_close(array));
}

static void by_descriptor(const char *program)
{
    mba_array *array = make_anonymous();
    struct kid kid = fork_kid();
    if (kid.pid == 0) {
        SYS(dup2(kid.wire, 0));
        execl(program, program, scratch, "take", (char *)NULL);
        _exit(127);
    }
    send_fd(kid.wire, mba_fd(array));
    lead(array, kid.wire);
    join_kid(kid);
    OK(mba_close(array));
}

static void by_name(const char *program)
{
    mba_array *array, *other;
    char name[64];
    struct kid kid;
    snprintf(name, sizeof name, "/mba-ctest-%d", (int)getpid());
    OK(mba_shm_open(name, MBA_UINT32, MBA_RDWR | MBA_CREATE | MBA_EXCL, &array));
    append_elements(array, 0, FIRST);
    OK(mba_unlock(array));
    kid = fork_kid();
    if (kid.pid == 0) {
        SYS(dup2(kid.wire, 0));
        execl(program, program, scratch, "named", name, (char *)NULL);
        _exit(127);
    }
    lead(array, kid.wire);
    join_kid(kid);
    /* Closing never removes a name, and unlinking never ends a handle. */
    OK(mba_close(array));
    OK(mba_shm_open(name, MBA_UINT32, MBA_RDONLY, &array));
    OK(mba_shm_unlink(name));
    check_all(array, mba_data_ptr(array), LAST);
    GIVES(ENOENT, mba_shm_open(name, MBA_UINT32, MBA_RDONLY, &other));
    OK(mba_close(array));
}

int main(int argc, char **argv)
{
    mba_array *array;
    begin(argc, argv);
    if (argc == 2) {
        by_fork();
        by_descriptor(argv[0]);
        by_name(argv[0]);
    } else if (strcmp(argv[2], "give") == 0) {
        array = make_anonymous();
        send_fd(0, mba_fd(array));
        follow(array, 0);
    } else if (strcmp(argv[2], "take") == 0) {
        follow(take(0), 0);
    } else if (strcmp(argv[2], "named") == 0) {
        OK(mba_shm_open(argv[3], MBA_UINT32, MBA_RDWR, &array));
        follow(array, 0);
    } else {
        return 2;
    }
    return 0;
}
