/*
 * mmap_backed_array.h: typed arrays in mapped memory, shared between processes and languages,
 * persistent, growing, never moving.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 *
 *     mba_array *a = NULL;
 *     int code = mba_open("table.u32", MBA_UINT32, MBA_RDWR | MBA_CREATE, &a);
 *     uint32_t prime = 2;
 *     if (code == MBA_OK) code = mba_append(a, &prime);
 *     const uint32_t *table = mba_data_ptr(a);          // table[0] .. table[mba_len(a) - 1]
 *     if (code != MBA_OK) fprintf(stderr, "%s\n", mba_strerror(code));
 *     mba_free(a);
 *
 * ERRORS. Every function that can fail returns an int: 0 is MBA_OK, a positive value is an errno, a
 * negative value is one of MBA_E... below; mba_strerror() has a text for each. Outputs are written
 * on success only. When a call fails the array is as it was, unless its comment says otherwise.
 * NULL where it isn't allowed is EINVAL; a pair (NULL, 0) of values and count is allowed. No call
 * crashes on bad numbers; pointers must point to what the function asks for.
 *
 * VALUES. Elements are passed by pointers to mba_itemsize() bytes, which need not be aligned, in
 * the machine's own byte order. Structures can be elements too: see MBA_RECORD.
 *
 * FILES. A closed file is just its elements: byte 0 is element 0, and the size is length times item
 * size. A handle, mba_array *, is one opening of an array. While a handle makes the array longer,
 * spare room follows the elements, and the last 128 bytes of the file, the footer, hold the true
 * length. Any file of numbers can be opened. End every handle by mba_close() or mba_free(): a
 * process that ends without it leaves the spare room in the file.
 *
 * LENGTH. Each handle has its own view of the length. mba_refresh() takes up (adopts) what others
 * have published; every call that changes the length does so too. One handle at a time can change
 * the length: the first such call takes the growth lock, without waiting (MBA_ELOCKED), and keeps
 * it until mba_unlock(), the handle's end or the process's end, be it by kill -9. Setting elements
 * and reading need no lock.
 *
 * OTHERS. No handle can hurt another by calls of this library, whatever its length. What an open
 * handle has ever seen as an element stays mapped for it, also when others make the array shorter.
 * A call with an old length reads and stores at its index: if the array was made shorter and grew
 * again, or elements were moved, another element is there now. Beyond the present length, what is
 * read means nothing, and what is stored is lost. mba_epoch() tells a reader that elements were
 * taken away or moved.
 *
 * If elements were only ever appended, the file is exactly its elements after a handle closes that
 * has changed the length, unless another one holds the growth lock. Others may still have it open.
 * If elements were taken away or moved, the file keeps its footer, and what others may have seen,
 * as long as they have it open. It is exactly its elements when the last handle closes, if that one
 * is MBA_RDWR; else the footer stays. To make a file without spare room shorter while others have
 * it open, there must be room for a footer, or the call fails with ENOSPC.
 *
 * A process that ends without closing leaves footer and spare room. They are removed by mba_tidy(),
 * when a handle closes that has changed the length, or when an MBA_RDWR handle closes while no
 * other has the file open.
 *
 * POINTERS. mba_data_ptr() is the same from opening to freeing, however much the array grows. The
 * library never keeps a pointer of the caller's after the call, except the one given to
 * mba_from_memory().
 *
 * THREADS. Functions that take const mba_array *, and mba_set(), mba_swap() and mba_write(), may
 * run beside any call on the same handle, except calls that give pages back: mba_free(),
 * mba_close(), mba_detach(), mba_shrink_to_fit(), and, with MBA_EXACT or on a disk that is too full
 * for a footer, those that make the array shorter. The other calls take a non-const handle: one
 * thread at a time may make them. Different handles, also of the same array, are independent. An
 * element of 1, 2, 4 or 8 bytes is read and set whole; mba_read() and mba_write() beside a writer
 * of the same elements can mix old and new ones. Functions that take no handle may be called from
 * any thread. pthread_cancel(3) ends no thread inside a call: the request waits until the call has
 * returned (unless the thread has made its cancellation asynchronous). 16 KiB of stack are enough
 * for every call. Signal handlers may use mba_data_ptr() and mba_len(), and store to elements; all
 * other calls are not for them.
 *
 * FORK. A child has its parent's handles with their pointers, but neither the growth lock nor the
 * right to give back spare room: its first change of the length takes the lock for itself, or fails
 * with MBA_ELOCKED. A child that exits or frees its copy leaves the parent's array alone.
 * Descriptors are close-on-exec, and never 0, 1 or 2. All that holds for children by _Fork() and
 * clone() too, except that such a child keeps its parent's lock alive until it ends or uses the
 * array. A child that a signal handler makes, and that returns into an interrupted call that
 * changes the length, publishes an old length. A child is one of the others who have the file open.
 *
 * WHAT SURVIVES. Under kill -9 at any moment, append, extend, pop, resize, commit and clear have
 * happened wholly or not at all. After power loss the elements up to the last mba_flush() are
 * intact, but the length may be larger; what is behind them is then zero, what was stored there at
 * some time, or what is left of a footer. Where fallocate(2) reserves blocks for good (ext4, xfs,
 * tmpfs), a full disk is ENOSPC and never a signal, and the array stays as it was.
 *
 * WHAT IS NOT PROMISED. Calls that move or rewrite elements (insert, remove, splice, reverse,
 * byteswap, fill, write, swap) can be half done after a kill. Stores into holes of a sparse file,
 * into reflinked files, and on btrfs and ZFS can meet a full disk as SIGBUS. If a program that
 * doesn't use the library truncates the file, the lost part faults (SIGBUS): for pointers into it,
 * and for calls that reach elements there. With mba_guard_enable() that gives zeros and
 * MBA_ETRUNCATED instead. Anonymous arrays can't be truncated. An application's fcntl(2) lock on
 * the whole file blocks the library's locks (MBA_ELOCKED), and the reverse. Closing any descriptor
 * of a file drops the process's own fcntl(2) locks on it, and the library closes descriptors too.
 * Programs that write to the file without the library may collide with it. The kernel's
 * out-of-memory killer and network file systems are beyond the library. Elements of 16 bytes, and
 * records whose size isn't 1, 2, 4 or 8, can be read half written.
 *
 * If the elements of a file without spare room, whose size is a multiple of 4096, come to end in
 * 128 bytes that are a sound footer for that size, the library takes these for its footer. That can
 * happen when the bytes of another array's file are copied into the elements. A handle that holds
 * the growth lock puts a true footer behind them when it gives the lock up, and not before.
 *
 * ABI. A program goes on working with every later library of the same soname. That is
 * libmmap_backed_array.so.1 for all 1.x; while the major version is 0 each minor version has one of
 * its own, libmmap_backed_array.so.0.1 and so on. The ABI is: functions, constants, the layouts of
 * mba_options and mba_status, which may grow at their ends, and of mba_head, and the footer. A
 * program that uses what was added later compares mba_version(), the library's version, with
 * MBA_VERSION, the header's.
 *
 * MACROS to define before this header is included:
 * - MBA_NO_INLINE leaves out the inline functions at its end, mba_push() and those around it: for
 *   code that must call only what the library exports, and must not know how a handle is laid out.
 * - MBA_NO_INCLUDES leaves out #include lines and the inline functions, for parsers that want
 *   declarations only: cc -E -P -DMBA_NO_INCLUDES mmap_backed_array.h
 */
#ifndef MMAP_BACKED_ARRAY_H
#define MMAP_BACKED_ARRAY_H


#ifndef MBA_NO_INCLUDES
#include <stddef.h>
#include <stdint.h>
#endif

/*
 The type of a record of `size` bytes, from 1 to MBA_RECORD_MAX; for any other size -1, which every
 call refuses with MBA_ETYPE. With it a structure can be an element: MBA_RECORD(sizeof(struct
 point)). A file's footer knows only the size of a record, so only that is checked when the file is
 opened.

 Records are found, counted and compared by their bytes, those of padding between members too: clear
 a structure by memset before its members are set. Records have no order: comparing different ones
 gives MBA_UNORDERED. They can't be byteswapped: that is MBA_ETYPE. They lie one behind the other.
 So each is aligned as its structure wants, if its size is a multiple of its alignment, as sizeof
 is, and the alignment is at most 4096. Pop, insert, remove and fill can fail with ENOMEM too, if a
 record of more than 64 bytes has to be put aside.
 */
#define MBA_RECORD(size) \
    ((size) >= 1 && (size) <= MBA_RECORD_MAX ? MBA_CAST_(static_cast, mba_type, 0x52000000ull + (size)) : -1)

#ifdef __cplusplus
#define MBA_CAST_(cast, type, value) cast<type>(value)
#else
#define MBA_CAST_(cast, type, value) ((type)(value))
#endif

/*
 The length in a head: an unsigned long long. In C++ it is an enumeration, which is a type that no
 program's elements have: so compilers know that to store an element doesn't change a length, and
 loops up to the length don't read it again and again. It converts to unsigned long long by itself.
 */
#if defined(__cplusplus) && __cplusplus >= 201103L
enum mba_length : unsigned long long {};
#elif defined(__GNUC__) && !defined(MBA_NO_INCLUDES)
/* What C stores is seen by C++, also where both are optimized as one. */
typedef unsigned long long __attribute__((__may_alias__)) mba_length;
#else
typedef unsigned long long mba_length;
#endif


/*
 `'c'`: one-byte character, as `char` in C.
 */
#define MBA_CHAR 99

/*
 `'b'`: 8-bit signed integer.
 */
#define MBA_INT8 98

/*
 `'B'`: 8-bit unsigned integer.
 */
#define MBA_UINT8 66

/*
 `'?'`: one-byte truth value, as `_Bool` in C; any byte but 0 is true.
 */
#define MBA_BOOL 63

/*
 `'h'`: 16-bit signed integer.
 */
#define MBA_INT16 104

/*
 `'H'`: 16-bit unsigned integer.
 */
#define MBA_UINT16 72

/*
 `'i'`: 32-bit signed integer.
 */
#define MBA_INT32 105

/*
 `'I'`: 32-bit unsigned integer.
 */
#define MBA_UINT32 73

/*
 `'l'`: `long`.
 */
#define MBA_LONG 108

/*
 `'L'`: `unsigned long`.
 */
#define MBA_ULONG 76

/*
 `'q'`: 64-bit signed integer.
 */
#define MBA_INT64 113

/*
 `'Q'`: 64-bit unsigned integer.
 */
#define MBA_UINT64 81

/*
 `'e'`: IEEE 754 half-precision float.
 */
#define MBA_FLOAT16 101

/*
 `'f'`: `float`.
 */
#define MBA_FLOAT32 102

/*
 `'d'`: `double`.
 */
#define MBA_FLOAT64 100

/*
 `'F'`: `float _Complex`: two floats, the real part first.
 */
#define MBA_COMPLEX64 70

/*
 `'D'`: `double _Complex`: two doubles, the real part first.
 */
#define MBA_COMPLEX128 68

/*
 `'u'`: `wchar_t`.
 */
#define MBA_WCHAR 117

/*
 `'w'`: 4-byte Unicode code point.
 */
#define MBA_UCS4 119

/*
 The most bytes in an element of `MBA_RECORD`.
 */
#define MBA_RECORD_MAX 16777215

/*
 Success.
 */
#define MBA_OK 0

/*
 The element type is unknown, is not the one that the file's footer names, or doesn't suit
 the operation.
 */
#define MBA_ETYPE (-101)

/*
 An index or a range lies outside the array.
 */
#define MBA_EINDEX (-102)

/*
 The array has no element to take.
 */
#define MBA_EEMPTY (-103)

/*
 No element equals the value sought.
 */
#define MBA_ENOTFOUND (-104)

/*
 The handle is read-only: neither elements nor the length can change through it.
 */
#define MBA_EREADONLY (-105)

/*
 Another handle holds the growth lock, so the length can't change through this one now; or a
 program has locked the whole file by fcntl(2).
 */
#define MBA_ELOCKED (-106)

/*
 The length would go beyond the address range that the handle reserved when it was opened.
 */
#define MBA_ELIMIT (-107)

/*
 The file ends inside an element, so its length can't change.
 */
#define MBA_EPARTIAL (-108)

/*
 The file's footer contradicts the file, or someone who doesn't use the library made the
 file longer while this handle was growing it.
 */
#define MBA_ECORRUPT (-109)

/*
 Someone who doesn't use the library truncated the file while this handle was growing it; or
 someone truncated it, and the guard (`mba_guard_enable`) has put zeros in the place of elements
 that this handle had.
 */
#define MBA_ETRUNCATED (-110)

/*
 This memory can't change its length: a copy-on-write map, the caller's memory, hugetlbfs;
 or it can't become longer, since it is sealed against that (`F_SEAL_GROW`).
 */
#define MBA_EFIXED (-111)

/*
 A bug in the library was caught at the boundary. The handle refuses further work; free it.
 */
#define MBA_EPANIC (-112)

/*
 For reading only: the default.
 */
#define MBA_RDONLY 0

/*
 For reading and writing.
 */
#define MBA_RDWR 1

/*
 Make the file if there is none; with `MBA_RDWR` only.
 */
#define MBA_CREATE 2

/*
 Fail with `EEXIST` if there is a file; with `MBA_CREATE` only.
 */
#define MBA_EXCL 4

/*
 Copy on write: elements can be set, and nobody else sees it; the length is fixed. The file is
 opened for reading only; `MBA_RDWR | MBA_PRIVATE` means the same.
 */
#define MBA_PRIVATE 8

/*
 No spare room: the file's size follows the length at every call, at the price of system calls each
 time; with `MBA_RDWR` only. While others have the file open, elements that are taken away stay as
 spare room until no other has it open, and pop can fail with `ENOSPC`. (Where the last elements
 themselves would read as a footer, a page of spare room stays.)
 */
#define MBA_EXACT 16

/*
 Advice: nothing special.
 */
#define MBA_ADVICE_NORMAL 0

/*
 Advice: accesses will be at random, so read ahead little.
 */
#define MBA_ADVICE_RANDOM 1

/*
 Advice: accesses will be in order, so read ahead much.
 */
#define MBA_ADVICE_SEQUENTIAL 2

/*
 Advice: the range will be needed soon, so start reading it.
 */
#define MBA_ADVICE_WILLNEED 3

/*
 Advice: the range won't be needed soon, so this process's memory for it can go. No element is
 lost.
 */
#define MBA_ADVICE_DONTNEED 4

/*
 For `mba_tidy`: also make a file whose footer is unsound usable again.
 */
#define MBA_TIDY_FORCE 1

/*
 The most bytes of a format that `mba_status` has room for, with the NUL at its end.
 */
#define MBA_STATUS_FORMAT 256

/*
 What `mba_compare` says of arrays whose first difference has no order: NaN, complex numbers, or
 records.
 */
#define MBA_UNORDERED 2

/*
 The version of the header: its first number.
 */
#define MBA_VERSION_MAJOR 0

/*
 The version of the header: its second number.
 */
#define MBA_VERSION_MINOR 1

/*
 The version of the header: its third number.
 */
#define MBA_VERSION_PATCH 0

/*
 The version of the header: major << 16 | minor << 8 | patch.
 */
#define MBA_VERSION (((MBA_VERSION_MAJOR << 16) | (MBA_VERSION_MINOR << 8)) | MBA_VERSION_PATCH)

/*
 A handle: one opening of an array. Opaque.
 */
typedef struct mba_array mba_array;

/*
 The memory that a detached handle has left. Opaque.
 */
typedef struct mba_mapping mba_mapping;

/*
 The number of an element type: its typecode, a character such as `'I'`, or what `MBA_RECORD`
 gives.
 */
typedef int32_t mba_type;

/*
 Options of `mba_open_with` and its like. Zeros mean defaults, so that `mba_options options = {0};
 options.size = sizeof options;` asks for nothing special.
 */
typedef struct mba_options {
    /*
     `sizeof(mba_options)` as the caller knows it. Smaller sizes, of older headers, are accepted.
     In larger ones, the bytes that this library doesn't know must be zero.
     */
    uint32_t size;
    /*
     Permission bits of a file that is created, such as 0600; the umask applies. A file that exists
     keeps its own. 0: the default, 0666 for files and 0600 for named shared memory.
     */
    uint32_t mode;
    /*
     How many bytes of elements the array must be able to hold when it has grown. Room for the
     footer is added, and the sum is rounded up to whole pages; `mba_reserved` tells the result. It
     costs address space, not memory. 0: the default, 64 GiB or twice the file, and less where the
     process has little address space left. A size asked for is never made smaller. A handle with
     `MBA_PRIVATE` takes only the file's size, whatever is asked for.
     */
    uint64_t reservation;
} mba_options;

/*
 What `mba_info` and `mba_array_info` tell. Set `size` before the call: `mba_status status = {0};
 status.size = sizeof status;`. Fields are only ever added at the end, and the library fills those
 that fit.
 */
typedef struct mba_status {
    /*
     `sizeof(mba_status)` as the caller knows it.
     */
    uint32_t size;
    /*
     The element type. A file without a footer doesn't tell it: 0, unless a handle was asked. Types
     that are alike, such as `MBA_LONG` and `MBA_INT64`, are the same to a file.
     */
    mba_type type;
    /*
     Bytes in an element; 0 if the type isn't known.
     */
    uint64_t itemsize;
    /*
     The number of elements; 0 if the type isn't known: then it is `file_size` divided by your item
     size.
     */
    uint64_t len;
    /*
     The file's size in bytes.
     */
    uint64_t file_size;
    /*
     Where element 0 begins in the file, in bytes. Always 0 in this version.
     */
    uint64_t offset;
    /*
     The footer's epoch: 0 if no elements were taken away or moved since the file got its footer.
     It doesn't tell whether the file changed between two openings.
     */
    uint64_t epoch;
    /*
     The number of the process that holds the growth lock, or held it last; 0 if the file has no
     footer, and if a program has locked the whole file.
     */
    uint64_t holder;
    /*
     1 if the file has spare room and a footer, else 0.
     */
    uint32_t has_footer;
    /*
     1 if a handle holds the growth lock, or a program has locked the whole file, else 0.
     */
    uint32_t is_locked;
    /*
     1 if a handle has the file open, else 0; 1 also if a program has locked the whole file by
     fcntl. `mba_array_info` tells of handles other than this one; it doesn't see children, nor
     duplicates of this handle's own descriptor. For anonymous memory it means nothing.
     */
    uint32_t is_shared;
    /*
     0.
     */
    uint32_t reserved;
    /*
     The PEP 3118 format of a record, ended by NUL; empty if there is none, or if it doesn't fit.
     Always empty in this version.
     */
    char format[MBA_STATUS_FORMAT];
} mba_status;

/*
 The beginning of every handle. With it `mba_push` can append in the common case without a call.
 `mba_head_of` gives it. It may be read, and `mba_head_publish` may change the length; all else
 about a handle is opaque.
 */
typedef struct mba_head {
    /*
     Element 0: what `mba_data_ptr` gives. Never changes.
     */
    uint8_t *data;
    /*
     The number of elements, as this handle knows it. Written by the thread that changes the
     length, atomically.
     */
    mba_length len;
    /*
     Up to which length elements may be appended without a call. It can become 0 at any time, also
     by other threads and by signals: when the lock is given back, in every kind of child process,
     and when the handle refuses work. The address never changes.
     */
    const unsigned long long *room;
    /*
     The length that other processes see: valid while `*room` isn't 0.
     */
    uint64_t *publish;
    /*
     Bytes in an element. Never changes.
     */
    size_t itemsize;
} mba_head;

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

/*
 Opens a file of elements; makes it if the flags say so.

 `flags`: `MBA_RDONLY`, or `MBA_RDWR` with `MBA_CREATE`, `MBA_EXCL` and `MBA_EXACT` as needed, or
 `MBA_PRIVATE`. The call never truncates a file. A file that it has created remains if it fails
 later. If another process has a lease on the file, the call waits. The length is the one published
 in the file; if the file ends inside an element, it is the number of whole ones.

 On success `*out` is a handle to be released by `mba_free` or `mba_close`.

 Errors: those of open(2), among them `ENOENT`, `EACCES` and `EEXIST`; `EISDIR` for a directory,
 `ENODEV` for a FIFO, a socket or a device; `EINVAL` for unknown flags, flags that don't go
 together, and NULL; `MBA_ETYPE` for an unknown type, or if the file's footer names another;
 `MBA_ECORRUPT` for a footer that contradicts the file; `MBA_ELOCKED` if somebody who doesn't use
 the library keeps a lock on the whole file; `MBA_EFIXED` for an empty file on hugetlbfs; `ENOMEM`
 without address space.
 */
int mba_open(const char *path, mba_type type, uint32_t flags, struct mba_array **out);

/*
 As `mba_open`, with options; NULL for none.

 Errors: as `mba_open`; `EINVAL` also for options of a size under 4, for non-zero bytes that this
 library doesn't know, and for a mode beyond 07777; `MBA_ELIMIT` if the elements in the file are
 more than the reservation asked for; `ENOMEM` if there is no room for it.
 */
int mba_open_with(const char *path,
                  mba_type type,
                  uint32_t flags,
                  const struct mba_options *options,
                  struct mba_array **out);

/*
 Makes an empty array in anonymous shared memory. Forked children inherit it; other processes get
 it by `mba_fd`, a socket and `mba_from_fd`. The memory is sealed against shrinking, so nobody can
 truncate it. It ends with the last handle, mapping and descriptor.

 On success `*out` is a handle to be released by `mba_free` or `mba_close`.

 Errors: `MBA_ETYPE`; `EINVAL` for NULL; those of memfd_create(2), among them `EMFILE`; `ENOMEM`
 without address space.
 */
int mba_anon(mba_type type, struct mba_array **out);

/*
 As `mba_anon`, with options; NULL for none. The mode doesn't matter.

 Errors: as `mba_anon`; `EINVAL` for options as `mba_open_with`; `ENOMEM` if there is no room for
 the reservation.
 */
int mba_anon_with(mba_type type, const struct mba_options *options, struct mba_array **out);

/*
 Opens named shared memory, as shm_open(3) does. `name` is a slash and up to 254 bytes without
 another one; the slash may be left out. `flags` are as for `mba_open`. Memory that is created has
 mode 0600, and lasts until `mba_shm_unlink` or a restart of the system: a handle never owns it,
 and closing one never removes it.

 On success `*out` is a handle to be released by `mba_free` or `mba_close`.

 Errors: as `mba_open`; `EINVAL` for a bad name, also one that is too long, and for a directory's.
 */
int mba_shm_open(const char *name, mba_type type, uint32_t flags, struct mba_array **out);

/*
 As `mba_shm_open`, with options; NULL for none.

 Errors: as `mba_shm_open` and `mba_open_with`.
 */
int mba_shm_open_with(const char *name,
                      mba_type type,
                      uint32_t flags,
                      const struct mba_options *options,
                      struct mba_array **out);

/*
 Removes a name of shared memory. Handles that are open keep the memory until they are released.

 Errors: `ENOENT`, also for a bad name; `EACCES`; `EINVAL` for NULL.
 */
int mba_shm_unlink(const char *name);

/*
 Opens the array in the file or memory behind a descriptor, for instance one that another process
 got by `mba_fd` and sent over a socket. The descriptor stays the caller's; it may be closed at
 once. `flags`: `MBA_RDONLY`, `MBA_RDWR`, `MBA_RDWR | MBA_EXACT`, `MBA_PRIVATE`.

 The file is opened anew through /proc. Where that fails, a handle for reading shares the caller's
 open file description; with `MBA_RDWR` it is an error.

 On success `*out` is a handle to be released by `mba_free` or `mba_close`.

 Errors: as `mba_open`; `EBADF`; `EACCES` if the descriptor isn't open for what the flags ask;
 `EINVAL` also for `MBA_EXACT` on memory that is sealed against shrinking.
 */
int mba_from_fd(int fd, mba_type type, uint32_t flags, struct mba_array **out);

/*
 As `mba_from_fd`, with options; NULL for none. The mode doesn't matter.

 Errors: as `mba_from_fd` and `mba_open_with`.
 */
int mba_from_fd_with(int fd,
                     mba_type type,
                     uint32_t flags,
                     const struct mba_options *options,
                     struct mba_array **out);

/*
 Views memory of the caller's as an array of fixed length. The memory stays the caller's, and must
 outlive the handle. If it belongs to another array that is mapped at several addresses, calls
 don't notice when values overlap it. `flags`: `MBA_RDONLY` or `MBA_RDWR`. `(NULL, 0)` is an empty
 array.

 On success `*out` is a handle to be released by `mba_free` or `mba_close`.

 Errors: `MBA_ETYPE`; `EINVAL` for NULL, other flags, `data` that isn't aligned for the type, and
 `nbytes` that is no multiple of its size. A record's alignment is the largest power of two that
 divides its size, and at most 8.
 */
int mba_from_memory(void *data,
                    size_t nbytes,
                    mba_type type,
                    uint32_t flags,
                    struct mba_array **out);

/*
 Releases a handle as `mba_close` does, but returns nothing. NULL is allowed. All pointers into the
 array become invalid.
 */
void mba_free(struct mba_array *array);

/*
 Releases a handle, and tells whether giving back the file's spare room failed. In any case the
 handle is gone, all pointers into the array become invalid, and no element is lost. What has
 failed is tried again by `mba_tidy`, by the next handle that closes after changing the length, and
 by the next `MBA_RDWR` handle that closes while no other has the file open.

 A handle that has held the growth lock gives back the file's spare room, unless another one holds
 the lock now: the file of an array that was only appended to is then exactly its elements. If
 elements were taken away, the file keeps what others who have it open may have seen. It is exactly
 its elements when the last handle closes, if that one is `MBA_RDWR`. In a forked child a handle
 that hasn't changed the length there leaves the file alone. Data is not forced to the disk;
 `mba_flush` does that.

 Errors: `EINVAL` for NULL; those of ftruncate(2), such as `EIO`; `MBA_ETRUNCATED` and
 `MBA_ECORRUPT` if someone who doesn't use the library has changed the file's size.
 */
int mba_close(struct mba_array *array);

/*
 Releases a handle as `mba_close` does, but keeps the memory at its address until
 `mba_mapping_free`: for languages whose views outlive a close. Ask for the pointer and the length
 before. The growth lock and spare room are given back at once. What the handle had seen as
 elements stays mapped, and stores through the pointer still reach the file. Until the mapping is
 freed, the file counts as open. Freeing it trims the file as a close would, if the handle was
 `MBA_RDWR`.

 Errors: `EINVAL` for NULL, and the handle stays as it is. With any other code (they are those of
 `mba_close`), the handle is gone and `*out` is the mapping.
 */
int mba_detach(struct mba_array *array, struct mba_mapping **out);

/*
 Releases the memory that a detached handle has left; NULL is allowed. All pointers into the array
 become invalid.
 */
void mba_mapping_free(struct mba_mapping *mapping);

/*
 The number of elements, as this handle knows it: `mba_refresh` and every call that changes the
 length take up what others have published. 0 for NULL.
 */
size_t mba_len(const struct mba_array *array);

/*
 How many elements fit before the file must grow. While the handle doesn't hold the growth lock,
 that is the length. 0 for NULL.
 */
size_t mba_capacity(const struct mba_array *array);

/*
 Bytes in an element. 0 for NULL.
 */
size_t mba_itemsize(const struct mba_array *array);

/*
 The most elements that the array can ever have through this handle: its reservation. 0 for NULL.
 */
size_t mba_reserved(const struct mba_array *array);

/*
 The element type. 0 for NULL.
 */
mba_type mba_typecode(const struct mba_array *array);

/*
 1 if elements can't be set through this handle, else 0; 0 for NULL.
 */
int mba_is_readonly(const struct mba_array *array);

/*
 The address of element 0. It stays the same, and stays valid, from the opening of the handle until
 it is freed, however much the array grows; elements lie there up to the length. NULL for NULL.

 What is stored through it is seen by everybody at once. Stores through the pointer of a read-only
 handle are a SIGSEGV; see the top of this file for when a SIGBUS is possible. While this handle
 holds the growth lock, elements may also be stored beyond the length, up to the capacity;
 `mba_commit` publishes them.
 */
void *mba_data_ptr(const struct mba_array *array);

/*
 Copies the element at `index` to `out`.

 Errors: `MBA_EINDEX`; `EINVAL` for NULL.
 */
int mba_get(const struct mba_array *array, size_t index, void *out);

/*
 Exchanges the elements at `i` and `j`. A reader can meanwhile find one of them in both places, and
 a kill may leave it half done. The rules for threads are those of `mba_set`.

 Errors: `MBA_EREADONLY`, `MBA_EINDEX`; `ENOMEM` for elements of more than 64 bytes; `EINVAL` for
 NULL.
 */
int mba_swap(struct mba_array *array, size_t i, size_t j);

/*
 Replaces the element at `index`. May run beside any other call on the handle, except those that
 give pages back: see THREADS at the top of this file.

 Errors: `MBA_EREADONLY`, `MBA_EINDEX`; `EINVAL` for NULL.
 */
int mba_set(struct mba_array *array, size_t index, const void *value);

/*
 Copies `count` elements from `start` on to `out`.

 Errors: `MBA_EINDEX` if the range isn't within the array; `EINVAL` for NULL, but `(NULL, 0)` is
 allowed.
 */
int mba_read(const struct mba_array *array, size_t start, size_t count, void *out);

/*
 Replaces `count` elements from `start` on. `values` may overlap the array. A kill may leave it
 half done.

 Errors: `MBA_EREADONLY`; `MBA_EINDEX` if the range isn't within the array; `EINVAL` for NULL, but
 `(NULL, 0)` is allowed.
 */
int mba_write(struct mba_array *array, size_t start, const void *values, size_t count);

/*
 Stores the same value in `count` elements from `start` on. A kill may leave it half done.

 Errors: `MBA_EREADONLY`; `MBA_EINDEX` if the range isn't within the array; `EINVAL` for NULL.
 */
int mba_fill(struct mba_array *array, size_t start, size_t count, const void *value);

/*
 Appends an element. In the common case this is two stores: no system call, no allocation.
 `mba_push`, at the end of the header, does the same without a call.

 Errors, which all calls that change the length can give: `MBA_EREADONLY`; `MBA_EFIXED`;
 `MBA_ELOCKED` if another handle holds the growth lock; `MBA_ELIMIT` beyond the reservation;
 `MBA_EPARTIAL`; `MBA_ETYPE` and `MBA_ECORRUPT` if the file's footer now names another type, or
 contradicts the file; `MBA_ETRUNCATED` and `MBA_ECORRUPT` if someone who doesn't use the library
 has changed the file's size; `ENOSPC`, `EDQUOT`, `EFBIG` (a limit on the size of files) if there
 is no room; `EIO`; in a forked child, and for anonymous memory after any fork, also what open(2)
 says if the file can't be opened for a lock of its own, such as `EACCES` and `EMFILE`; `EINVAL`
 for NULL. The array is then as it was.

 Spare room comes in whole pages of 4096 bytes. So a disk with less than a page left has no room
 for an element either, unless the handle is `MBA_EXACT`.
 */
int mba_append(struct mba_array *array, const void *value);

/*
 Takes the last element away, and copies it to `out` unless that is NULL.

 A file without spare room gets a footer here. If there is no room for that, the file is truncated
 instead; if others have it open it can't be truncated, and the call fails with `ENOSPC`.

 Errors: `MBA_EEMPTY`; as `mba_append`.
 */
int mba_pop(struct mba_array *array, void *out);

/*
 Inserts an element before `index`, which may be the length. `value` may point into the array. A
 kill may leave it half done.

 Errors: `MBA_EINDEX`; as `mba_append`.
 */
int mba_insert(struct mba_array *array, size_t index, const void *value);

/*
 Takes the element at `index` away, and copies it to `out` unless that is NULL. A kill may leave it
 half done.

 Errors: `MBA_EINDEX`; as `mba_append`.
 */
int mba_remove(struct mba_array *array, size_t index, void *out);

/*
 Appends `count` elements: all of them or, if it fails or the process is killed, none. `values` may
 point into the array itself.

 Errors: as `mba_append`; `(NULL, 0)` is allowed where the length can change.
 */
int mba_extend(struct mba_array *array, const void *values, size_t count);

/*
 Replaces `removed` elements from `start` on by `count` others, and moves those behind them.
 `values` may point into the array itself, also through another handle. A kill may leave it half
 done. If it removes as many elements as it puts there, it is `mba_write`, which needs no lock.

 Errors: `MBA_EINDEX` if the range isn't within the array; `ENOMEM` if values within the array
 can't be put aside; as `mba_append`; `(NULL, 0)` is allowed.
 */
int mba_splice(struct mba_array *array,
               size_t start,
               size_t removed,
               const void *values,
               size_t count);

/*
 Makes the array `len` elements long; new elements are zero. Their blocks on the disk, or their
 memory, are taken at once.

 Errors: as `mba_append`.
 */
int mba_resize(struct mba_array *array, size_t len);

/*
 Makes the array empty.

 Errors: as `mba_append`.
 */
int mba_clear(struct mba_array *array);

/*
 Makes room for `capacity` elements in all, and takes their blocks on the disk, or their memory.
 Until the lock is given back, appends up to there can't fail, and elements can be stored there and
 published by `mba_commit`. With `MBA_EXACT` there is no spare room to make: the call only tells
 whether the reservation is large enough.

 Errors: as `mba_append`.
 */
int mba_reserve(struct mba_array *array, size_t capacity);

/*
 Gives spare room back, so that the file is exactly its elements. Anonymous memory keeps its size,
 but the memory of its spare room is given back. If elements were taken away and others have the
 file open, it gives back only what they can't have seen, and returns `MBA_OK` all the same. No
 other call may run on this handle meanwhile.

 Errors: as `mba_append`.
 */
int mba_shrink_to_fit(struct mba_array *array);

/*
 Publishes elements that were stored through `mba_data_ptr` behind the last one: the length becomes
 `len`. The fastest way to produce is `mba_reserve`, many stores, and one commit for them all.
 Store only while this handle holds the growth lock: else the call takes the lock, and publishes
 whatever lies there then.

 Errors: `MBA_EINDEX` if `len` is less than the length or more than the capacity, as they are under
 the lock; as `mba_append`.
 */
int mba_commit(struct mba_array *array, size_t len);

/*
 The absolute path of the file that was opened; for named shared memory, where the system keeps it.
 NULL for NULL, and for arrays that were opened without a path. The string belongs to the handle,
 and ends with it.
 */
const char *mba_path(const struct mba_array *array);

/*
 A descriptor of the file or memory behind the array, to send to another process, which opens it by
 `mba_from_fd`. It belongs to the handle and is closed with it; duplicate it to keep it. Sending it
 doesn't hand over the growth lock, which another descriptor carries. Don't change the file's size
 through it. A call that makes the array shorter may open the file anew behind the same number: an
 flock(2) lock on it is lost then. As long as a duplicate exists, the file counts as open. -1 for
 NULL and for the caller's memory; for anonymous memory also if the process has no free descriptor,
 or no /proc.
 */
int mba_fd(const struct mba_array *array);

/*
 Puts elements and length on the disk, and a new file's name too, if its directory can be opened
 for reading. All that is there when the call returns. Does nothing for memory, and for handles
 that can't change the file.

 Errors: those of msync(2) and fsync(2), such as `EIO`; `MBA_ETRUNCATED` and `MBA_ECORRUPT` if
 someone who doesn't use the library has changed the file's size while this handle holds the lock;
 `EINVAL` for NULL.
 */
int mba_flush(struct mba_array *array);

/*
 Takes up the length that others have published. Does nothing where the length is fixed.

 Errors: `MBA_ELIMIT` if the array has outgrown this handle's reservation: then the handle keeps
 its length; `MBA_ECORRUPT`, `MBA_ETYPE`; `MBA_ETRUNCATED` if this handle holds the lock and the
 file is shorter than it left it; `EBUSY` if the file changes so fast that no state of it can be
 read: try again; `EINVAL` for NULL.
 */
int mba_refresh(struct mba_array *array);

/*
 A number that changes when elements have been taken away or moved (by a call that makes the array
 shorter, by an insert before the end, and by a splice there that changes the length), as far as
 this handle has seen: by its own calls, and by `mba_refresh`. 0 for NULL.

 To follow an array: 1. Note the epoch, then the length. 2. Copy the new elements. 3. Call
 `mba_refresh`. 4. If the epoch is the same, use the copies; if not, drop all that you have copied,
 and begin at element 0. Don't act on a copy before step 4. The length gets smaller only when the
 epoch changes. Calls that set elements don't change it. Compare for equality only: the number
 itself means nothing, and nothing to other handles either.
 */
uint64_t mba_epoch(const struct mba_array *array);

/*
 Sets `*replaced` to 1 if the path by which the array was opened now leads to another file or to
 none, else to 0. A file that was overwritten in its place, as cp(1) does, is the same file. Always
 0 for anonymous memory, for arrays opened by `mba_from_fd`, and for the caller's memory.

 Errors: those of stat(2), except `ENOENT` and `ENOTDIR`, which mean 1; `EINVAL` for NULL.
 */
int mba_is_replaced(const struct mba_array *array, int *replaced);

/*
 Takes the growth lock and holds it across calls, until `mba_unlock` or the end of the handle or of
 the process. Takes up the length, too. The first call that changes the length does the same
 without waiting. So this one is for waiting, and for a read and a change that belong together.

 `timeout_ms`: 0 doesn't wait; -1 waits for ever, also for another handle of this process, even of
 the same thread; other negative numbers are `EINVAL`. Returns 0 (`MBA_OK`) if the handle has the
 lock already. A handle that has given the lock back and locks again lets waiting handles go first,
 for 100 ms at most.

 Errors: `MBA_ELOCKED` if `timeout_ms` is 0; `ETIMEDOUT`; `EINTR` if a signal handler without
 `SA_RESTART` ran; as `mba_append`.
 */
int mba_lock(struct mba_array *array, int timeout_ms);

/*
 Gives the growth lock back, and leaves the spare room to the handle that takes it next. Returns 0
 (`MBA_OK`) also without the lock. A later call that changes the length takes it again.

 Errors: `EINVAL` for NULL; `ENOSPC`, `EDQUOT`, `EFBIG` and `MBA_ELIMIT` if the last elements of a
 file without spare room were set so that they would read as a footer, and there is no room for a
 true one behind them: then the lock is kept.
 */
int mba_unlock(struct mba_array *array);

/*
 1 if this handle holds the growth lock, else 0; 0 for NULL.
 */
int mba_has_lock(const struct mba_array *array);

/*
 Tells the system how `count` elements from `start` on will be used: one of `MBA_ADVICE_...`. Does
 nothing where the length is fixed. No advice changes an element. Advice can be forgotten when a
 call makes the array shorter.

 Errors: `MBA_EINDEX` if the range isn't within the array; `EINVAL` for unknown advice and NULL;
 those of madvise(2).
 */
int mba_advise(const struct mba_array *array, size_t start, size_t count, int advice);

/*
 Reports a file's type, length, size and state. It opens the file for reading and closes it again.
 It changes no byte, and takes no lock. As with any close, the process then loses its own fcntl(2)
 locks on this file.

 Errors: those of open(2); `EISDIR` for a directory, `ENODEV` for what else is no regular file;
 `MBA_ECORRUPT` if the file's footer contradicts the file; `EINVAL` for NULL, and for a size under
 4 or over 65536.
 */
int mba_info(const char *path, struct mba_status *out);

/*
 As `mba_info`, for the file or memory behind a handle: as it is now, whatever length the handle
 knows.

 Errors: `MBA_ECORRUPT`; those of fstat(2); `EINVAL` for NULL, and for a size under 4 or over
 65536.
 */
int mba_array_info(const struct mba_array *array, struct mba_status *out);

/*
 Tidies a file that a process has left without closing it: gives its spare room back. If others
 have the file open, it gives back what they can't have seen, and returns `MBA_OK`; call it again
 when they have closed. If the file has a footer, that must name `type`; a `type` of 0 allows any.
 A file without a footer has nothing to give back.

 `flags`: 0 or `MBA_TIDY_FORCE`, which also makes a file whose footer is unsound usable again: its
 length is then the footer's if that fits, else all that lies before the footer, spare room too.
 Make a copy first. As with any close, the process then loses its own fcntl(2) locks on this file.

 Errors: those of open(2); `EISDIR`, `ENODEV`; `MBA_ELOCKED` if a handle holds the growth lock, or
 with `MBA_TIDY_FORCE` if others have a file open whose footer is unsound; `MBA_ETYPE`;
 `MBA_ECORRUPT` without `MBA_TIDY_FORCE`; those of ftruncate(2); `EINVAL` for NULL and unknown
 flags.
 */
int mba_tidy(const char *path, mba_type type, uint32_t flags);

/*
 Finds the first element at `start` or later, and before `stop`, that equals the value, and stores
 its index in `*index`. `stop` may be beyond the length; `SIZE_MAX` searches to the end.

 Equal is what `==` says in C: NaN equals nothing, 0.0 equals -0.0, and all true values of
 `MBA_BOOL` are equal. Records are equal if their bytes are.

 Errors: `MBA_ENOTFOUND`; `EINVAL` for NULL.
 */
int mba_find(const struct mba_array *array,
             const void *value,
             size_t start,
             size_t stop,
             size_t *index);

/*
 Counts the elements that equal the value, in the sense of `mba_find`, and stores their number in
 `*count`.

 Errors: `EINVAL` for NULL.
 */
int mba_count(const struct mba_array *array, const void *value, size_t *count);

/*
 Compares two arrays as sequences, and stores -1, 0 or 1 in `*order`: the first is less than, equal
 to or greater than the second. The first pair of elements that differs decides, or else the
 lengths. `*order` is `MBA_UNORDERED` if that pair has no order, as records never have.

 Errors: `MBA_ETYPE` if the elements differ in kind or size; `EINVAL` for NULL.
 */
int mba_compare(const struct mba_array *a, const struct mba_array *b, int *order);

/*
 Stores in `*equal` 1 if both arrays have the same length and equal elements, in the sense of
 `mba_find`, else 0.

 Errors: `MBA_ETYPE` if the elements differ in kind or size; `EINVAL` for NULL.
 */
int mba_equal(const struct mba_array *a, const struct mba_array *b, int *equal);

/*
 Reverses the order of the elements, in place. A kill may leave it half done.

 It goes by the length that the handle has. If others have made the array shorter since, it moves
 elements beyond the end, where they are lost: take the growth lock first, or refresh.

 Errors: `MBA_EREADONLY`; `EINVAL` for NULL.
 */
int mba_reverse(struct mba_array *array);

/*
 Reverses the bytes of every element, in place; in a complex number, those of each part. A kill may
 leave it half done.

 Errors: `MBA_EREADONLY`; `MBA_ETYPE` for records; `EINVAL` for NULL.
 */
int mba_byteswap(struct mba_array *array);

/*
 Turns the guard on, for all arrays of the process: those that exist and those to come. Without it,
 touching elements of a file that somebody has truncated is a SIGBUS, which ends the process. With
 it a signal handler puts zeros in the place of what is gone, marks the handle, and the thread goes
 on. A marked handle is of no more use. The call during which it happened may still return
 `MBA_OK`, but every later one that returns a code returns `MBA_ETRUNCATED`, even for elements that
 are still there. So does `mba_close`, which releases the handle as always. Calls that return no
 code (`mba_len`, `mba_data_ptr` and the like) answer as before, and the pointer stays valid. So a
 program that uses the pointer learns from its next call what it has read. What is stored in the
 place of lost elements is lost. To go on, close the handle and open the file again.

 A SIGBUS elsewhere goes to the signal handler that was there before, with the signals blocked and
 everything else as that has asked for. If there was none, it ends the process. Signal handlers
 that are installed later must pass such signals on, too; where they don't, call this again, which
 puts the guard's on top. If a run-time system has a signal handler of its own, as the JVM, Go and
 Python's faulthandler do, let it be installed first. The guard's runs on the alternate signal
 stack where a thread has one, makes a few system calls, and leaves `errno` alone.

 What the guard can't do: a system call such as read(2) that is given a pointer to lost elements
 fails with `EFAULT`, and no handle is marked. Lost elements in the page that still has the last
 bytes of the file are zeros without a fault, and so is what was truncated and then grown again
 before it was touched. Other handles of the same file are marked when they touch what is lost
 themselves. Memory of `mba_from_memory` is the caller's affair. A page that the disk can't read,
 or finds no space for, is replaced too, with the same code.

 Calls are counted: each needs one `mba_guard_disable`. A library that has had the guard on stays
 loaded for good.

 Errors: `EBUSY` if the guard's signal handler lies below others already eight times; those of
 sigaction(2).
 */
int mba_guard_enable(void);

/*
 Takes one `mba_guard_enable` back. With the last one the signal handler that was there before is
 there again, unless another one was installed since: then the guard's stays where it is, and
 passes every signal on. Handles that are marked stay so. 0 (`MBA_OK`) also if the guard isn't on.

 Errors: those of sigaction(2).
 */
int mba_guard_disable(void);

/*
 The version of the library: major << 16 | minor << 8 | patch, to be compared with the
 `MBA_VERSION` that the program was compiled with.
 */
uint32_t mba_version(void);

/*
 The text for any code that a function returns: one of `MBA_E...`, an `errno`, or `MBA_OK`. The
 string is static, in English, and may be used from any thread. Never NULL.
 */
const char *mba_strerror(int code);

/*
 Puts a message for people into `buffer`, ended by NUL and cut to `size` bytes: the path, what has
 happened, and what the file tells about it, as far as it does. For `MBA_ELOCKED` and `ETIMEDOUT`
 that is the process that has the growth lock, or that has locked the whole file by fcntl(2); for
 `MBA_ETYPE` it is the type that the file has. For `EINVAL` the message says what is wrong with the
 arguments, if the call was the last one of this thread to fail. `path` may be NULL; `mba_path`
 tells a handle's; for named shared memory it is /dev/shm and the name. `buffer` must not overlap
 `path`.

 For `MBA_ELOCKED`, `ETIMEDOUT` and `MBA_ETYPE` it opens the file for reading and closes it again:
 as with any close, the process then loses its own fcntl(2) locks on this file. Never call it in a
 signal handler.

 Returns `buffer`, or `mba_strerror(code)` if `buffer` is NULL or `size` is 0. It can't fail.

 `fprintf(stderr, "%s\n", mba_error_text(code, path, line, sizeof line));`
 */
const char *mba_error_text(int code, const char *path, char *buffer, size_t size);

/*
 Bytes in an element of a type, `MBA_RECORD` among them; 0 for an unknown type.
 */
size_t mba_type_size(mba_type type);

/*
 A readable name of a type, such as `"uint32"`, and `"record"` for all `MBA_RECORD`; NULL for an
 unknown type. The string is static.
 */
const char *mba_type_name(mba_type type);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

/*
 Appending without a call, for compilers that have GCC's atomic functions; with others mba_push()
 makes the call.
 */
#if !defined(MBA_NO_INCLUDES) && !defined(MBA_NO_INLINE)

/*
 The head of a handle, the part that may be read directly; NULL for NULL. It lasts as long as the
 handle.
 */
static inline mba_head *mba_head_of(mba_array *array)
{
    return MBA_CAST_(reinterpret_cast, mba_head *, array);
}

/*
 Publishes a length: first for other processes, then for this handle. Store the elements first.
 Call it only while `*head->room` isn't 0. `len` must be between the present length and
 `*head->room`.
 */
static inline void mba_head_publish(mba_head *head, unsigned long long len)
{
#ifdef __GNUC__
    mba_length own = MBA_CAST_(static_cast, mba_length, len);
    __atomic_store_n(head->publish, len, __ATOMIC_RELEASE);
    __atomic_store(&head->len, &own, __ATOMIC_RELEASE);
#else
    (void)head;
    (void)len;
#endif
}

/*
 Appends an element of `size` bytes, if there is room. Returns 1 if it has; else 0, and nothing has
 changed: then mba_append() will do it, or tell why not. `size` must be `head->itemsize`; a constant
 makes it fast. The rules for threads are those of mba_append().
 */
static inline int mba_head_push(mba_head *head, const void *value, size_t size)
{
#ifdef __GNUC__
    const unsigned long long len = head->len;
    void *place;
    if (__builtin_expect(len >= __atomic_load_n(head->room, __ATOMIC_RELAXED), 0)) {
        return 0;
    }
    place = head->data + len * size;
    switch (size) {
#define MBA_STORE_(bytes, word) \
    case bytes: { \
        typedef word __attribute__((__may_alias__)) any; /* whoever reads it may do so as an element */ \
        any whole; \
        __builtin_memcpy(&whole, value, bytes); \
        __atomic_store_n(MBA_CAST_(static_cast, any *, place), whole, __ATOMIC_RELAXED); \
        break; \
    }
    MBA_STORE_(1, uint8_t)
    MBA_STORE_(2, uint16_t)
    MBA_STORE_(4, uint32_t)
    MBA_STORE_(8, uint64_t)
#undef MBA_STORE_
    default:
        __builtin_memcpy(place, value, size);
    }
    mba_head_publish(head, len + 1);
    return 1;
#else
    (void)head;
    (void)value;
    (void)size;
    return 0;
#endif
}

/*
 As mba_append(), but in the common case without a call, in a fraction of its time. `size` is the
 element's, as in mba_push(array, &value, sizeof value).

 Errors: MBA_ETYPE if `size` isn't the size of an element; as mba_append().
 */
static inline int mba_push(mba_array *array, const void *value, size_t size)
{
    if (array && value) {
        mba_head *head = mba_head_of(array);
        if (size != head->itemsize) {
            return MBA_ETYPE;
        }
        if (mba_head_push(head, value, size)) {
            return MBA_OK;
        }
    }
#ifdef __GNUC__
    if (value && size <= 16) {
        /* A value whose address goes into a call couldn't stay in a register. */
        unsigned char copy[16];
        __builtin_memcpy(copy, value, size);
        return mba_append(array, copy);
    }
#endif
    return mba_append(array, value);
}

#endif

#endif /* MMAP_BACKED_ARRAY_H */
