/* mba_shm_open and mba_shm_unlink: names, flags, permissions, and that a handle never owns the memory. */
#include "check.h"

static char name[64], other_name[64];

static void refuses(int line, const char *bad, uint32_t flags, int code)
{
    mba_array *array = (mba_array *)name;
    int given = mba_shm_open(bad, MBA_UINT32, flags, &array);
    if (given != code || array != (mba_array *)name) {
        check_fail(__FILE__, line, "mba_shm_open(%.20s, %u) gives %d (%s), not %d", bad, flags,
                   given, mba_strerror(given), code);
    }
}
#define REFUSES(bad, flags, code) refuses(__LINE__, (bad), (flags), (code))

static void names(void)
{
    char longest[400];
    mba_array *array = NULL;
    uint32_t flags;
    int code;
    REFUSES("", MBA_RDWR | MBA_CREATE, EINVAL);
    REFUSES("/", MBA_RDWR | MBA_CREATE, EINVAL);
    REFUSES("/mba/ctest", MBA_RDWR | MBA_CREATE, EINVAL);
    memset(longest, 'x', sizeof longest - 1);
    longest[0] = '/';
    longest[sizeof longest - 1] = 0;
    code = mba_shm_open(longest, MBA_UINT32, MBA_RDWR | MBA_CREATE, &array);
    CHECK(code == EINVAL || code == ENAMETOOLONG); /* C libraries differ */
    CHECK(array == NULL);
    REFUSES(other_name, MBA_RDONLY, ENOENT);
    REFUSES(other_name, MBA_RDWR, ENOENT);
    REFUSES(other_name, MBA_PRIVATE, ENOENT);
    for (flags = 0; flags < 64; flags++) {
        if ((flags & MBA_CREATE && !(flags & MBA_RDWR)) ||
            (flags & MBA_EXCL && !(flags & MBA_CREATE)) ||
            (flags & MBA_EXACT && !(flags & MBA_RDWR)) ||
            (flags & MBA_PRIVATE && (flags & ~(uint32_t)MBA_RDWR) != MBA_PRIVATE) || flags & ~31u) {
            REFUSES(other_name, flags, EINVAL);
        }
    }
    GIVES(EINVAL, mba_shm_open(NULL, MBA_UINT32, MBA_RDWR, (mba_array *[]){NULL}));
    GIVES(EINVAL, mba_shm_open(other_name, MBA_UINT32, MBA_RDWR | MBA_CREATE, NULL));
    GIVES(EINVAL, mba_shm_unlink(NULL));
    CHECK(mba_shm_unlink("") > 0);
    CHECK(mba_shm_unlink("/") > 0);
    CHECK(mba_shm_unlink("/mba/ctest") > 0);
    CHECK(mba_shm_unlink(longest) > 0);
    GIVES(ENOENT, mba_shm_unlink(other_name)); /* nothing has made it */
}

int main(int argc, char **argv)
{
    mba_array *array, *reader, *exact;
    char path[128];
    struct stat status;
    mode_t old;
    uint32_t value = 1;
    begin(argc, argv);
    snprintf(name, sizeof name, "/mba-ctest-named-%d", (int)getpid());
    snprintf(other_name, sizeof other_name, "/mba-ctest-other-%d", (int)getpid());
    snprintf(path, sizeof path, "/dev/shm%s", name);
    names();

    old = umask(0);
    OK(mba_shm_open(name, MBA_UINT32, MBA_RDWR | MBA_CREATE | MBA_EXCL, &array));
    umask(old);
    SYS(stat(path, &status));
    EQ(status.st_mode & 07777, 0600);
    REFUSES(name, MBA_RDWR | MBA_CREATE | MBA_EXCL, EEXIST);
    OK(mba_append(array, &value));
    OK(mba_shm_open(name, MBA_UINT32, MBA_RDONLY, &reader));
    HOLDS(reader, 1);
    GIVES(MBA_EREADONLY, mba_append(reader, &value));
    value = 2;
    OK(mba_append(array, &value));
    OK(mba_refresh(reader));
    HOLDS(reader, 1, 2);
    OK(mba_flush(array));
    OK(mba_shrink_to_fit(array)); /* unlike anonymous memory it can become shorter */
    EQ(file_size(path), 8);
    OK(mba_close(array));
    EQ(file_size(path), 8);

    OK(mba_shm_open(name, MBA_UINT32, MBA_RDWR | MBA_CREATE, &array));
    HOLDS(array, 1, 2);
    OK(mba_shm_open(name, MBA_UINT32, MBA_PRIVATE, &exact));
    OK(mba_set(exact, 0, &value));
    HOLDS(array, 1, 2);
    OK(mba_close(exact));
    OK(mba_shm_open(name, MBA_UINT32, MBA_RDWR | MBA_EXACT, &exact));
    value = 3;
    OK(mba_append(exact, &value));
    EQ(file_size(path), 12);
    OK(mba_close(exact));
    OK(mba_refresh(array));

    /* Without its name it lives on in its handles, and a new one of that name is another. */
    OK(mba_shm_unlink(name));
    GIVES(ENOENT, mba_shm_unlink(name));
    REFUSES(name, MBA_RDWR, ENOENT);
    value = 4;
    OK(mba_append(array, &value));
    OK(mba_refresh(reader));
    HOLDS(reader, 1, 2, 3, 4);
    OK(mba_shm_open(name, MBA_UINT32, MBA_RDWR | MBA_CREATE, &exact));
    EQ(mba_len(exact), 0);
    OK(mba_close(exact));
    OK(mba_shm_unlink(name));
    OK(mba_close(array));
    OK(mba_refresh(reader));
    HOLDS(reader, 1, 2, 3, 4);
    OK(mba_close(reader));

    /* Somebody else's. */
    OK(mba_shm_open(name, MBA_UINT32, MBA_RDWR | MBA_CREATE, &array));
    OK(mba_close(array));
    if (geteuid() == 0) {
        IN_A_CHILD({
            SYS(setgid(65534));
            SYS(setuid(65534));
            REFUSES(name, MBA_RDONLY, EACCES);
            REFUSES(name, MBA_RDWR, EACCES);
            GIVES(EACCES, mba_shm_unlink(name));
        });
    }
    OK(mba_shm_unlink(name));
    return 0;
}
