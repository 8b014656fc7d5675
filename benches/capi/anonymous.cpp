// A new anonymous array that gets an element, and its end, against the same done by hand.
#include "measure.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 8u
#endif

namespace {

void by_library()
{
    mba_array *array;
    uint32_t value = 7;
    CHECK(mba_anon(MBA_UINT32, &array));
    CHECK(mba_append(array, &value));
    mba_free(array);
}

// Memory that can't be truncated, with one page that is there for sure.
void by_hand(unsigned flags)
{
    int fd = memfd_create("by hand", flags);
    EXPECT(fd >= 0 && fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK) == 0);
    EXPECT(fallocate(fd, 0, 0, 4096) == 0);
    void *data =
        mmap(nullptr, RESERVATION, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, fd, 0);
    EXPECT(data != MAP_FAILED);
    *static_cast<volatile uint32_t *>(data) = 7;
    munmap(data, RESERVATION);
    close(fd);
}

// Kernels before 6.3 don't know the flag that forbids to execute such memory.
unsigned known_flags()
{
    unsigned flags = MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_NOEXEC_SEAL;
    int fd = memfd_create("by hand", flags);
    if (fd < 0) return MFD_CLOEXEC | MFD_ALLOW_SEALING;
    close(fd);
    return flags;
}

} // namespace

void anonymous(const Setting &setting)
{
    constexpr size_t TIMES = 100;
    unsigned flags = known_flags();
    compare("mba_anon, mba_append once and mba_free : by hand", "ns", TIMES, setting.rounds(101),
            1.7, again(TIMES, by_library), again(TIMES, [=] { by_hand(flags); }));
}
