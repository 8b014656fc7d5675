// Handles that take turns: what a call does whose handle doesn't know yet what another has appended or taken away. No
// element of anybody's is lost, positions are positions, and who can't have the lock changes nothing.
#include "check.hpp"

using array = mba::array<std::uint32_t>;

/* Two handles on an array of so many elements, 0, 1, 2 and so on, of which the second knows another length. */
struct pair {
    array ahead, behind;

    pair(std::size_t known, std::size_t real)
    {
        ahead = array::open(in_scratch("turns"), CREATE);
        ahead.clear();
        resize(known);
        behind = array::open(in_scratch("turns"));
        resize(real);
        ahead.unlock();
        CHECK(behind.size() == known && !behind.has_lock());
    }

    bool hold(std::initializer_list<std::uint32_t> values)
    {
        behind.unlock();
        ahead.refresh();
        return std::equal(ahead.begin(), ahead.end(), values.begin(), values.end()) &&
               ahead == behind;
    }

private:
    void resize(std::size_t size)
    {
        while (ahead.size() < size) {
            ahead.push_back(static_cast<std::uint32_t>(ahead.size()));
        }
        ahead.resize(size);
    }
};

static void at_the_end()
{
    const std::uint32_t more[] = {50, 51};
    pair one(2, 5);
    one.behind.push_back(50);
    CHECK(one.hold({0, 1, 2, 3, 4, 50}));
    pair two(2, 5);
    two.behind.append_range(more);
    CHECK(two.hold({0, 1, 2, 3, 4, 50, 51}));
    pair three(2, 5);
    CHECK(three.behind.emplace_back(50u) == 50 && three.hold({0, 1, 2, 3, 4, 50}));
    pair four(2, 5);
    four.behind.pop_back();
    CHECK(four.hold({0, 1, 2, 3}));
    pair five(5, 2);
    five.behind.push_back(50);
    CHECK(five.hold({0, 1, 50}));
}

/* A position is one in the array, where it was the end, too. */
static void at_a_position()
{
    const std::uint32_t more[] = {50, 51};
    const std::initializer_list<long> other{50, 51};
    pair one(2, 5);
    CHECK(*one.behind.insert(one.behind.cend(), 50) == 50 && one.hold({0, 1, 50, 2, 3, 4}));
    pair copies(2, 5);
    CHECK(*copies.behind.insert(copies.behind.cend(), 2, 50) == 50 &&
          copies.hold({0, 1, 50, 50, 2, 3, 4}));
    pair first(3, 6);
    first.behind.insert(first.behind.cbegin(), 1, 50);
    CHECK(first.hold({50, 0, 1, 2, 3, 4, 5}));
    pair range(2, 5);
    CHECK(*range.behind.insert(range.behind.cend(), more, more + 2) == 50 &&
          range.hold({0, 1, 50, 51, 2, 3, 4}));
    pair list(2, 5);
    CHECK(*list.behind.insert(list.behind.cend(), other.begin(), other.end()) == 50);
    CHECK(list.hold({0, 1, 50, 51, 2, 3, 4}));
    pair erased(4, 6);
    erased.behind.erase(erased.behind.cbegin() + 2, erased.behind.cend());
    CHECK(erased.hold({0, 1, 4, 5}));
}

/* And there are no positions behind the end that there is. */
static void beyond_the_end()
{
    const auto fails = [](auto call) {
        pair less(6, 2);
        THROWS(mba::errc::index, call(less.behind));
        CHECK(less.hold({0, 1}));
    };
    const std::uint32_t more[] = {50, 51};
    fails([](array &a) { a.insert(a.cend(), 50); });
    fails([](array &a) { a.insert(a.cend(), 2, 50); });
    fails([&](array &a) { a.insert(a.cend(), more, more + 2); });
    fails([&](array &a) { a.insert_range(a.cend(), std::vector<long>{50}); });
    fails([](array &a) { a.emplace(a.cend(), 50u); });
    fails([](array &a) { a.erase(a.cbegin() + 1, a.cbegin() + 4); });
    fails([](array &a) { a.erase(a.cend() - 1); });
}

static void the_whole()
{
    pair values(2, 5);
    values.behind.assign({50, 51});
    CHECK(values.hold({50, 51}));
    pair none(2, 5);
    none.behind.assign({});
    CHECK(none.hold({}));
    pair all(0, 5);
    all.behind.assign_range(std::vector<std::uint32_t>{50});
    CHECK(all.hold({50}));
    pair shorter(5, 2);
    shorter.behind.assign({50});
    CHECK(shorter.hold({50}));
    pair copies(2, 5);
    copies.behind.assign(2, 50);
    CHECK(copies.hold({50, 50}));
    pair longer(2, 5);
    longer.behind.resize(7, 50);
    CHECK(longer.hold({0, 1, 2, 3, 4, 50, 50}));
    pair cut(6, 2);
    cut.behind.resize(4, 50);
    CHECK(cut.hold({0, 1, 50, 50}));
    pair some(2, 6);
    CHECK(erase_if(some.behind, [](std::uint32_t each) { return each % 2 == 1; }) == 3 &&
          some.hold({0, 2, 4}));
    pair cleared(2, 5);
    cleared.behind.clear();
    CHECK(cleared.hold({}));
}

/* Also calls that would end with as many elements as before, and those that have elements to move first. */
static void without_the_lock()
{
    pair both(4, 4);
    both.ahead.lock();
    const auto odd = [](std::uint32_t each) { return each % 2 == 1; };
    std::error_code error;
    THROWS(mba::errc::locked, erase_if(both.behind, odd));
    CHECK(erase_if(both.behind, odd, error) == 0 && error == mba::errc::locked);
    THROWS(mba::errc::locked, erase(both.behind, 1u));
    CHECK(erase(both.behind, 1u, error) == 0 && error == mba::errc::locked);
    THROWS(mba::errc::locked, both.behind.assign({50, 51, 52, 53}));
    THROWS(mba::errc::locked, both.behind.assign(4, 50));
    CHECK(both.hold({0, 1, 2, 3}));
    both.ahead.unlock();
    CHECK(erase_if(both.behind, odd, error) == 2 && !error && erase(both.behind, 2u, error) == 1 &&
          !error);
    CHECK(both.hold({0}));
    // It is lost on the way.
    pair lost(4, 4);
    const auto losing = [&](std::uint32_t each) {
        lost.behind.unlock();
        lost.ahead.lock();
        return odd(each);
    };
    CHECK(erase_if(lost.behind, losing, error) == 0 && error == mba::errc::locked &&
          lost.ahead.size() == 4);
}

int main(int argc, char **argv)
{
    begin(argc, argv);
    at_the_end();
    at_a_position();
    beyond_the_end();
    the_whole();
    without_the_lock();
    return 0;
}
