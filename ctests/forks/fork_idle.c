/* A child that does nothing doesn't keep the growth lock of a parent that was killed. */
#include "check.h"

int main(int argc, char **argv)
{
    const char *path;
    mba_array *array;
    uint32_t value = 4;
    struct kid parent;
    int status;
    begin(argc, argv);
    path = in_scratch("idle");
    make_u32(path, 3);
    array = open_u32(path, MBA_RDWR);
    parent = fork_kid();
    if (parent.pid == 0) {
        mba_array *own = open_u32(path, MBA_RDWR);
        struct kid idle;
        OK(mba_append(own, &value));
        idle = fork_kid();
        if (idle.pid == 0) {
            prctl(PR_SET_PDEATHSIG, 0); /* it outlives its parent */
            say(parent.wire, "idle");
            HEAR(parent.wire, "look");
            HOLDS(own, 1, 2, 3, 4);
            say(parent.wire, "seen");
            _exit(0);
        }
        pause();
    }
    HEAR(parent.wire, "idle");
    GIVES(MBA_ELOCKED, mba_append(array, &value));
    SYS(kill(parent.pid, SIGKILL));
    SYS(waitpid(parent.pid, &status, 0));
    value = 5;
    OK(mba_append(array, &value));
    HOLDS(array, 1, 2, 3, 4, 5);
    say(parent.wire, "look");
    HEAR(parent.wire, "seen");
    SYS(close(parent.wire));
    OK(mba_close(array));
    EQ(file_size(path), 20);
    return 0;
}
