/*
 * mmap_backed_array.hpp: mba::array<T>, a vector whose elements live in mapped memory. They
 * persist, other processes and languages share them, and they never move when the array grows.
 * C++17, over the C library of mmap_backed_array.h; nothing else has to be linked.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 *
 *     mba::array<std::uint64_t> squares("squares.u64", mba::mode::create);
 *     for (std::uint64_t n = squares.size(); n < 1000; ++n) {
 *         squares.push_back(n * n);
 *     }
 *     std::uint64_t sum = std::accumulate(squares.begin(), squares.end(), std::uint64_t{0});
 *
 * mba::array<T> is a contiguous container with the members of std::vector. It differs in this:
 *
 * - It is a handle on an array that others may have open too. It is opened, not constructed with
 *   elements. It can be moved, but not copied. The elements outlive it, in a file or where others
 *   have the memory.
 * - Growth never moves elements. Pointers, references and iterators stay valid until the handle
 *   ends, or until their element is erased. insert() and erase() move the elements behind.
 * - Elements are bytes that can be copied, and have no pointers: see is_element. They are never
 *   constructed or destroyed. New elements that no value was given for are zero bytes.
 * - A call that changes the length can fail where a vector's can't: the disk is full, another
 *   handle has the growth lock, or the memory has a fixed length.
 *
 * mba::array<const T> is a handle for reading only. An array<T> that is moved from becomes one.
 *
 * ERRORS. A call that fails throws mba::error and leaves the array as it was, unless its comment
 * says otherwise. mba::error is a std::system_error; its code is of mba::category(). Each call that
 * can fail has a second form with a std::error_code & as last argument, which stores the code there
 * instead, 0 on success. The second form throws nothing of its own, but what the caller's
 * iterators, predicates and clocks throw. at(), emplace() and emplace_back() have no second form:
 * compare with size() before, or push_back(T(arguments...), error).
 *
 * Compiled with -fno-exceptions, the first form ends the program instead of throwing: it writes
 * what() and a newline to standard error, and calls std::abort(). The second form is the same. All
 * files of one program that use this header must be compiled with exceptions, or all without.
 * Nothing here needs run-time type information: -fno-rtti changes nothing.
 *
 * LENGTH. Each handle has its own view of the length. refresh() takes up what others have
 * published, and so does each call that changes the length. One handle at a time, of all processes,
 * can change the length. The first call that does so takes the growth lock, and keeps it until
 * unlock() or the handle's end. See lock().
 *
 * THREADS. The rules are those of the standard containers. Calls of const members may run beside
 * each other on one object. A call of a member that isn't const may run beside no other call on the
 * same object. There is one exception, so that threads can follow one that appends:
 * published_size() may run beside all calls but shrink_to_fit() and those that end the handle or
 * make the array shorter. Different objects are independent, also if they are handles of one array.
 * Elements are ordinary memory: if one thread or process writes an element while others use it, the
 * program needs what shared memory always needs, such as elements of std::atomic.
 *
 * The top of mmap_backed_array.h says what survives a crash, and what isn't promised.
 *
 * CONTENTS. Search for a line's number and title to find its section.
 *
 *     1. ERRORS                   errc, category(), error
 *     2. ELEMENT TYPES            element<T>: the library's type for a C++ type; is_element<T>
 *     3. OPTIONS AND SMALL TYPES  mode, open_options, mapping, advice, status
 *     4. HELPERS                  namespace detail; not for programs
 *     5. BOTH KINDS OF ARRAY      detail::handle<T>: what array<T> and array<const T> both have
 *                                 - Opening: open, shm, from_fd, from_memory
 *                                 - The handle: is_open, native_handle, release, close, detach
 *                                 - Length: size, empty, published_size, capacity, max_size,
 *                                   is_readonly
 *                                 - Elements: data, [], at, front, back, begin, end, to_vector
 *                                 - Others: path, fd, refresh, epoch, is_replaced
 *                                 - Advice and status: advise, info
 *                                 - Searching: find, count
 *     6. ARRAY FOR READING        array<const T>, and how an array<T> becomes one
 *     7. ARRAY                    array<T>: what changes elements or the length
 *                                 - Opening: by a path, anon, a handle of the C functions
 *                                 - Elements: swap, fill
 *                                 - At the end: push_back, emplace_back, pop_back, append_range
 *                                 - Anywhere: insert, insert_range, emplace, erase
 *                                 - The whole: assign, assign_range, resize, clear
 *                                 - Room: reserve, shrink_to_fit, commit
 *                                 - The disk: flush
 *                                 - The growth lock: lock, try_lock, unlock, has_lock
 *                                 - Order and bytes: reverse, byteswap
 *     8. FUNCTIONS                swap, ==, <, <=>, erase_if, erase, shm_unlink, info, tidy
 *     9. SIGBUS GUARD             sigbus_guard
 */
#ifndef MMAP_BACKED_ARRAY_HPP
#define MMAP_BACKED_ARRAY_HPP

/* One error, and none that follows from it. */
#if __cplusplus < 201703L
#error "mmap_backed_array.hpp is for C++17 and later: compile with -std=c++17"
#elif defined(MBA_NO_INLINE)
#error "mmap_backed_array.hpp needs the inline functions that MBA_NO_INLINE leaves out"
#else

#include "mmap_backed_array.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <climits>
#include <complex>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <initializer_list>
#include <iterator>
#include <memory>
#include <new>
#include <stdexcept>
#include <string>
#include <system_error>
#include <type_traits>
#include <utility>
#include <vector>

#include <unistd.h>

#if __cplusplus >= 202002L
#include <compare>
#endif

// =================================================================================================
// 1. ERRORS
// =================================================================================================

namespace mba {

/* The library's own codes. mmap_backed_array.h says more of each. */
enum class errc : int {
    type = MBA_ETYPE,           /* the element type isn't the file's, or doesn't suit the call */
    index = MBA_EINDEX,         /* outside the array */
    empty = MBA_EEMPTY,         /* no element to take */
    not_found = MBA_ENOTFOUND,  /* no element equals the value */
    read_only = MBA_EREADONLY,  /* the handle is read-only */
    locked = MBA_ELOCKED,       /* another handle holds the growth lock */
    limit = MBA_ELIMIT,         /* beyond the handle's reservation */
    partial = MBA_EPARTIAL,     /* the file ends inside an element */
    corrupt = MBA_ECORRUPT,     /* the file's footer contradicts the file */
    truncated = MBA_ETRUNCATED, /* another program made the file shorter */
    fixed_length = MBA_EFIXED,  /* this memory can't change its length */
    panic = MBA_EPANIC          /* a bug in the library; the handle refuses further work */
};

/*
 * The category of all codes here. A positive code is an errno, a negative one is an mba::errc. Both
 * can be compared: error.code() == mba::errc::locked,
 * error.code() == std::errc::no_space_on_device.
 */
[[gnu::visibility("default")]] inline const std::error_category &category() noexcept;

inline std::error_code make_error_code(errc code) noexcept
{
    return {static_cast<int>(code), category()};
}

/*
 * What a call throws when it fails. what() is a line for people, as by mba_error_text: the call,
 * the path if there is one, what has happened, and what the file says about it.
 */
class [[gnu::visibility("default")]] error : public std::system_error {
public:
    /* `words` replace the text of the code if they aren't NULL. `path` may be NULL. */
    error(int code, const char *call, const char *path, const char *words)
        : std::system_error(code, category()), line_(line(code, call, path, words))
    {
    }
    const char *what() const noexcept override { return line_.what(); }

private:
    static std::string line(int code, const char *call, const char *path, const char *words);

    /* Not a std::string: to copy an exception must not throw. */
    std::runtime_error line_;
};

} // namespace mba

template <>
struct std::is_error_code_enum<mba::errc> : std::true_type {};

// =================================================================================================
// 2. ELEMENT TYPES
// =================================================================================================

namespace mba {

/*
 * The library's type for elements of the C++ type T: `element<T>::type`.
 *
 * Arithmetic types, characters and complex numbers have the types in the list below. An enumeration
 * has its underlying type's, and std::atomic<T> has T's. Any other type is a record,
 * MBA_RECORD(sizeof(T)), also std::array and std::pair. Specialize this for a type of your own that
 * has the same bytes as a type of the library, such as a half-precision float:
 * `type = MBA_FLOAT16`.
 */
template <class T, class = void>
struct element {
    static constexpr mba_type type = MBA_RECORD(sizeof(T));
};

template <class T>
struct element<T, std::enable_if_t<std::is_enum_v<T>>> : element<std::underlying_type_t<T>> {};

template <class T>
struct element<std::atomic<T>> : element<T> {};

namespace detail {

template <mba_type Type>
struct known_type {
    static constexpr mba_type type = Type;
};

} // namespace detail

template <> struct element<bool> : detail::known_type<MBA_BOOL> {};
template <> struct element<char> : detail::known_type<MBA_CHAR> {};
template <> struct element<signed char> : detail::known_type<MBA_INT8> {};
template <> struct element<unsigned char> : detail::known_type<MBA_UINT8> {};
template <> struct element<short> : detail::known_type<MBA_INT16> {};
template <> struct element<unsigned short> : detail::known_type<MBA_UINT16> {};
template <> struct element<int> : detail::known_type<MBA_INT32> {};
template <> struct element<unsigned> : detail::known_type<MBA_UINT32> {};
template <> struct element<long> : detail::known_type<MBA_LONG> {};
template <> struct element<unsigned long> : detail::known_type<MBA_ULONG> {};
template <> struct element<long long> : detail::known_type<MBA_INT64> {};
template <> struct element<unsigned long long> : detail::known_type<MBA_UINT64> {};
template <> struct element<float> : detail::known_type<MBA_FLOAT32> {};
template <> struct element<double> : detail::known_type<MBA_FLOAT64> {};
template <> struct element<std::complex<float>> : detail::known_type<MBA_COMPLEX64> {};
template <> struct element<std::complex<double>> : detail::known_type<MBA_COMPLEX128> {};
template <> struct element<wchar_t> : detail::known_type<MBA_WCHAR> {};
template <> struct element<char16_t> : detail::known_type<MBA_UINT16> {};
template <> struct element<char32_t> : detail::known_type<MBA_UCS4> {};
#ifdef __cpp_char8_t
template <> struct element<char8_t> : detail::known_type<MBA_UINT8> {};
#endif
/* In C++ g++ has it since version 12 for x86-64, and since 13 for other processors. */
#if defined(__FLT16_MANT_DIG__) && (defined(__x86_64__) || defined(__clang__) || __GNUC__ >= 13)
template <> struct element<_Float16> : detail::known_type<MBA_FLOAT16> {};
#endif

/*
 * Whether T can be the type of an array's elements: whether copying its bytes copies it, in every
 * process.
 *
 * That holds for trivially copyable types that aren't pointers. It holds for std::pair of such
 * types: its assignment isn't trivial, but copies bytes all the same. It holds for std::atomic of
 * such types if it is free of locks; a lock would be one of this process alone. A type that has a
 * pair among its members isn't trivially copyable: specialize this for it. Compilers can't see
 * pointers among members; there must be none.
 */
template <class T>
inline constexpr bool is_element =
    std::is_trivially_copyable_v<T> && !std::is_pointer_v<T> && !std::is_member_pointer_v<T>;

template <class A, class B>
inline constexpr bool is_element<std::pair<A, B>> = is_element<A> && is_element<B>;

template <class T>
inline constexpr bool is_element<std::atomic<T>> =
    is_element<T> && std::atomic<T>::is_always_lock_free && sizeof(std::atomic<T>) == sizeof(T);

template <class T, std::size_t Count>
inline constexpr bool is_element<std::array<T, Count>> = is_element<T>;

// =================================================================================================
// 3. OPTIONS AND SMALL TYPES
// =================================================================================================

/*
 * How an array is opened. Nothing that exists is ever emptied by opening it. Numbers beyond these
 * are flags of mba_open.
 */
enum class mode : std::uint32_t {
    /* For reading. The file must exist. Only for array<const T>, where it is the default. */
    read = MBA_RDONLY,
    /* For reading and writing. The file must exist. The default of array<T>. */
    read_write = MBA_RDWR,
    /* As read_write; a file that doesn't exist is made. */
    create = MBA_RDWR | MBA_CREATE,
    /* As read_write; the file is made. EEXIST if it exists. */
    create_new = MBA_RDWR | MBA_CREATE | MBA_EXCL,
    /* What is stored stays in this process, and the length is fixed. The file must exist. */
    copy_on_write = MBA_PRIVATE
};

/* What the functions that open an array can be told beyond a mode. 0 means the default. */
struct open_options {
    /*
     * Bytes of address range to reserve. The elements can't come to take more than these through
     * this handle. They cost address space, not memory. The default is 64 GiB or twice the file,
     * and less where the process has little address space.
     */
    std::uint64_t reservation = 0;
    /*
     * Permission bits of a file that is made, such as 0600; the umask applies. The default is 0666
     * for files and 0600 for named shared memory.
     */
    std::uint32_t permissions = 0;
    /*
     * Whether the file is exactly its elements after every call, without spare room. A call that
     * changes the length then makes a system call. See MBA_EXACT. EINVAL for anon(), which has no
     * file, and for what is opened for reading or copy_on_write.
     */
    bool exact = false;
};

/*
 * The memory of a handle that has ended by detach(). It stays at its address until this object
 * ends. It can be moved, but not copied.
 */
class mapping {
public:
    mapping() noexcept = default;
    /* Takes over what mba_detach has given. */
    explicit mapping(mba_mapping *made) noexcept : mapping_(made) {}
    mapping(mapping &&other) noexcept : mapping_(std::exchange(other.mapping_, nullptr)) {}
    mapping &operator=(mapping &&other) noexcept
    {
        std::swap(mapping_, other.mapping_);
        return *this;
    }
    ~mapping() { mba_mapping_free(mapping_); }

    /* Whether there is memory. */
    explicit operator bool() const noexcept { return mapping_ != nullptr; }

private:
    mba_mapping *mapping_ = nullptr;
};

/* What advise() can tell the system. mmap_backed_array.h says what each of MBA_ADVICE_... means. */
enum class advice : int {
    normal = MBA_ADVICE_NORMAL,
    random = MBA_ADVICE_RANDOM,
    sequential = MBA_ADVICE_SEQUENTIAL,
    will_need = MBA_ADVICE_WILLNEED,
    dont_need = MBA_ADVICE_DONTNEED
};

/* What info() tells. The fields are those of mba_status in mmap_backed_array.h. */
using status = mba_status;

template <class T>
class array;

// =================================================================================================
// 4. HELPERS
// =================================================================================================

namespace detail {

// ---- Errors ----

class [[gnu::visibility("default")]] error_category final : public std::error_category {
public:
    const char *name() const noexcept override { return "mmap_backed_array"; }
    std::string message(int code) const override { return mba_strerror(code); }
    /* A positive code is an errno. In the generic category it equals a std::errc. */
    std::error_condition default_error_condition(int code) const noexcept override
    {
        return code > 0 ? std::error_condition(code, std::generic_category())
                        : std::error_condition(code, *this);
    }
};

} // namespace detail

inline const std::error_category &category() noexcept
{
    // Never destroyed: what ends after it, such as an array that is static, can still fail.
    using category = detail::error_category;
    alignas(category) static unsigned char place[sizeof(category)];
    static const category *const instance = ::new (static_cast<void *>(place)) category;
    return *instance;
}

inline std::string error::line(int code, const char *call, const char *path, const char *words)
{
    char buffer[8192];
    std::string whole = std::string(call) + ": ";
    if (words == nullptr) {
        return whole + mba_error_text(code, path, buffer, sizeof buffer);
    }
    return path == nullptr ? whole + words : whole + path + ": " + words;
}

namespace detail {

inline std::error_code to_error_code(int code) noexcept
{
    return code == MBA_OK ? std::error_code() : std::error_code(code, category());
}

/* Throws, or ends the program where it can't. */
template <class Failure>
[[noreturn]] void raise_it(const Failure &failure)
{
#ifdef __cpp_exceptions
    throw failure;
#else
    static_cast<void>(std::fprintf(stderr, "%s\n", failure.what()));
    std::abort();
#endif
}

/* The same. `words` say what is wrong where the library can't know it. */
[[noreturn, gnu::cold, gnu::noinline]] inline void
raise(int code, const char *call, const char *path = nullptr, const char *words = nullptr)
{
    raise_it(error(code, call, path, words));
}

inline void check(int code, const char *call)
{
    if (code != MBA_OK) {
        raise(code, call);
    }
}

// ---- Arguments of the C functions ----

inline mba_options in_c(const open_options &options) noexcept
{
    mba_options all{};
    all.size = sizeof all;
    all.mode = options.permissions;
    all.reservation = options.reservation;
    return all;
}

inline status no_status() noexcept
{
    status none{};
    none.size = sizeof none;
    return none;
}

/* An argument that is a string with a NUL at its end: const char *, std::string, or
   std::filesystem::path. */
class c_string {
public:
    c_string(const char *text) noexcept : text_(text) {}
    template <class S, class = std::enable_if_t<std::is_convertible_v<
                           decltype(std::declval<const S &>().c_str()), const char *>>>
    c_string(const S &text) noexcept : text_(text.c_str())
    {
    }
    const char *get() const noexcept { return text_; }

private:
    const char *text_;
};

inline std::uint32_t in_c(mode how, const open_options &options) noexcept
{
    return static_cast<std::uint32_t>(how) | (options.exact ? MBA_EXACT : 0u);
}

/* What the system calls the file behind a descriptor, for messages; empty if it says nothing. */
inline std::string path_of(int fd)
{
    char target[4096];
    const std::string link = "/proc/self/fd/" + std::to_string(fd);
    const auto length = ::readlink(link.c_str(), target, sizeof target);
    return length > 0 ? std::string(target, static_cast<std::size_t>(length)) : std::string();
}

/* Whole milliseconds, rounded up. */
inline int milliseconds_of(std::chrono::nanoseconds wait) noexcept
{
    if (wait <= std::chrono::nanoseconds::zero()) {
        return 0;
    }
    const auto whole = std::chrono::duration_cast<std::chrono::milliseconds>(wait);
    const auto count = whole.count() + (whole < wait ? 1 : 0);
    return count > INT_MAX ? INT_MAX : static_cast<int>(count);
}

// ---- Handles and types ----

/* The head of an object that has no handle, so that no member has to ask whether there is one. */
inline const unsigned long long no_room = 0;
inline mba_head no_head{nullptr, mba_length(), &no_room, nullptr, 0};

/* Bytes in an element of a type. */
constexpr std::size_t size_of(mba_type type) noexcept
{
    switch (type) {
    case MBA_CHAR:
    case MBA_INT8:
    case MBA_UINT8:
    case MBA_BOOL:
        return 1;
    case MBA_INT16:
    case MBA_UINT16:
    case MBA_FLOAT16:
        return 2;
    case MBA_INT32:
    case MBA_UINT32:
    case MBA_FLOAT32:
    case MBA_UCS4:
        return 4;
    case MBA_INT64:
    case MBA_UINT64:
    case MBA_FLOAT64:
    case MBA_COMPLEX64:
        return 8;
    case MBA_COMPLEX128:
        return 16;
    case MBA_LONG:
    case MBA_ULONG:
        return sizeof(long);
    case MBA_WCHAR:
        return sizeof(wchar_t);
    default:
        return static_cast<std::size_t>(type - MBA_RECORD(1)) + 1;
    }
}

/* One number for all types whose elements mean the same. */
constexpr mba_type canonical(mba_type type) noexcept
{
    return type == MBA_LONG    ? (sizeof(long) == 8 ? MBA_INT64 : MBA_INT32)
           : type == MBA_ULONG ? (sizeof(long) == 8 ? MBA_UINT64 : MBA_UINT32)
           : type == MBA_WCHAR ? (sizeof(wchar_t) == 4 ? MBA_UCS4 : MBA_WCHAR)
                               : type;
}

// ---- Appending ----

/* What a copy of an element is: of an atomic one, its value. */
template <class T>
struct copy_of {
    using type = T;
};
template <class T>
struct copy_of<std::atomic<T>> {
    using type = T;
};

/*
 * Whether push_inline() appends by ordinary stores, in an order that the compiler is held to.
 *
 * On x86-64 others see stores in the order of the program. So what an atomic store adds there is
 * that compilers take it for a change of all memory: a loop that appends would read the words of
 * the head again for each element, and where the head is. ThreadSanitizer must see atomic stores.
 */
inline constexpr bool stores_are_ordered =
#if !defined(__x86_64__) || defined(__SANITIZE_THREAD__)
    false;
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
    false;
#else
    true;
#endif
#else
    true;
#endif

/* What an assembler statement reads that has this for an operand: all memory from there on. */
struct all_memory {
    char bytes[std::size_t{1} << 56];
};

/* A character's byte, by a type that isn't a character's: compilers must assume that to store a
   character changes anything. Who reads a character sees it all the same. */
enum class character : unsigned char {};

/* So many bytes, which may be of an object of any type. */
template <std::size_t Size>
struct word {};
template <>
struct word<1> {
    using type [[gnu::may_alias]] = std::uint8_t;
};
template <>
struct word<2> {
    using type [[gnu::may_alias]] = std::uint16_t;
};
template <>
struct word<4> {
    using type [[gnu::may_alias]] = std::uint32_t;
};
template <>
struct word<8> {
    using type [[gnu::may_alias]] = std::uint64_t;
};

/* Stores bytes as one object: whoever looks meanwhile finds all of them, or none. */
template <class Whole>
void store_whole(void *place, const void *value) noexcept
{
    Whole whole;
    std::memcpy(&whole, value, sizeof whole);
    *static_cast<volatile Whole *>(place) = whole;
}

/* Stores an element: as a whole, if it has 1, 2, 4 or 8 bytes. Whoever reads it as a T sees it. */
template <class T>
void store_element(void *place, const T &given) noexcept
{
    using plain = typename copy_of<T>::type;
    const void *value = std::addressof(given);
    if constexpr (std::is_same_v<plain, char> || std::is_same_v<plain, unsigned char> ||
                  std::is_same_v<plain, std::byte>) {
        store_whole<character>(place, value);
    } else if constexpr (sizeof(T) != 1 && sizeof(T) != 2 && sizeof(T) != 4 && sizeof(T) != 8) {
        std::memcpy(place, value, sizeof(T));
    } else if constexpr (std::is_scalar_v<plain>) {
        store_whole<plain>(place, value);
    } else {
        // Not by store_whole(): an argument of a template loses its attributes.
        typename word<sizeof(T)>::type whole;
        std::memcpy(&whole, value, sizeof whole);
        *static_cast<volatile typename word<sizeof(T)>::type *>(place) = whole;
    }
}

/* Appends an element if there is room, as mba_head_push() does. */
template <class T>
bool push_inline(mba_head *head, const T &value) noexcept
{
    if constexpr (stores_are_ordered) {
        unsigned long long len = head->len;
        if (__builtin_expect(len >= *static_cast<const volatile unsigned long long *>(head->room),
                             0)) {
            return false;
        }
        store_element(head->data + len * sizeof(T), value);
        ++len;
        // No instructions. The length depends on all that was stored before, and is known anew, so
        // that it is stored after that. Nothing is said to change, so that nothing is read again.
        __asm__("" : "+r"(len) : "m"(*reinterpret_cast<const all_memory *>(head->data)));
        *static_cast<volatile std::uint64_t *>(head->publish) = len;
        __asm__("" : "+r"(len) : "m"(*head->publish));
        head->len = static_cast<mba_length>(len);
        return true;
    } else {
        return mba_head_push(head, std::addressof(value), sizeof(T)) != 0;
    }
}

// ---- Ranges ----

/* Whether iterators are those of elements in memory, one behind the other, that can be counted by
   subtraction. */
template <class It, class End, class T, class = void>
inline constexpr bool points_to = false;
template <class It, class End, class T>
inline constexpr bool
    points_to<It, End, T, std::void_t<decltype(std::declval<End &>() - std::declval<It &>())>> =
#if defined(__cpp_lib_concepts)
        std::contiguous_iterator<It> &&
        std::is_same_v<std::remove_const_t<std::remove_reference_t<std::iter_reference_t<It>>>, T>;
#else
        std::is_same_v<It, T *> || std::is_same_v<It, const T *> ||
        (!std::is_same_v<T, bool> && (std::is_same_v<It, typename std::vector<T>::iterator> ||
                                      std::is_same_v<It, typename std::vector<T>::const_iterator>));
#endif

/* The ends of a range, as a loop over it finds them. */
template <class Range>
auto begin_of(Range &values)
{
    using std::begin;
    return begin(values);
}
template <class Range>
auto end_of(Range &values)
{
    using std::end;
    return end(values);
}

/* Elements copied into memory, one behind the other, for the time of a call. */
template <class T>
class copies {
public:
    copies() noexcept = default;
    copies(const copies &) = delete;
    copies &operator=(const copies &) = delete;
    ~copies() { release(); }

    /* Adds a copy of a value. Returns whether there was memory for it. */
    template <class Value>
    bool add(Value &&value)
    {
        if (size_ == capacity_ && !grow()) {
            return false;
        }
        void *place = data_ + size_;
        if constexpr (std::is_same_v<std::remove_cv_t<std::remove_reference_t<Value>>, T> &&
                      std::is_lvalue_reference_v<Value>) {
            // Also if it can't be constructed as a copy, such as std::atomic.
            std::memcpy(place, static_cast<const void *>(std::addressof(value)), sizeof(T));
        } else {
            ::new (place) T(static_cast<typename copy_of<T>::type>(std::forward<Value>(value)));
        }
        ++size_;
        return true;
    }

    const T *data() const noexcept { return data_; }
    std::size_t size() const noexcept { return size_; }

private:
    static constexpr std::align_val_t alignment{alignof(T)};

    bool grow() noexcept
    {
        const std::size_t more = capacity_ == 0 ? 16 : capacity_;
        if (more > SIZE_MAX / sizeof(T) - capacity_) {
            return false;
        }
        // Not a std::vector: lack of memory is an error code, also without exceptions.
        void *larger = ::operator new((capacity_ + more) * sizeof(T), alignment, std::nothrow);
        if (larger == nullptr) {
            return false;
        }
        if (size_ > 0) {
            std::memcpy(larger, static_cast<const void *>(data_), size_ * sizeof(T));
        }
        release();
        data_ = static_cast<T *>(larger);
        capacity_ += more;
        return true;
    }

    void release() noexcept { ::operator delete(static_cast<void *>(data_), alignment); }

    T *data_ = nullptr;
    std::size_t size_ = 0;
    std::size_t capacity_ = 0;
};

/* Whether a type is std::atomic of something that needs a lock. */
template <class T>
inline constexpr bool needs_lock = false;
template <class T>
inline constexpr bool needs_lock<std::atomic<T>> = !std::atomic<T>::is_always_lock_free;

/* Exists for iterators only, so that a function for two iterators doesn't take two numbers. */
template <class It>
using category_of = typename std::iterator_traits<It>::iterator_category;

/* Exists if two arrays have the same elements; either may be for reading only. */
template <class T, class U>
using if_alike = std::enable_if_t<std::is_same_v<std::remove_const_t<T>, std::remove_const_t<U>>>;

// =================================================================================================
// 5. BOTH KINDS OF ARRAY
// =================================================================================================

/*
 * What array<T> and array<const T> have in common: opening, the handle, reading. T is const in an
 * array for reading only.
 */
template <class T>
class handle {
    using element_type_ = std::remove_const_t<T>;
    static_assert(!std::is_reference_v<T> && !std::is_volatile_v<T>,
                  "an element is an object type");
    static_assert(!std::is_pointer_v<element_type_> && !std::is_member_pointer_v<element_type_>,
                  "a pointer means nothing to another process; store an index");
    static_assert(!needs_lock<element_type_>,
                  "this std::atomic has a lock, which other processes don't know of");
    static_assert(is_element<element_type_>,
                  "an element is bytes in shared memory: its type must be trivially copyable, or "
                  "one that mba::is_element is true for");
    static_assert(sizeof(T) <= MBA_RECORD_MAX, "an element has at most MBA_RECORD_MAX bytes");
    static_assert(alignof(T) <= 4096, "elements are aligned to their pages, and no further");
    static_assert(size_of(element<element_type_>::type) == sizeof(T),
                  "mba::element<T>::type must be a type of as many bytes as T");

public:
    using value_type = element_type_;
    using size_type = std::size_t;
    using difference_type = std::ptrdiff_t;
    using reference = T &;
    using const_reference = const T &;
    using pointer = T *;
    using const_pointer = const T *;
    using iterator = T *;
    using const_iterator = const T *;
    using reverse_iterator = std::reverse_iterator<iterator>;
    using const_reverse_iterator = std::reverse_iterator<const_iterator>;

    /* The number of the element type in the library. */
    static constexpr mba_type type = element<value_type>::type;

    // ---- Opening ----
    //
    // Each of these returns an array that closes its handle when it ends. The forms with a
    // std::error_code & return an array without a handle if they fail. A path or a name may be a
    // const char *, a std::string, or a std::filesystem::path.

    /*
     * Opens a file of elements. An object can also be constructed with the same arguments, as in
     * mba::array<int> numbers("numbers.i32").
     *
     * Errors: those of mba_open_with; EINVAL for mode::read unless the type is array<const T>.
     */
    [[nodiscard]] static array<T> open(c_string path, mode how = default_mode,
                                       open_options options = {})
    {
        return array<T>(owned{opened(path, how, options, "mba::array::open")});
    }
    [[nodiscard]] static array<T> open(c_string path, mode how, open_options options,
                                       std::error_code &error) noexcept
    {
        return array<T>(owned{opened(mba_open_with, path.get(), how, options, error)});
    }
    [[nodiscard]] static array<T> open(c_string path, mode how, std::error_code &error) noexcept
    {
        return open(path, how, {}, error);
    }
    [[nodiscard]] static array<T> open(c_string path, std::error_code &error) noexcept
    {
        return open(path, default_mode, {}, error);
    }

    /*
     * Opens named shared memory. `name` is a slash and a name without another one; the slash may be
     * left out. The memory lasts until shm_unlink() or a restart of the system.
     *
     * Errors: those of mba_shm_open_with; EINVAL also as for open().
     */
    [[nodiscard]] static array<T> shm(c_string name, mode how = default_mode,
                                      open_options options = {})
    {
        mba_array *made = nullptr;
        if (const int code = open_code(mba_shm_open_with, name.get(), how, options, &made);
            code != MBA_OK) {
            if (name.get() == nullptr) {
                raise(code, "mba::array::shm", nullptr, "the name is NULL");
            }
            // Where the system keeps it, so that the error can tell what is there.
            const std::string path =
                std::string(name.get()[0] == '/' ? "/dev/shm" : "/dev/shm/") + name.get();
            raise(code, "mba::array::shm", path.c_str(), wrong_about(how));
        }
        return array<T>(owned{made});
    }
    [[nodiscard]] static array<T> shm(c_string name, mode how, open_options options,
                                      std::error_code &error) noexcept
    {
        return array<T>(owned{opened(mba_shm_open_with, name.get(), how, options, error)});
    }
    [[nodiscard]] static array<T> shm(c_string name, mode how, std::error_code &error) noexcept
    {
        return shm(name, how, {}, error);
    }
    [[nodiscard]] static array<T> shm(c_string name, std::error_code &error) noexcept
    {
        return shm(name, default_mode, {}, error);
    }

    /*
     * Opens the array behind a descriptor, such as another process's fd() that came over a socket.
     * The descriptor stays the caller's.
     *
     * Errors: those of mba_from_fd_with, such as EINVAL for mode::create and mode::create_new;
     * EINVAL also as for open().
     */
    [[nodiscard]] static array<T> from_fd(int fd, mode how = default_mode,
                                          open_options options = {})
    {
        mba_array *made = nullptr;
        if (const int code = open_code(mba_from_fd_with, fd, how, options, &made); code != MBA_OK) {
            const std::string path = path_of(fd);
            raise(code, "mba::array::from_fd", path.empty() ? nullptr : path.c_str(),
                  wrong_about(how));
        }
        return array<T>(owned{made});
    }
    [[nodiscard]] static array<T> from_fd(int fd, mode how, open_options options,
                                          std::error_code &error) noexcept
    {
        return array<T>(owned{opened(mba_from_fd_with, fd, how, options, error)});
    }
    [[nodiscard]] static array<T> from_fd(int fd, mode how, std::error_code &error) noexcept
    {
        return from_fd(fd, how, {}, error);
    }
    [[nodiscard]] static array<T> from_fd(int fd, std::error_code &error) noexcept
    {
        return from_fd(fd, default_mode, {}, error);
    }

    /*
     * Makes an array of fixed length of memory of the caller's. The memory stays the caller's, and
     * must outlive the handle.
     *
     * Errors: those of mba_from_memory; EINVAL for memory that isn't aligned for T.
     */
    [[nodiscard]] static array<T> from_memory(T *data, size_type count)
    {
        mba_array *made = nullptr;
        if (const int code = memory_code(data, count, &made); code != MBA_OK) {
            raise(code, "mba::array::from_memory", nullptr, wrong_about(data, count));
        }
        return array<T>(owned{made});
    }
    [[nodiscard]] static array<T> from_memory(T *data, size_type count,
                                              std::error_code &error) noexcept
    {
        mba_array *made = nullptr;
        error = to_error_code(memory_code(data, count, &made));
        return array<T>(owned{made});
    }

    // ---- The handle ----

    handle(const handle &) = delete;
    handle &operator=(const handle &) = delete;

    /*
     * Whether this object has a handle. It has none after a default construction, after close(),
     * detach() and release(), and after it was moved from. It then has no elements, and calls that
     * need a handle fail with EINVAL.
     */
    bool is_open() const noexcept { return handle_ != nullptr; }
    explicit operator bool() const noexcept { return is_open(); }

    /* The handle, for the C functions. It stays this object's. NULL if there is none. */
    mba_array *native_handle() const noexcept { return handle_; }

    /* Gives the handle to the caller, who ends it by mba_free or mba_close. NULL if none. */
    [[nodiscard]] mba_array *release() noexcept
    {
        head_ = &no_head;
        data_ = nullptr;
        return std::exchange(handle_, nullptr);
    }

    /*
     * Ends the handle, and tells whether the file's spare room could be given back; the destructor
     * doesn't tell. The handle is gone in any case, and no element is lost. All pointers and
     * iterators end. Does nothing without a handle.
     *
     * Errors: those of mba_close.
     */
    void close()
    {
        // The path ends with the handle.
        const char *known = mba_path(handle_);
        const std::string path(known == nullptr ? "" : known);
        if (const int code = close_code(); code != MBA_OK) {
            raise(code, "mba::array::close", known == nullptr ? nullptr : path.c_str());
        }
    }
    void close(std::error_code &error) noexcept { report(close_code(), error); }

    /*
     * Ends the handle as close() does, and returns its memory, which stays at its address until the
     * mapping ends. Pointers and iterators stay valid as long. Does nothing without a handle.
     *
     * Errors: those of mba_close, which only the form with a std::error_code & tells. The mapping
     * is returned also then.
     */
    [[nodiscard]] mapping detach() noexcept
    {
        std::error_code error;
        return detach(error);
    }
    [[nodiscard]] mapping detach(std::error_code &error) noexcept
    {
        mba_mapping *made = nullptr;
        mba_array *ended = release();
        report(ended == nullptr ? MBA_OK : mba_detach(ended, &made), error);
        return mapping(made);
    }

    // ---- Length ----

    /* The number of elements, as this handle knows it: see refresh(). */
    size_type size() const noexcept { return static_cast<size_type>(head_->len); }
    [[nodiscard]] bool empty() const noexcept { return size() == 0; }

    /*
     * The size, for threads that follow one that appends by this very object: all elements before
     * it have been stored. May run beside all calls but shrink_to_fit() and those that end the
     * handle or make the array shorter.
     */
    size_type published_size() const noexcept
    {
        mba_length length;
        __atomic_load(&head_->len, &length, __ATOMIC_ACQUIRE);
        return static_cast<size_type>(length);
    }

    /* How many elements fit before the file must grow. This is the size while the handle doesn't
       hold the growth lock. */
    size_type capacity() const noexcept { return mba_capacity(handle_); }

    /* The most elements that the array can come to have through this handle: its reservation. */
    size_type max_size() const noexcept { return mba_reserved(handle_); }

    /* Whether elements can't be written through this handle. */
    bool is_readonly() const noexcept { return mba_is_readonly(handle_) != 0; }

    // ---- Elements ----
    //
    // These are as in std::vector. An index is checked by at() only.

    /* The address of element 0. It stays the same as long as the handle, however much the array
       grows. */
    pointer data() noexcept { return data_; }
    const_pointer data() const noexcept { return data_; }

    reference operator[](size_type index) noexcept { return data_[index]; }
    const_reference operator[](size_type index) const noexcept { return data_[index]; }

    /* Errors: std::out_of_range. */
    reference at(size_type index) { return data_[checked(index)]; }
    const_reference at(size_type index) const { return data_[checked(index)]; }

    reference front() noexcept { return data_[0]; }
    const_reference front() const noexcept { return data_[0]; }
    reference back() noexcept { return data_[size() - 1]; }
    const_reference back() const noexcept { return data_[size() - 1]; }

    iterator begin() noexcept { return data_; }
    const_iterator begin() const noexcept { return data_; }
    const_iterator cbegin() const noexcept { return data_; }
    iterator end() noexcept { return data_ + size(); }
    const_iterator end() const noexcept { return data_ + size(); }
    const_iterator cend() const noexcept { return data_ + size(); }
    reverse_iterator rbegin() noexcept { return reverse_iterator(end()); }
    const_reverse_iterator rbegin() const noexcept { return const_reverse_iterator(end()); }
    const_reverse_iterator crbegin() const noexcept { return rbegin(); }
    reverse_iterator rend() noexcept { return reverse_iterator(begin()); }
    const_reverse_iterator rend() const noexcept { return const_reverse_iterator(begin()); }
    const_reverse_iterator crend() const noexcept { return rend(); }

    /* A copy of the elements; of atomic ones, of their values. */
    std::vector<typename copy_of<value_type>::type> to_vector() const
    {
        return std::vector<typename copy_of<value_type>::type>(begin(), end());
    }

    // ---- Others ----

    /*
     * The path by which the array was opened, from the root on; of named shared memory, where the
     * system keeps it. NULL if there is none. The string ends with the handle.
     */
    const char *path() const noexcept { return mba_path(handle_); }

    /*
     * A descriptor to send to another process, for its from_fd(). It is the handle's, and is closed
     * with it. -1 if there is none.
     */
    int fd() const noexcept { return mba_fd(handle_); }

    /*
     * Takes up the length that others have published.
     *
     * Errors: those of mba_refresh.
     */
    void refresh() { report(mba_refresh(handle_), "mba::array::refresh"); }
    void refresh(std::error_code &error) noexcept { report(mba_refresh(handle_), error); }

    /*
     * A number that changes when elements were taken away or moved, as far as this handle has seen:
     * by its own calls, and by refresh(). A program that follows an array notes the epoch, copies
     * the elements it needs, and refreshes. If the epoch is still the same, the copies are right.
     * See mba_epoch.
     */
    std::uint64_t epoch() const noexcept { return mba_epoch(handle_); }

    /*
     * Whether the path by which the array was opened now leads to another file, or to none.
     *
     * Errors: those of mba_is_replaced.
     */
    bool is_replaced() const
    {
        int replaced = 0;
        report(mba_is_replaced(handle_, &replaced), "mba::array::is_replaced");
        return replaced != 0;
    }
    bool is_replaced(std::error_code &error) const noexcept
    {
        int replaced = 0;
        report(mba_is_replaced(handle_, &replaced), error);
        return replaced != 0;
    }

    // ---- Advice and status ----

    /*
     * Tells the system how `count` elements from `start` on will be used. No advice changes an
     * element.
     *
     * Errors: those of mba_advise, such as mba::errc::index.
     */
    void advise(size_type start, size_type count, advice how) const
    {
        report(mba_advise(handle_, start, count, static_cast<int>(how)), "mba::array::advise");
    }
    void advise(size_type start, size_type count, advice how, std::error_code &error) const noexcept
    {
        report(mba_advise(handle_, start, count, static_cast<int>(how)), error);
    }

    /*
     * Type, length, size and state of the file or memory, as they are now, whatever length this
     * handle knows.
     *
     * Errors: those of mba_array_info.
     */
    status info() const
    {
        status found = no_status();
        report(mba_array_info(handle_, &found), "mba::array::info");
        return found;
    }
    status info(std::error_code &error) const noexcept
    {
        status found = no_status();
        report(mba_array_info(handle_, &found), error);
        return found;
    }

    // ---- Searching ----
    //
    // These use the library's vector code. Numbers are equal if == says so. Records are equal if
    // all their bytes are, those of padding too; long double is a record here, and has padding.
    //
    // Errors: mba::errc::truncated if sigbus_guard has put zeros in the place of lost elements.

    /* The first element that equals the value, or end(). */
    iterator find(const value_type &value) { return data_ + index_of(value); }
    const_iterator find(const value_type &value) const { return data_ + index_of(value); }
    iterator find(const value_type &value, std::error_code &error) noexcept
    {
        return data_ + index_of(value, error);
    }
    const_iterator find(const value_type &value, std::error_code &error) const noexcept
    {
        return data_ + index_of(value, error);
    }

    /* How many elements equal the value. */
    size_type count(const value_type &value) const
    {
        std::size_t number = 0;
        report(count_code(value, number), "mba::array::count");
        return number;
    }
    size_type count(const value_type &value, std::error_code &error) const noexcept
    {
        std::size_t number = 0;
        report(count_code(value, number), error);
        return number;
    }

protected:
    static constexpr bool writable = !std::is_const_v<T>;
    static constexpr mode default_mode = writable ? mode::read_write : mode::read;
    static constexpr int EINVAL_ = static_cast<int>(std::errc::invalid_argument);
    static constexpr int ENOMEM_ = static_cast<int>(std::errc::not_enough_memory);

    // ---- Making, moving and ending ----

    /* A handle that is known to be of the right type. */
    struct owned {
        mba_array *handle;
    };

    handle() noexcept = default;

    explicit handle(owned made) noexcept { take(made.handle); }

    handle(c_string path, mode how, open_options options)
    {
        take(opened(path, how, options, "mba::array"));
    }
    handle(c_string path, mode how, open_options options, std::error_code &error) noexcept
    {
        take(opened(mba_open_with, path.get(), how, options, error));
    }

    explicit handle(mba_array *other)
    {
        if (const int code = suits(other); code != MBA_OK) {
            raise(code, "mba::array", mba_path(other),
                  other == nullptr ? "the handle is NULL" : nullptr);
        }
        take(other);
    }
    handle(mba_array *other, std::error_code &error) noexcept
    {
        error = to_error_code(suits(other));
        if (!error) {
            take(other);
        }
    }

    handle(handle &&other) noexcept : handle_(other.handle_), head_(other.head_), data_(other.data_)
    {
        static_cast<void>(other.release());
    }

    handle &operator=(handle &&other) noexcept
    {
        if (this != &other) {
            mba_free(handle_);
            handle_ = other.handle_;
            head_ = other.head_;
            data_ = other.data_;
            static_cast<void>(other.release());
        }
        return *this;
    }

    ~handle() { mba_free(handle_); }

    void exchange_with(handle &other) noexcept
    {
        std::swap(handle_, other.handle_);
        std::swap(head_, other.head_);
        std::swap(data_, other.data_);
    }

    // ---- What came of a call ----

    /* A call of this handle has ended with a code: throws if it failed, or stores the code. */
    void report(int code, const char *call) const
    {
        if (code != MBA_OK) {
            fail(code, call);
        }
    }
    static void report(int code, std::error_code &error) noexcept { error = to_error_code(code); }

    [[noreturn, gnu::cold, gnu::noinline]] void fail(int code, const char *call) const
    {
        const bool is_unopened = handle_ == nullptr && code == EINVAL_;
        raise(code, call, mba_path(handle_), is_unopened ? "the array isn't open" : nullptr);
    }

    // ---- The handle ----

    mba_array *handle_ = nullptr;
    mba_head *head_ = &no_head;
    /* The head has it too. Compilers know of a member of this object that storing elements doesn't
       change it. */
    T *data_ = nullptr;

private:
    /* Gives this object a handle, or NULL. The object must have none. */
    void take(mba_array *made) noexcept
    {
        handle_ = made;
        if (made != nullptr) {
            head_ = mba_head_of(made);
            data_ = reinterpret_cast<T *>(head_->data);
        }
    }

    int close_code() noexcept
    {
        mba_array *ended = release();
        return ended == nullptr ? MBA_OK : mba_close(ended);
    }

    /* Whether a handle may become one of this type. */
    static int suits(const mba_array *other) noexcept
    {
        if (other == nullptr) {
            return EINVAL_;
        }
        if (canonical(mba_typecode(other)) != canonical(type)) {
            return MBA_ETYPE;
        }
        return writable && mba_is_readonly(other) != 0 ? MBA_EREADONLY : MBA_OK;
    }

    // ---- Opening ----

    /* mba_open_with, mba_shm_open_with or mba_from_fd_with. */
    template <class Where>
    using opener = int (*)(Where, mba_type, std::uint32_t, const mba_options *, mba_array **);

    template <class Where>
    static int open_code(opener<Where> open, Where where, mode how, open_options options,
                         mba_array **made) noexcept
    {
        const mba_options all = in_c(options);
        return suits(how) ? open(where, type, in_c(how, options), &all, made) : EINVAL_;
    }

    /* A new handle on a file; NULL never comes back. */
    static mba_array *opened(c_string path, mode how, open_options options, const char *call)
    {
        mba_array *made = nullptr;
        if (const int code = open_code(mba_open_with, path.get(), how, options, &made);
            code != MBA_OK) {
            raise(code, call, path.get(), wrong_about(how));
        }
        return made;
    }

    /* A new handle, or NULL and an error. */
    template <class Where>
    static mba_array *opened(opener<Where> open, Where where, mode how, open_options options,
                             std::error_code &error) noexcept
    {
        mba_array *made = nullptr;
        error = to_error_code(open_code(open, where, how, options, &made));
        return made;
    }

    static bool suits(mode how) noexcept
    {
        return !writable || (static_cast<std::uint32_t>(how) & (MBA_RDWR | MBA_PRIVATE)) != 0;
    }

    static const char *wrong_about(mode how) noexcept
    {
        return suits(how) ? nullptr
                          : "this array type can write: use mba::array<const T> for reading";
    }

    static int memory_code(T *data, size_type count, mba_array **made) noexcept
    {
        if (wrong_about(data, count) != nullptr) {
            return EINVAL_;
        }
        return mba_from_memory(const_cast<value_type *>(data), count * sizeof(T), type,
                               static_cast<std::uint32_t>(default_mode), made);
    }

    static const char *wrong_about(const void *data, size_type count) noexcept
    {
        if (count > SIZE_MAX / sizeof(T)) {
            return "no memory has so many elements";
        }
        const bool is_aligned = reinterpret_cast<std::uintptr_t>(data) % alignof(T) == 0;
        return is_aligned ? nullptr : "the memory is not aligned for the type";
    }

    // ---- Reading ----

    size_type checked(size_type index) const
    {
        if (index >= size()) {
            fail_at(index);
        }
        return index;
    }

    [[noreturn, gnu::cold, gnu::noinline]] void fail_at(size_type index) const
    {
        const char *known = path();
        raise_it(std::out_of_range("mba::array::at: " + std::string(known == nullptr ? "" : known) +
                                   (known == nullptr ? "index " : ": index ") +
                                   std::to_string(index) + " of " + std::to_string(size()) +
                                   " elements"));
    }

    /* The index is the size if there is no such element. An object without a handle has none. */
    int find_code(const value_type &value, std::size_t &index) const noexcept
    {
        index = size();
        const int code = handle_ == nullptr
                             ? MBA_ENOTFOUND
                             : mba_find(handle_, std::addressof(value), 0, SIZE_MAX, &index);
        return code == MBA_ENOTFOUND ? MBA_OK : code;
    }

    size_type index_of(const value_type &value) const
    {
        std::size_t index = 0;
        report(find_code(value, index), "mba::array::find");
        return index;
    }
    size_type index_of(const value_type &value, std::error_code &error) const noexcept
    {
        std::size_t index = 0;
        report(find_code(value, index), error);
        return index;
    }

    int count_code(const value_type &value, std::size_t &number) const noexcept
    {
        return handle_ == nullptr ? MBA_OK : mba_count(handle_, std::addressof(value), &number);
    }
};

} // namespace detail

// =================================================================================================
// 6. ARRAY FOR READING
// =================================================================================================

/*
 * A handle for reading only. The elements are const. It is opened by mode::read as a rule, and
 * refresh() follows what others append. All members but these are in section 5.
 */
template <class T>
class array<const T> : public detail::handle<const T> {
    using base = detail::handle<const T>;
    friend base;
    explicit array(typename base::owned made) noexcept : base(made) {}

public:
    // ---- Opening ----

    /* Has no handle. */
    array() noexcept = default;
    array(array &&) noexcept = default;
    array &operator=(array &&) noexcept = default;

    /*
     * Takes over the handle of an array that can write, at the same address, and gives back its
     * growth lock, as unlock() does.
     */
    array(array<T> &&other) noexcept : base(typename base::owned{unlocked(other)}) {}

    /*
     * Opens a file of elements, as open() does.
     *
     * Errors: those of open().
     */
    explicit array(detail::c_string path, mode how = base::default_mode, open_options options = {})
        : base(path, how, options)
    {
    }
    array(detail::c_string path, mode how, open_options options, std::error_code &error) noexcept
        : base(path, how, options, error)
    {
    }
    array(detail::c_string path, mode how, std::error_code &error) noexcept
        : base(path, how, open_options(), error)
    {
    }
    array(detail::c_string path, std::error_code &error) noexcept
        : base(path, base::default_mode, open_options(), error)
    {
    }

    /*
     * Takes over a handle of the C functions.
     *
     * Errors: mba::errc::type if its elements have another type; EINVAL for NULL. The handle then
     * stays the caller's.
     */
    explicit array(mba_array *other) : base(other) {}
    array(mba_array *other, std::error_code &error) noexcept : base(other, error) {}

    /* Exchanges the handles of two objects. */
    void swap(array &other) noexcept { base::exchange_with(other); }

private:
    static mba_array *unlocked(array<T> &other) noexcept
    {
        other.unlock();
        return other.release();
    }
};

// =================================================================================================
// 7. ARRAY
// =================================================================================================

/*
 * A vector in mapped memory. The top of this file says how it differs from std::vector. Opening a
 * file, the handle, reading and searching are in section 5.
 */
template <class T>
class array : public detail::handle<T> {
    using base = detail::handle<T>;
    friend base;
    using base::data_;
    using base::handle_;
    using base::head_;
    using base::report;
    explicit array(typename base::owned made) noexcept : base(made) {}

public:
    using typename base::const_iterator;
    using typename base::iterator;
    using typename base::reference;
    using typename base::size_type;
    using typename base::value_type;
    using base::size;

    // ---- Opening ----

    /* Has no handle. */
    array() noexcept = default;
    array(array &&) noexcept = default;
    array &operator=(array &&) noexcept = default;

    /*
     * Opens a file of elements, as open() does.
     *
     * Errors: those of open().
     */
    explicit array(detail::c_string path, mode how = base::default_mode, open_options options = {})
        : base(path, how, options)
    {
    }
    array(detail::c_string path, mode how, open_options options, std::error_code &error) noexcept
        : base(path, how, options, error)
    {
    }
    array(detail::c_string path, mode how, std::error_code &error) noexcept
        : base(path, how, open_options(), error)
    {
    }
    array(detail::c_string path, std::error_code &error) noexcept
        : base(path, base::default_mode, open_options(), error)
    {
    }

    /*
     * Takes over a handle of the C functions.
     *
     * Errors: mba::errc::type if its elements have another type; mba::errc::read_only; EINVAL for
     * NULL. The handle then stays the caller's.
     */
    explicit array(mba_array *other) : base(other) {}
    array(mba_array *other, std::error_code &error) noexcept : base(other, error) {}

    /*
     * Makes an empty array in anonymous shared memory. Children by fork() inherit it, and fd()
     * hands it to others. It ends with the last handle.
     *
     * Errors: those of mba_anon_with.
     */
    [[nodiscard]] static array anon(open_options options = {})
    {
        mba_array *made = nullptr;
        if (const int code = anon_code(options, &made); code != MBA_OK) {
            detail::raise(code, "mba::array::anon", nullptr,
                          options.exact ? "there is no file whose size could be exact" : nullptr);
        }
        return array(typename base::owned{made});
    }
    [[nodiscard]] static array anon(open_options options, std::error_code &error) noexcept
    {
        mba_array *made = nullptr;
        report(anon_code(options, &made), error);
        return array(typename base::owned{made});
    }
    [[nodiscard]] static array anon(std::error_code &error) noexcept { return anon({}, error); }

    /* Exchanges the handles of two objects. */
    void swap(array &other) noexcept { base::exchange_with(other); }

    // ---- Elements ----

    /*
     * Exchanges two elements. Others who look meanwhile can find one of them in both places.
     *
     * Errors: those of mba_swap, such as mba::errc::index.
     */
    void swap(size_type i, size_type j) { report(mba_swap(handle_, i, j), "mba::array::swap"); }
    void swap(size_type i, size_type j, std::error_code &error) noexcept
    {
        report(mba_swap(handle_, i, j), error);
    }

    /*
     * Stores the same value in all elements. A kill may leave it half done.
     *
     * Errors: those of mba_fill.
     */
    void fill(const T &value)
    {
        report(mba_fill(handle_, 0, size(), std::addressof(value)), "mba::array::fill");
    }
    void fill(const T &value, std::error_code &error) noexcept
    {
        report(mba_fill(handle_, 0, size(), std::addressof(value)), error);
    }

    // ---- At the end ----
    //
    // Errors of all members from here to "Room": those of mba_append, such as mba::errc::locked,
    // ENOSPC, mba::errc::limit and mba::errc::fixed_length. If a range isn't one of elements in
    // memory, it is copied first: then ENOMEM, and what its iterators throw.
    //
    // Values may lie in the array itself, at the addresses that this object has, not at those of
    // another handle.

    /*
     * Appends an element. While there is room this is inline, without a call of the library. Others
     * see the element at once, and with it all that was stored before. A kill leaves it there
     * wholly or not at all. No iterator becomes invalid but end().
     */
    void push_back(const T &value)
    {
        if (const int code = push(value); code != MBA_OK) {
            this->fail(code, "mba::array::push_back");
        }
    }
    void push_back(const T &value, std::error_code &error) noexcept { report(push(value), error); }

    /* Appends T(arguments...), or T{arguments...} if T has no such constructor. */
    template <class... Args>
    reference emplace_back(Args &&...arguments)
    {
        push_back(make(std::forward<Args>(arguments)...));
        return base::back();
    }

    /*
     * Takes the last element away.
     *
     * Errors: also mba::errc::empty.
     */
    void pop_back() { report(pop(), "mba::array::pop_back"); }
    void pop_back(std::error_code &error) noexcept { report(pop(), error); }

    /* Appends the elements of a range: all, or none if it fails or the process is killed. */
    template <class Range>
    void append_range(Range &&values)
    {
        report(replace(npos, 0, detail::begin_of(values), detail::end_of(values)),
               "mba::array::append_range");
    }
    void append_range(std::initializer_list<T> values)
    {
        append_range<const std::initializer_list<T> &>(values);
    }
    template <class Range>
    void append_range(Range &&values, std::error_code &error)
    {
        report(replace(npos, 0, detail::begin_of(values), detail::end_of(values)), error);
    }
    void append_range(std::initializer_list<T> values, std::error_code &error) noexcept
    {
        append_range<const std::initializer_list<T> &>(values, error);
    }

    // ---- Anywhere ----
    //
    // These move the elements behind, and a kill may leave that half done. An iterator stands for
    // an index, also if others have changed the length since: insert(end(), ...) inserts where this
    // object's end was.
    //
    // Errors: also mba::errc::index if the index is beyond the array by now.

    /*
     * Inserts before `where`: a value, `count` copies of it, or the elements of a range. Returns
     * where the first inserted element is, or `where` if there was nothing to insert.
     */
    iterator insert(const_iterator where, const T &value)
    {
        const size_type at = index(where);
        report(mba_insert(handle_, at, std::addressof(value)), "mba::array::insert");
        return data_ + at;
    }
    iterator insert(const_iterator where, const T &value, std::error_code &error) noexcept
    {
        const size_type at = index(where);
        report(mba_insert(handle_, at, std::addressof(value)), error);
        return data_ + at;
    }
    iterator insert(const_iterator where, size_type count, const T &value)
    {
        const size_type at = index(where);
        report(insert_copies(at, count, value), "mba::array::insert");
        return data_ + at;
    }
    iterator insert(const_iterator where, size_type count, const T &value,
                    std::error_code &error) noexcept
    {
        const size_type at = index(where);
        report(insert_copies(at, count, value), error);
        return data_ + at;
    }
    template <class It, class = detail::category_of<It>>
    iterator insert(const_iterator where, It first, It last)
    {
        const size_type at = index(where);
        report(replace(at, 0, first, last), "mba::array::insert");
        return data_ + at;
    }
    template <class It, class = detail::category_of<It>>
    iterator insert(const_iterator where, It first, It last, std::error_code &error)
    {
        const size_type at = index(where);
        report(replace(at, 0, first, last), error);
        return data_ + at;
    }
    iterator insert(const_iterator where, std::initializer_list<T> values)
    {
        return insert(where, values.begin(), values.end());
    }
    iterator insert(const_iterator where, std::initializer_list<T> values,
                    std::error_code &error) noexcept
    {
        return insert(where, values.begin(), values.end(), error);
    }
    template <class Range>
    iterator insert_range(const_iterator where, Range &&values)
    {
        const size_type at = index(where);
        report(replace(at, 0, detail::begin_of(values), detail::end_of(values)),
               "mba::array::insert_range");
        return data_ + at;
    }
    template <class Range>
    iterator insert_range(const_iterator where, Range &&values, std::error_code &error)
    {
        const size_type at = index(where);
        report(replace(at, 0, detail::begin_of(values), detail::end_of(values)), error);
        return data_ + at;
    }

    /* Inserts T(arguments...), or T{arguments...}, before `where`, and returns where it is. */
    template <class... Args>
    iterator emplace(const_iterator where, Args &&...arguments)
    {
        return insert(where, make(std::forward<Args>(arguments)...));
    }

    /* Takes one element away, or those from `first` up to but without `last`. Returns where the one
       behind them is. */
    iterator erase(const_iterator where) { return erase(where, where + 1); }
    iterator erase(const_iterator where, std::error_code &error) noexcept
    {
        return erase(where, where + 1, error);
    }
    iterator erase(const_iterator first, const_iterator last)
    {
        const size_type at = index(first);
        report(remove(at, index(last) - at), "mba::array::erase");
        return data_ + at;
    }
    iterator erase(const_iterator first, const_iterator last, std::error_code &error) noexcept
    {
        const size_type at = index(first);
        report(remove(at, index(last) - at), error);
        return data_ + at;
    }

    // ---- The whole ----

    /*
     * Replaces all elements: by `count` copies of a value, or by the elements of a range. A kill
     * may leave it half done.
     */
    void assign(size_type count, const T &value)
    {
        report(assign_copies(count, value), "mba::array::assign");
    }
    void assign(size_type count, const T &value, std::error_code &error) noexcept
    {
        report(assign_copies(count, value), error);
    }
    template <class It, class = detail::category_of<It>>
    void assign(It first, It last)
    {
        report(replace(0, npos, first, last), "mba::array::assign");
    }
    template <class It, class = detail::category_of<It>>
    void assign(It first, It last, std::error_code &error)
    {
        report(replace(0, npos, first, last), error);
    }
    void assign(std::initializer_list<T> values) { assign(values.begin(), values.end()); }
    void assign(std::initializer_list<T> values, std::error_code &error) noexcept
    {
        assign(values.begin(), values.end(), error);
    }
    template <class Range>
    void assign_range(Range &&values)
    {
        report(replace(0, npos, detail::begin_of(values), detail::end_of(values)),
               "mba::array::assign_range");
    }
    template <class Range>
    void assign_range(Range &&values, std::error_code &error)
    {
        report(replace(0, npos, detail::begin_of(values), detail::end_of(values)), error);
    }

    /*
     * Makes the array `count` elements long. New elements are zero bytes. With a value, new
     * elements are that value; for a moment others may see them as zero bytes, and a kill may leave
     * some so.
     */
    void resize(size_type count) { report(mba_resize(handle_, count), "mba::array::resize"); }
    void resize(size_type count, std::error_code &error) noexcept
    {
        report(mba_resize(handle_, count), error);
    }
    void resize(size_type count, const T &value)
    {
        report(resize_with(count, value), "mba::array::resize");
    }
    void resize(size_type count, const T &value, std::error_code &error) noexcept
    {
        report(resize_with(count, value), error);
    }

    /* Takes all elements away. */
    void clear() { report(mba_clear(handle_), "mba::array::clear"); }
    void clear(std::error_code &error) noexcept { report(mba_clear(handle_), error); }

    // ---- Room ----

    /*
     * Makes room for `count` elements in all. push_back() can't fail up to there as long as this
     * handle holds the growth lock. With open_options::exact there is never spare room: the call
     * only tells whether the reservation is large enough.
     */
    void reserve(size_type count) { report(mba_reserve(handle_, count), "mba::array::reserve"); }
    void reserve(size_type count, std::error_code &error) noexcept
    {
        report(mba_reserve(handle_, count), error);
    }

    /* Gives spare room back, so that the file is exactly its elements. No other call may run on
       this object meanwhile, not even published_size(). */
    void shrink_to_fit() { report(mba_shrink_to_fit(handle_), "mba::array::shrink_to_fit"); }
    void shrink_to_fit(std::error_code &error) noexcept
    {
        report(mba_shrink_to_fit(handle_), error);
    }

    /*
     * Makes `count` the size. The new elements are what was stored at end() and behind it, up to
     * the capacity, while this handle held the growth lock. This is the fastest way to append many.
     *
     * Errors: also mba::errc::index if `count` is less than the size or more than the capacity.
     */
    void commit(size_type count) { report(mba_commit(handle_, count), "mba::array::commit"); }
    void commit(size_type count, std::error_code &error) noexcept
    {
        report(mba_commit(handle_, count), error);
    }

    // ---- The disk ----

    /*
     * Puts elements and length on the disk. They are there when it returns.
     *
     * Errors: those of mba_flush.
     */
    void flush() { report(mba_flush(handle_), "mba::array::flush"); }
    void flush(std::error_code &error) noexcept { report(mba_flush(handle_), error); }

    // ---- The growth lock ----
    //
    // Calls that change the length take the lock by themselves, without waiting. lock() is for
    // waiting, and for a read and a change that belong together.
    //
    // These members make the array a TimedLockable, for std::unique_lock, std::lock_guard and
    // std::scoped_lock. It is a lock between handles, of one process or of several. It isn't one
    // between threads that use the same object. The lock isn't counted: if an earlier call that
    // changed the length has taken it already, unlock() gives it back all the same.

    /*
     * Waits for the lock and takes it. Takes up the length, too. Waits for ever if another handle
     * of this very thread has the lock.
     *
     * Errors: those of mba_lock.
     */
    void lock() { report(mba_lock(handle_, -1), "mba::array::lock"); }
    void lock(std::error_code &error) noexcept { report(mba_lock(handle_, -1), error); }

    /*
     * Takes the lock as lock() does, without waiting, for a time, or up to a time. Returns whether
     * this handle has it.
     *
     * Errors: those of mba_lock. That another handle has the lock is no error.
     */
    bool try_lock() { return took_lock(mba_lock(handle_, 0)); }
    bool try_lock(std::error_code &error) noexcept
    {
        return took_lock(mba_lock(handle_, 0), error);
    }
    template <class Rep, class Period>
    bool try_lock_for(const std::chrono::duration<Rep, Period> &wait)
    {
        return took_lock(lock_until(end_of(wait)));
    }
    template <class Rep, class Period>
    bool try_lock_for(const std::chrono::duration<Rep, Period> &wait, std::error_code &error)
    {
        return took_lock(lock_until(end_of(wait)), error);
    }
    template <class Clock, class Duration>
    bool try_lock_until(const std::chrono::time_point<Clock, Duration> &end)
    {
        return took_lock(lock_until(end));
    }
    template <class Clock, class Duration>
    bool try_lock_until(const std::chrono::time_point<Clock, Duration> &end, std::error_code &error)
    {
        return took_lock(lock_until(end), error);
    }

    /*
     * Gives the lock back. Does nothing without the lock.
     *
     * Errors: those of mba_unlock, which only the form with a std::error_code & tells. The lock is
     * then kept.
     */
    void unlock() noexcept { static_cast<void>(mba_unlock(handle_)); }
    void unlock(std::error_code &error) noexcept { report(mba_unlock(handle_), error); }

    /* Whether this handle holds the lock. */
    bool has_lock() const noexcept { return mba_has_lock(handle_) != 0; }

    // ---- Order and bytes ----

    /*
     * Turns the order of the elements around, in place. A kill may leave it half done. It goes by
     * the length that this handle knows: if others have made the array shorter since, elements end
     * up beyond the end, and are lost. Take the lock first, or refresh.
     *
     * Errors: those of mba_reverse.
     */
    void reverse() { report(mba_reverse(handle_), "mba::array::reverse"); }
    void reverse(std::error_code &error) noexcept { report(mba_reverse(handle_), error); }

    /*
     * Turns the bytes of every element around, in place, for files from machines of the other byte
     * order. A kill may leave it half done.
     *
     * Errors: those of mba_byteswap, such as mba::errc::type for records.
     */
    void byteswap() { report(mba_byteswap(handle_), "mba::array::byteswap"); }
    void byteswap(std::error_code &error) noexcept { report(mba_byteswap(handle_), error); }

private:
    static int anon_code(const open_options &options, mba_array **made) noexcept
    {
        const mba_options all = detail::in_c(options);
        return options.exact ? base::EINVAL_ : mba_anon_with(base::type, &all, made);
    }

    // ---- One element ----

    /* By value if small: a variable whose address goes into a call can't stay in a register. */
    using argument =
        std::conditional_t<sizeof(T) <= 16 && std::is_copy_constructible_v<T>, T, const T &>;

    [[gnu::cold, gnu::noinline]] static int append(mba_array *to, argument value) noexcept
    {
        return mba_append(to, std::addressof(value));
    }

    int push(const T &value) noexcept
    {
        mba_head *const head = head_;
        if (detail::push_inline(head, value)) {
            return MBA_OK;
        }
        int code = append(handle_, value);
        // A loop that appends can keep in registers what is known after each of its ways: so it is
        // read here, too, by a statement without instructions, and the head is still the same.
        mba_head *const same = head_;
        __asm__(""
                : "+r"(code)
                : "r"(same), "r"(head->data), "r"(head->len), "r"(head->room), "r"(head->publish));
        if (same != head) {
            __builtin_unreachable();
        }
        return code;
    }

    int pop() noexcept
    {
        // Not inline: those who have seen the element must be able to learn that it is gone.
        return mba_pop(handle_, nullptr);
    }

    size_type index(const_iterator where) const noexcept
    {
        return static_cast<size_type>(where - data_);
    }

    template <class... Args>
    static T make(Args &&...arguments)
    {
        if constexpr (std::is_constructible_v<T, Args &&...>) {
            return T(std::forward<Args>(arguments)...);
        } else {
            return T{std::forward<Args>(arguments)...};
        }
    }

    // ---- Several elements ----

    int remove(size_type at, size_type count) noexcept
    {
        return count == 0 ? MBA_OK : mba_splice(handle_, at, count, nullptr, 0);
    }

    /* As an index it means the end, as a count all elements: as they are when the lock is held. */
    static constexpr size_type npos = SIZE_MAX;

    /* Takes the lock, and with it the length that others have left. For a call that reads the
       length first and changes it then. */
    int own() noexcept
    {
        return __atomic_load_n(head_->room, __ATOMIC_RELAXED) != 0 ? MBA_OK : mba_lock(handle_, 0);
    }

    /* Replaces `count` elements from `at` on by `number` values. */
    int put(size_type at, size_type count, const T *values, size_type number) noexcept
    {
        // Where the length can't change, elements can still be replaced by as many others.
        if (const int code = own(); code != MBA_OK && code != MBA_EFIXED && code != MBA_EPARTIAL) {
            return code;
        }
        const size_type all = size();
        at = at == npos ? all : at;
        count = count == npos ? all : count;
        if (number == 0 && count == 0) {
            return at <= all ? MBA_OK : MBA_EINDEX;
        }
        return at == all && count == 0 ? mba_extend(handle_, values, number)
                                       : mba_splice(handle_, at, count, values, number);
    }

    /* Replaces `count` elements from `at` on by a range. */
    template <class It, class End>
    int replace(size_type at, size_type count, It first, End last)
    {
        if constexpr (detail::points_to<It, End, T>) {
            const auto number = static_cast<size_type>(last - first);
            return put(at, count, number == 0 ? nullptr : std::addressof(*first), number);
        } else {
            // They are copied before anything changes, since an iterator may throw.
            detail::copies<T> values;
            for (; first != last; ++first) {
                if (!values.add(*first)) {
                    return static_cast<int>(std::errc::not_enough_memory);
                }
            }
            return put(at, count, values.data(), values.size());
        }
    }

    /* Stores a value in `count` elements from `at` on. The value may be one of these elements, but
       may not overlap two of them. */
    void store(size_type at, size_type count, const T *value) noexcept
    {
        if constexpr (sizeof(T) <= 64 && std::is_copy_constructible_v<T> &&
                      std::is_copy_assignable_v<T>) {
            const T copy = *value;
            std::fill_n(data_ + at, count, copy);
        } else {
            for (size_type n = 0; n < count; ++n) {
                std::memmove(static_cast<void *>(data_ + at + n), static_cast<const void *>(value),
                             sizeof(T));
            }
        }
    }

    /* Whether a value is one of the first `elements` elements, and which one. */
    bool is_own(const T *value, size_type elements, size_type &which) const noexcept
    {
        const std::less<const T *> before;
        if (before(value, data_) || !before(value, data_ + elements)) {
            return false;
        }
        which = static_cast<size_type>(value - data_);
        return true;
    }

    int insert_copies(size_type at, size_type count, const T &given) noexcept
    {
        if (count == 0) {
            return MBA_OK;
        }
        if (const int code = own(); code != MBA_OK) {
            return code;
        }
        const size_type old = size();
        if (at > old) {
            return MBA_EINDEX;
        }
        if (count > mba_reserved(handle_) - old) {
            return MBA_ELIMIT;
        }
        // In one call, which others hear of, and which leaves all as it was if it fails.
        detail::copies<T> values;
        for (size_type n = 0; n < count; ++n) {
            if (!values.add(given)) {
                return base::ENOMEM_;
            }
        }
        return mba_splice(handle_, at, 0, values.data(), count);
    }

    int resize_with(size_type count, const T &value) noexcept
    {
        if (const int code = own(); code != MBA_OK) {
            return code;
        }
        const size_type old = size();
        if (const int code = mba_resize(handle_, count); code != MBA_OK) {
            return code;
        }
        if (count > old) {
            store(old, count - old, std::addressof(value));
        }
        return MBA_OK;
    }

    int assign_copies(size_type count, const T &given) noexcept
    {
        if (const int code = own(); code != MBA_OK) {
            return code;
        }
        const T *value = std::addressof(given);
        size_type which = 0;
        detail::copies<T> copy;
        if (is_own(value, size(), which) && which >= count) {
            // The value is an element that the new length takes away.
            if (!copy.add(given)) {
                return base::ENOMEM_;
            }
            value = copy.data();
        }
        if (const int code = mba_resize(handle_, count); code != MBA_OK) {
            return code;
        }
        store(0, count, value);
        return MBA_OK;
    }

    // ---- The growth lock ----

    /* When a wait from now on ends. A wait of more than a year counts as a year, which every clock
       can count. */
    template <class Rep, class Period>
    static std::chrono::steady_clock::time_point
    end_of(const std::chrono::duration<Rep, Period> &wait)
    {
        const auto now = std::chrono::steady_clock::now();
        const std::chrono::hours most(24 * 365);
        if (!(wait > wait.zero())) {
            return now;
        }
        return wait < most ? now + std::chrono::ceil<std::chrono::nanoseconds>(wait) : now + most;
    }

    template <class Clock, class Duration>
    int lock_until(const std::chrono::time_point<Clock, Duration> &end)
    {
        for (auto now = Clock::now(); now < end; now = Clock::now()) {
            // The library's milliseconds are an int, which is up to some weeks.
            const auto left = end - now;
            const std::chrono::hours most(24);
            const auto wait = left < most ? std::chrono::ceil<std::chrono::nanoseconds>(left)
                                          : std::chrono::nanoseconds(most);
            const int code = mba_lock(handle_, detail::milliseconds_of(wait));
            if (!is_elsewhere(code)) {
                return code;
            }
        }
        return mba_lock(handle_, 0);
    }

    /* Whether a code of mba_lock says that another handle has the lock. */
    static bool is_elsewhere(int code) noexcept
    {
        return code == MBA_ELOCKED || code == static_cast<int>(std::errc::timed_out);
    }

    bool took_lock(int code) const
    {
        report(is_elsewhere(code) ? MBA_OK : code, "mba::array::try_lock");
        return code == MBA_OK;
    }

    static bool took_lock(int code, std::error_code &error) noexcept
    {
        report(is_elsewhere(code) ? MBA_OK : code, error);
        return code == MBA_OK;
    }
};

// =================================================================================================
// 8. FUNCTIONS
// =================================================================================================

/* Exchanges the handles of two objects. */
template <class T>
void swap(array<T> &a, array<T> &b) noexcept
{
    a.swap(b);
}

/* Compares element by element, as std::vector does. One of the two may be for reading only. */
template <class T, class U, class = detail::if_alike<T, U>>
bool operator==(const array<T> &a, const array<U> &b)
{
    return std::equal(a.begin(), a.end(), b.begin(), b.end());
}

template <class T, class U, class = detail::if_alike<T, U>>
bool operator<(const array<T> &a, const array<U> &b)
{
    return std::lexicographical_compare(a.begin(), a.end(), b.begin(), b.end());
}

template <class T, class U, class = detail::if_alike<T, U>>
bool operator!=(const array<T> &a, const array<U> &b)
{
    return !(a == b);
}

template <class T, class U, class = detail::if_alike<T, U>>
bool operator>(const array<T> &a, const array<U> &b)
{
    return b < a;
}

template <class T, class U, class = detail::if_alike<T, U>>
bool operator<=(const array<T> &a, const array<U> &b)
{
    return !(b < a);
}

template <class T, class U, class = detail::if_alike<T, U>>
bool operator>=(const array<T> &a, const array<U> &b)
{
    return !(a < b);
}

#if defined(__cpp_lib_three_way_comparison) && defined(__cpp_lib_concepts)
template <class T, class U>
    requires std::is_same_v<std::remove_const_t<T>, std::remove_const_t<U>> &&
             std::three_way_comparable<T>
auto operator<=>(const array<T> &a, const array<U> &b)
{
    return std::lexicographical_compare_three_way(a.begin(), a.end(), b.begin(), b.end());
}
#endif

/*
 * Takes away all elements for which the predicate is true, and returns how many these were. Takes
 * the growth lock first, without waiting, so that nothing has changed if the lock is in other
 * hands. A kill may leave it half done. Elements that stay between the first and the last one that
 * goes are copied for the time of the call.
 *
 * Errors: those of mba_lock and of erase(); ENOMEM. What the predicate throws; nothing has changed
 * then.
 */
template <class T, class Predicate>
typename array<T>::size_type erase_if(array<T> &elements, Predicate predicate,
                                      std::error_code &error)
{
    error = detail::to_error_code(mba_lock(elements.native_handle(), 0));
    if (error) {
        return 0;
    }
    // Moved in one call, which others hear of, and which leaves all as it was if it fails.
    detail::copies<T> kept;
    std::size_t first = 0, behind = 0, kept_between = 0, count = 0;
    const std::size_t size = elements.size();
    for (std::size_t at = 0; at < size; ++at) {
        if (predicate(elements[at])) {
            first = count == 0 ? at : first;
            behind = at + 1;
            kept_between = kept.size();
            ++count;
        } else if (count > 0 && !kept.add(elements[at])) {
            error = detail::to_error_code(static_cast<int>(std::errc::not_enough_memory));
            return 0;
        }
    }
    if (count > 0) {
        error = detail::to_error_code(
            mba_splice(elements.native_handle(), first, behind - first, kept.data(), kept_between));
    }
    return error ? 0 : count;
}
template <class T, class Predicate>
typename array<T>::size_type erase_if(array<T> &elements, Predicate predicate)
{
    std::error_code error;
    const auto count = erase_if(elements, predicate, error);
    if (error) {
        detail::raise(error.value(), "mba::erase_if", elements.path(),
                      elements.is_open() ? nullptr : "the array isn't open");
    }
    return count;
}

/* Takes away all elements that equal the value, and returns how many these were. The value may be
   one of them. Errors: as erase_if(). */
template <class T, class U>
typename array<T>::size_type erase(array<T> &elements, const U &value, std::error_code &error)
{
    const U copy = value;
    return erase_if(elements, [&copy](const T &each) { return each == copy; }, error);
}
template <class T, class U>
typename array<T>::size_type erase(array<T> &elements, const U &value)
{
    const U copy = value;
    return erase_if(elements, [&copy](const T &each) { return each == copy; });
}

/*
 * Removes a name of shared memory. Handles that are open keep the memory until they end.
 *
 * Errors: those of mba_shm_unlink.
 */
inline void shm_unlink(detail::c_string name)
{
    if (const int code = mba_shm_unlink(name.get()); code != MBA_OK) {
        detail::raise(code, "mba::shm_unlink", name.get());
    }
}
inline void shm_unlink(detail::c_string name, std::error_code &error) noexcept
{
    error = detail::to_error_code(mba_shm_unlink(name.get()));
}

/*
 * Type, length, size and state of a file, and whether others have it open. It opens the file for
 * reading, takes no lock and changes nothing.
 *
 * Errors: those of mba_info.
 */
inline status info(detail::c_string path)
{
    status found = detail::no_status();
    if (const int code = mba_info(path.get(), &found); code != MBA_OK) {
        detail::raise(code, "mba::info", path.get());
    }
    return found;
}
inline status info(detail::c_string path, std::error_code &error) noexcept
{
    status found = detail::no_status();
    error = detail::to_error_code(mba_info(path.get(), &found));
    return found;
}

/*
 * Puts a file in order that a process has left which ended without closing it, such as a killed
 * one. `type` is the type that its elements must have, 0 for any. `flags` are 0 or MBA_TIDY_FORCE.
 * See mba_tidy.
 *
 * Errors: those of mba_tidy.
 */
inline void tidy(detail::c_string path, mba_type type = 0, std::uint32_t flags = 0)
{
    if (const int code = mba_tidy(path.get(), type, flags); code != MBA_OK) {
        detail::raise(code, "mba::tidy", path.get());
    }
}
inline void tidy(detail::c_string path, mba_type type, std::uint32_t flags,
                 std::error_code &error) noexcept
{
    error = detail::to_error_code(mba_tidy(path.get(), type, flags));
}

// =================================================================================================
// 9. SIGBUS GUARD
// =================================================================================================

/*
 * Keeps the process alive when it touches elements of a file that another program has made shorter.
 * Without it, that is a SIGBUS, which ends the process. While an object of this class exists, zeros
 * are in the place of the lost elements, and later calls on the handle fail with
 * mba::errc::truncated. It holds for all arrays of the process. Objects are counted. See
 * mba_guard_enable.
 *
 * Errors: those of mba_guard_enable.
 */
class sigbus_guard {
public:
    sigbus_guard() { detail::check(mba_guard_enable(), "mba::sigbus_guard"); }
    explicit sigbus_guard(std::error_code &error) noexcept
    {
        const int code = mba_guard_enable();
        error = detail::to_error_code(code);
        enabled_ = code == MBA_OK;
    }
    ~sigbus_guard()
    {
        if (enabled_) {
            static_cast<void>(mba_guard_disable());
        }
    }
    sigbus_guard(const sigbus_guard &) = delete;
    sigbus_guard &operator=(const sigbus_guard &) = delete;

private:
    bool enabled_ = true;
};

} // namespace mba

#endif // C++17

#endif
