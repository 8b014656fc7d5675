/* mba_from_fd and mba_fd: what a descriptor may be, whose it is, and that it carries no lock. */
#include "check.h"

#include <sys/mman.h>

static const char *path;

static void refuses(int line, int fd, uint32_t flags, int code)
{
    mba_array *array = (mba_array *)&path;
    int given = mba_from_fd(fd, MBA_UINT32, flags, &array);
    if (given != code || array != (mba_array *)&path) {
        check_fail(__FILE__, line, "mba_from_fd(%d, %u) gives %d (%s), not %d", fd, flags, given,
                   mba_strerror(given), code);
    }
}
#define REFUSES(fd, flags, code) refuses(__LINE__, (fd), (flags), (code))

static void errors(void)
{
    int reading = open(path, O_RDONLY), writing = open(path, O_WRONLY), both = open(path, O_RDWR);
    int name_only = open(path, O_PATH), directory = open(scratch, O_RDONLY),
        zero = open("/dev/zero", O_RDWR);
    int ends[2], sockets[2], closed = dup(both);
    uint32_t flags;
    SYS(pipe(ends));
    SYS(socketpair(AF_UNIX, SOCK_STREAM, 0, sockets));
    SYS(close(closed));
    REFUSES(-1, MBA_RDONLY, EBADF);
    REFUSES(-2147483647 - 1, MBA_RDWR, EBADF);
    REFUSES(closed, MBA_RDWR, EBADF);
    REFUSES(2147483647, MBA_RDONLY, EBADF);
    REFUSES(name_only, MBA_RDONLY, EBADF);
    REFUSES(name_only, MBA_RDWR, EBADF);
    REFUSES(reading, MBA_RDWR, EACCES);
    REFUSES(reading, MBA_RDWR | MBA_EXACT, EACCES);
    REFUSES(writing, MBA_RDONLY, EACCES);
    REFUSES(writing, MBA_RDWR, EACCES);
    REFUSES(writing, MBA_PRIVATE, EACCES);
    REFUSES(directory, MBA_RDONLY, EISDIR);
    REFUSES(ends[0], MBA_RDONLY, ENODEV);
    REFUSES(sockets[0], MBA_RDONLY, ENODEV);
    REFUSES(sockets[0], MBA_RDWR, ENODEV);
    REFUSES(zero, MBA_RDWR, ENODEV);
    for (flags = 0; flags < 64; flags++) {
        mba_array *array;
        if (flags == MBA_RDONLY || flags == MBA_RDWR || flags == (MBA_RDWR | MBA_EXACT) ||
            (flags & ~(uint32_t)MBA_RDWR) == MBA_PRIVATE) {
            OK(mba_from_fd(both, MBA_UINT32, flags, &array));
            HOLDS(array, 1, 2, 3);
            OK(mba_close(array));
        } else {
            REFUSES(both, flags, EINVAL);
        }
    }
    REFUSES(both, 1u << 31, EINVAL);
    GIVES(EINVAL, mba_from_fd(both, MBA_UINT32, MBA_RDWR, NULL));
    /* They are the caller's still. */
    SYS(close(reading));
    SYS(close(writing));
    SYS(close(both));
    SYS(close(name_only));
    SYS(close(directory));
    SYS(close(zero));
    SYS(close(ends[0]));
    SYS(close(ends[1]));
    SYS(close(sockets[0]));
    SYS(close(sockets[1]));
}

/* Each handle has its own lock, although both come from one descriptor; and O_APPEND bends nothing. */
static void own_descriptions(void)
{
    int fd = open(path, O_RDWR | O_APPEND);
    uint32_t value = 4;
    mba_array *array, *other, *reader;
    SYS(fd);
    OK(mba_from_fd(fd, MBA_UINT32, MBA_RDWR, &array));
    OK(mba_from_fd(fd, MBA_UINT32, MBA_RDWR, &other));
    OK(mba_from_fd(fd, MBA_UINT32, MBA_RDONLY, &reader));
    SYS(close(fd));
    OK(mba_append(array, &value));
    GIVES(MBA_ELOCKED, mba_append(other, &value));
    HOLDS(array, 1, 2, 3, 4);
    OK(mba_refresh(reader));
    HOLDS(reader, 1, 2, 3, 4);

    /* What mba_fd hands out doesn't carry the lock either, and is the same every time. */
    fd = mba_fd(array);
    CHECK(fd >= 0);
    EQ(mba_fd(array), fd);
    fd = dup(fd);
    SYS(fd);
    IN_A_CHILD({
        mba_array *own;
        OK(mba_from_fd(fd, MBA_UINT32, MBA_RDWR, &own));
        GIVES(MBA_ELOCKED, mba_append(own, &value));
        OK(mba_close(own));
    });
    OK(mba_close(array));
    OK(mba_append(other, &value));
    HOLDS(other, 1, 2, 3, 4, 4);
    OK(mba_close(other));
    CHECK(mba_fd(reader) >= 0);
    OK(mba_close(reader));
    EQ(file_size(path), 20);
    SYS(close(fd));
}

/* Anonymous memory: sealed against shrinking, so it can't be exact; it ends with its last holder. */
static void anonymous(void)
{
    mba_array *array, *other;
    uint32_t value = 1;
    int fd, plain;
    OK(mba_anon(MBA_UINT32, &array));
    EQ(mba_len(array), 0);
    OK(mba_append(array, &value));
    REFUSES(mba_fd(array), MBA_RDWR | MBA_EXACT, EINVAL);
    REFUSES(mba_fd(array), MBA_RDWR | MBA_CREATE, EINVAL);
    GIVES(MBA_ETYPE,
          mba_from_fd(mba_fd(array), MBA_INT32, MBA_RDONLY, &other)); /* it has spare room */
    CHECK(fcntl(mba_fd(array), F_GET_SEALS) & F_SEAL_SHRINK);
    fd = dup(mba_fd(array));
    SYS(fd);
    OK(mba_close(array));
    OK(mba_from_fd(fd, MBA_UINT32, MBA_RDONLY, &array));
    HOLDS(array, 1);
    OK(mba_close(array));
    OK(mba_from_fd(fd, MBA_UINT32, MBA_RDWR, &array));
    OK(mba_from_fd(fd, MBA_UINT32, MBA_PRIVATE, &other));
    SYS(close(fd));
    value = 2;
    OK(mba_append(array, &value));
    HOLDS(array, 1, 2);
    HOLDS(other, 1);
    OK(mba_close(other));
    OK(mba_close(array));

    /* Somebody's own memfd, without a seal, is as good as a file. */
    plain = memfd_create("plain", MFD_CLOEXEC);
    SYS(plain);
    EQ(write(plain, "\1\0\0\0\2\0\0\0", 8), 8);
    OK(mba_from_fd(plain, MBA_UINT32, MBA_RDWR | MBA_EXACT, &array));
    value = 3;
    OK(mba_append(array, &value));
    HOLDS(array, 1, 2, 3);
    OK(mba_close(array));
    EQ(lseek(plain, 0, SEEK_END), 12);
    SYS(close(plain));
}

/* Without descriptors to spare. */
static void too_many(void)
{
    IN_A_CHILD({
        mba_array *array = (mba_array *)&path;
        mba_array *first = open_u32(path, MBA_RDWR);
        uint32_t value = 9;
        int i;
        while (dup(2) != -1) {
        }
        GIVES(EMFILE, mba_anon(MBA_UINT32, &array));
        GIVES(EMFILE, mba_open(path, MBA_UINT32, MBA_RDWR, &array));
        GIVES(EMFILE, mba_shm_open("/mba-ctest-many", MBA_UINT32, MBA_RDWR | MBA_CREATE, &array));
        /* Valgrind says EMFILE when the file is there already. */
        (void)mba_shm_unlink("/mba-ctest-many");
        CHECK(array == (mba_array *)&path);
        OK(mba_append(first, &value)); /* what is open already works */
        /* And the lock goes as it came when there are descriptors again. */
        for (i = 50; i < 100; i++) {
            close(i);
        }
        OK(mba_append(first, &value));
        OK(mba_unlock(first));
        array = open_u32(path, MBA_RDWR);
        OK(mba_append(array, &value));
        GIVES(MBA_ELOCKED, mba_append(first, &value));
        OK(mba_close(array));
        OK(mba_append(first, &value));
        OK(mba_close(first));
    });
}

static void refused_in_a_child(mba_array *array)
{
    IN_A_CHILD({
        uint32_t value = 1;
        GIVES(EACCES, mba_append(array, &value));
        OK(mba_close(array));
    });
}

/* A process that opened a file and then gave up the permission to open it goes on appending; a child of it
 * can't have a lock of its own, and must not use its parent's. */
static void given_up(void)
{
    if (getuid() != 0) {
        printf("skipped: only root can give up permissions\n");
        return;
    }
    SYS(chmod(path, 0600));
    IN_A_CHILD({
        mba_array *array = open_u32(path, MBA_RDWR);
        size_t len = mba_len(array);
        uint32_t value = 9;
        int i;
        SYS(setgid(65534));
        SYS(setuid(65534));
        for (i = 0; i < 5000; i++) {
            OK(mba_append(array, &value));
        }
        refused_in_a_child(array);
        EQ(mba_has_lock(array), 1);
        OK(mba_append(array, &value));
        EQ(mba_len(array), len + 5001);
        OK(mba_close(array));
    });
}

int main(int argc, char **argv)
{
    begin(argc, argv);
    path = strdup(in_scratch("descriptor"));
    make_u32(path, 3);
    errors();
    own_descriptions();
    anonymous();
    too_many();
    given_up();
    return 0;
}
