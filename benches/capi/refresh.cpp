// Refreshing a reader's handle against one pread of a footer by hand: where nothing is new, and where there is one
// element more each time.
#include "measure.h"

#include <fcntl.h>
#include <unistd.h>

namespace {

constexpr size_t TIMES = 1000;
constexpr size_t FOOTER = 128;

// A reader's handle on a file, and a descriptor to read it by hand.
class Reader {
public:
    explicit Reader(const std::string &path) : fd_(open(path.c_str(), O_RDONLY | O_CLOEXEC))
    {
        EXPECT(fd_ >= 0);
        CHECK(mba_open(path.c_str(), MBA_UINT32, MBA_RDONLY, &array_));
        footer_ = lseek(fd_, 0, SEEK_END) - static_cast<off_t>(FOOTER);
    }
    Reader(const Reader &) = delete;
    Reader &operator=(const Reader &) = delete;
    ~Reader()
    {
        mba_free(array_);
        close(fd_);
    }

    void by_library() const { CHECK(mba_refresh(array_)); }

    // One byte more than a footer has tells whether the file has become longer.
    void by_hand() const
    {
        char bytes[FOOTER + 1];
        EXPECT(pread(fd_, bytes, sizeof bytes, footer_) == FOOTER);
        use(bytes);
    }

    size_t len() const { return mba_len(array_); }

private:
    int fd_;
    off_t footer_;
    mba_array *array_;
};

void nothing_new(const Setting &setting, const std::string &file, const Reader &reader)
{
    compare("mba_refresh, nothing new, " + file + " : pread", "ns", TIMES, setting.rounds(101), 1.5,
            again(TIMES, [&] { reader.by_library(); }), again(TIMES, [&] { reader.by_hand(); }));
}

// A file that nobody is growing, as another program has written it.
void closed(const Setting &setting, const std::string &where, const std::string &directory,
            size_t bytes)
{
    std::string path = directory + "/closed.u32";
    int fd = open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    std::vector<char> some(bytes, 1);
    EXPECT(fd >= 0 && write(fd, some.data(), bytes) == static_cast<ssize_t>(bytes));
    close(fd);
    nothing_new(setting, "closed file of " + std::to_string(bytes) + " bytes, " + where,
                Reader(path));
    EXPECT(unlink(path.c_str()) == 0);
}

// A file that a writer has open.
void growing(const Setting &setting, const std::string &where, const std::string &directory)
{
    NewArray array(directory);
    mba_array *writer = array.get();
    // So much room that the file stays as it is while elements come.
    CHECK(mba_reserve(writer, 1 << 20));
    uint32_t value = 7;
    CHECK(mba_append(writer, &value));
    Reader reader(array.path());
    nothing_new(setting, "writer there, " + where, reader);
    compare("mba_append and mba_refresh, one new, " + where + " : pread", "ns", TIMES,
            setting.rounds(101), 0,
            again(TIMES,
                  [&] {
                      CHECK(mba_append(writer, &value));
                      reader.by_library();
                  }),
            again(TIMES, [&] { reader.by_hand(); }));
    if (reader.len() != mba_len(writer)) std::abort();
}

} // namespace

void refresh(const Setting &setting)
{
    const struct {
        const char *name;
        const std::string &directory;
    } places[] = {{"tmpfs", setting.memory}, {"disk", setting.disk}};
    for (const auto &place : places) {
        growing(setting, place.name, place.directory);
        closed(setting, place.name, place.directory, 4000);
        closed(setting, place.name, place.directory, 4096);
    }
}
