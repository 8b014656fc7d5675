// What a file says of itself, who has it open, and what a follower can know: epoch, replacement, info and tidy.
#include "check.hpp"

#include <cstring>
#include <filesystem>
#include <utility>

#include <unistd.h>

using array = mba::array<std::uint32_t>;

static void epochs()
{
    auto writer = array::open(in_scratch("epochs"), CREATE);
    writer.assign({1, 2, 3, 4});
    auto reader = mba::array<const std::uint32_t>::open(in_scratch("epochs"));
    auto epoch = reader.epoch();
    const auto changes = [&] {
        reader.refresh();
        return std::exchange(epoch, reader.epoch()) != reader.epoch();
    };
    CHECK(!changes());
    writer.push_back(5);
    writer.resize(7);
    CHECK(!changes() && reader.size() == 7);
    writer.pop_back();
    CHECK(changes());
    writer.push_back(6);
    CHECK(!changes());
    writer.insert(writer.begin(), 0);
    CHECK(changes());
    writer.erase(writer.begin() + 1);
    CHECK(changes());
    writer.clear();
    CHECK(changes() && !changes() && reader.empty());
}

static void replacement()
{
    const auto path = in_scratch("replaced");
    auto old = array::open(path, CREATE);
    CHECK(!old.is_replaced());
    array::open(in_scratch("new"), CREATE).push_back(7);
    std::filesystem::rename(in_scratch("new"), path);
    std::error_code error = mba::errc::limit;
    CHECK(old.is_replaced() && old.is_replaced(error) && !error);
    CHECK(!array().is_replaced(error) && error == std::errc::invalid_argument);
    CHECK(!array::anon().is_replaced());
}

static void status_of_a_file()
{
    const auto path = in_scratch("status");
    auto writer = array::open(path, CREATE);
    writer.assign({1, 2, 3});
    auto status = mba::info(path);
    CHECK(status.type == MBA_UINT32 && status.itemsize == 4 && status.len == 3 &&
          status.offset == 0);
    CHECK(status.has_footer && status.is_locked && status.is_shared && status.epoch == 0);
    CHECK(status.holder == static_cast<std::uint64_t>(getpid()) && std::strlen(status.format) == 0);
    CHECK(status.file_size == std::filesystem::file_size(path) && status.size == sizeof status);
    CHECK(!writer.info().is_shared && writer.info().is_locked);
    writer.pop_back();
    CHECK(mba::info(path).epoch != 0 && mba::info(path).len == 2);
    writer.close();
    status = mba::info(path);
    CHECK(status.type == 0 && status.len == 0 && status.file_size == 8 && !status.has_footer &&
          !status.is_shared);
    std::error_code error;
    CHECK(mba::info(in_scratch("none"), error).len == 0 &&
          error == std::errc::no_such_file_or_directory);
    CHECK(writer.info(error).len == 0 && error == std::errc::invalid_argument);
    THROWS(std::errc::is_a_directory, static_cast<void>(mba::info("/")));
}

static void tidying()
{
    const auto path = in_scratch("tidied");
    in_a_child([&] {
        auto killed = array::open(path, CREATE);
        killed.assign({1, 2, 3});
        std::_Exit(0); // without an end of the handle
    });
    CHECK(std::filesystem::file_size(path) > 12);
    std::error_code error;
    mba::tidy(path, MBA_UINT64, 0, error);
    CHECK(error == mba::errc::type && std::filesystem::file_size(path) > 12);
    mba::tidy(path, MBA_UINT32);
    CHECK(std::filesystem::file_size(path) == 12);
    mba::tidy(path);
    THROWS(std::errc::invalid_argument, mba::tidy(path, 0, 2));
}

int main(int argc, char **argv)
{
    begin(argc, argv);
    epochs();
    replacement();
    status_of_a_file();
    tidying();
}
