// Random operations on an array and on a std::vector, which must have the same elements after each; also by two handles
// in turn, neither of which knows what length the other has left.
#include "check.hpp"

#include <list>
#include <random>

namespace {

struct wide {
    std::uint64_t numbers[5];
};

/* Larger than what the library keeps on the stack. */
struct large {
    std::uint16_t numbers[1501];
};

template <class T>
T element(std::uint64_t seed)
{
    T made{};
    auto *bytes = reinterpret_cast<unsigned char *>(&made);
    for (std::size_t at = 0; at < sizeof made; ++at) {
        bytes[at] = static_cast<unsigned char>((seed >> (8 * (at % 4))) + at);
    }
    return made;
}
template <>
double element<double>(std::uint64_t seed)
{
    return static_cast<double>(seed) / 3;
}

template <class T>
class run {
public:
    run(const std::string &path, bool exact, std::uint32_t seed, bool takes_turns)
        : path_(path), exact_(exact), random_(seed), array_(open())
    {
        array_.clear();
        if (takes_turns) {
            other_ = another();
        }
    }

    void steps(int count)
    {
        for (int step = 0; step < count; ++step) {
            if (other_ && random_() % 3 == 0) {
                array_.unlock();
                array_.swap(other_);
            }
            what_ = one(random_() % 25);
            array_.refresh();
            compare();
        }
    }

private:
    using array = mba::array<T>;

    array open()
    {
        return path_.empty() ? array::anon() : array(path_, mba::mode::create, {0, 0, exact_});
    }
    array another() { return array::from_fd(array_.fd(), mba::mode::read_write, {0, 0, exact_}); }

    std::size_t below(std::size_t end) { return end == 0 ? 0 : random_() % end; }
    /* Sometimes large enough for pages and steps of growth. */
    std::size_t some() { return below(random_() % 8 == 0 ? 5000 : 12); }
    T any() { return element<T>(random_() % 50); }
    std::vector<T> several()
    {
        std::vector<T> values(some());
        for (T &value : values) {
            value = any();
        }
        return values;
    }
    /* A place, the same in both. */
    std::size_t place() { return below(vector_.size() + 1); }
    auto at(std::size_t index) { return array_.cbegin() + static_cast<std::ptrdiff_t>(index); }
    auto vector_at(std::size_t index)
    {
        return vector_.begin() + static_cast<std::ptrdiff_t>(index);
    }

    const char *one(std::uint64_t operation)
    {
        if (vector_.size() > 60000 / sizeof(T) + 2000) {
            operation = 0;
        }
        const std::size_t where = place(), size = vector_.size();
        switch (operation) {
        case 0:
            array_.clear();
            vector_.clear();
            return "clear";
        case 1:
            if (size > 0) {
                array_.pop_back();
                vector_.pop_back();
            }
            return "pop_back";
        case 2: {
            const T value = any();
            CHECK(array_.insert(at(where), value) == array_.begin() + where);
            vector_.insert(vector_at(where), value);
            return "insert";
        }
        case 3: {
            const std::size_t count = some();
            const T value = any();
            array_.insert(at(where), count, value);
            vector_.insert(vector_at(where), count, value);
            return "insert copies";
        }
        case 4: {
            const auto values = several();
            array_.insert(at(where), values.begin(), values.end());
            vector_.insert(vector_at(where), values.begin(), values.end());
            return "insert a range";
        }
        case 5: {
            const auto values = several();
            const std::list<T> list(values.begin(), values.end());
            array_.insert(at(where), list.begin(), list.end());
            vector_.insert(vector_at(where), list.begin(), list.end());
            return "insert a list";
        }
        case 6:
            if (where < size) {
                CHECK(array_.erase(at(where)) == array_.begin() + where);
                vector_.erase(vector_at(where));
            }
            return "erase";
        case 7: {
            const std::size_t end = where + below(size - where + 1);
            array_.erase(at(where), at(end));
            vector_.erase(vector_at(where), vector_at(end));
            return "erase a range";
        }
        case 8: {
            const std::size_t count = size / 2 + some();
            array_.resize(count);
            vector_.resize(count);
            return "resize";
        }
        case 9: {
            const std::size_t count = size / 2 + some();
            const T value = any();
            array_.resize(count, value);
            vector_.resize(count, value);
            return "resize with a value";
        }
        case 10: {
            const auto values = several();
            array_.assign(values.begin(), values.end());
            vector_.assign(values.begin(), values.end());
            return "assign";
        }
        case 11: {
            const std::size_t count = some();
            const T value = any();
            array_.assign(count, value);
            vector_.assign(count, value);
            return "assign copies";
        }
        case 12:
            // Elements of its own.
            if (where < size) {
                const std::size_t end = where + below(std::min<std::size_t>(size - where, 500) + 1);
                const std::vector<T> copy(vector_at(where), vector_at(end));
                const std::size_t target = place();
                array_.insert(at(target), at(where), at(end));
                vector_.insert(vector_at(target), copy.begin(), copy.end());
            }
            return "insert of its own";
        case 13: {
            const T value = any();
            const auto same = [&](const T &each) {
                return std::memcmp(&each, &value, sizeof value) == 0;
            };
            const auto rest = std::remove_if(vector_.begin(), vector_.end(), same);
            CHECK(mba::erase_if(array_, same) == static_cast<std::size_t>(vector_.end() - rest));
            vector_.erase(rest, vector_.end());
            return "erase_if";
        }
        case 14: {
            const auto values = several();
            array_.append_range(values);
            vector_.insert(vector_.end(), values.begin(), values.end());
            return "append_range";
        }
        case 15:
            array_.reserve(size + some());
            return "reserve";
        case 16:
            array_.shrink_to_fit();
            return "shrink_to_fit";
        case 17:
            if (size > 0) {
                const std::size_t index = below(size);
                const T value = any();
                array_[index] = value;
                vector_[index] = value;
                array_.refresh();
                const T sought = any();
                std::size_t count = 0, first = size;
                for (std::size_t each = 0; each < size; ++each) {
                    if (std::memcmp(&vector_[each], &sought, sizeof sought) == 0) {
                        first = count++ == 0 ? each : first;
                    }
                }
                CHECK(array_.count(sought) == count &&
                      array_.find(sought) == array_.begin() + first);
            }
            return "set, find, count";
        case 18:
            if (!path_.empty()) {
                const auto bytes = static_cast<long long>(size * sizeof(T));
                const bool takes_turns = other_.is_open();
                array_.close();
                if (takes_turns) {
                    CHECK(file_size(path_) >= bytes); // it keeps what the other has seen
                    other_.close();
                }
                CHECK(file_size(path_) == bytes);
                array_ = open();
                if (takes_turns) {
                    other_ = another();
                }
            }
            return "reopen";
        case 19:
            array_.unlock();
            return "unlock";
        case 20: {
            if (vector_.empty()) {
                return "swap";
            }
            array_.refresh(); // the other handle may have changed the length
            const std::size_t i = random_() % vector_.size(), j = random_() % vector_.size();
            array_.swap(i, j);
            std::swap(vector_[i], vector_[j]);
            return "swap";
        }
        default: {
            const std::size_t count = 1 + some();
            for (std::size_t each = 0; each < count; ++each) {
                const T value = any();
                array_.push_back(value);
                vector_.push_back(value);
            }
            return "push_back";
        }
        }
    }

    void compare()
    {
        if (array_.size() != vector_.size() ||
            (!vector_.empty() &&
             std::memcmp(array_.data(), vector_.data(), vector_.size() * sizeof(T)) != 0)) {
            failed(__FILE__, __LINE__,
                   std::string(what_) + ": " + std::to_string(array_.size()) +
                       " elements, and in the vector " + std::to_string(vector_.size()));
        }
    }

    std::string path_;
    bool exact_;
    std::mt19937_64 random_;
    array array_, other_;
    std::vector<T> vector_;
    const char *what_ = "";
};

template <class T>
void try_type(const char *name)
{
    for (std::uint32_t seed = 1; seed <= 2; ++seed) {
        for (const bool takes_turns : {false, true}) {
            std::fprintf(stderr, "%s, seed %u, %s\n", name, seed,
                         takes_turns ? "two handles" : "one handle");
            run<T>(in_scratch(name), false, seed, takes_turns).steps(400);
            run<T>("", false, seed + 100, takes_turns).steps(200);
            run<T>(in_scratch((std::string(name) + "-exact").c_str()), true, seed + 200,
                   takes_turns)
                .steps(150);
        }
    }
}

} // namespace

int main(int argc, char **argv)
{
    begin(argc, argv);
    try_type<std::uint8_t>("bytes");
    try_type<std::uint32_t>("u32");
    try_type<std::uint64_t>("u64");
    try_type<double>("doubles");
    try_type<point>("points");
    try_type<wide>("wide");
    try_type<large>("large");
    return 0;
}
