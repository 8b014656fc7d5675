# Makes a static library that has what the C functions need and nothing else, of the one that rustc makes.
#
#   cmake -D FROM=rustc's.a -D TO=slim.a -D SHARED=the.so -D STRIP=ON|OFF
#         -D COMPILER=cc -D NM=nm -D OBJCOPY=objcopy -D AR=ar -P slim.cmake
#
# Rustc's has all functions that the compiler may call, the debugging information of Rust's standard library, and
# LLVM's own form of the code, for a linker that would optimize it once more: twenty times what is needed. Also, all
# its names are visible to whom it is linked with, so that it can't stand beside another library made by another Rust.
# Here all becomes one object, whose visible names are those that the shared library exports. Its functions still
# have sections of their own: a program linked by --gc-sections leaves out those that it doesn't use.

execute_process(COMMAND "${NM}" --dynamic --defined-only --format=posix "${SHARED}"
                OUTPUT_VARIABLE symbols COMMAND_ERROR_IS_FATAL ANY)
string(REGEX MATCHALL "(^|\n)mba_[a-z0-9_]+" names "${symbols}")
list(TRANSFORM names STRIP)
list(LENGTH names count)
if(count EQUAL 0)
  message(FATAL_ERROR "${SHARED} exports no function of mmap_backed_array")
endif()

list(TRANSFORM names PREPEND "-Wl,-u," OUTPUT_VARIABLE roots)
list(JOIN names "\n" lines)
file(WRITE "${TO}.names" "${lines}\n")
list(JOIN roots "\n" lines)
file(WRITE "${TO}.roots" "${lines}\n")

set(without --remove-section=.llvmbc --remove-section=.llvmcmd)
if(STRIP)
  list(APPEND without --strip-debug)
endif()

execute_process(COMMAND "${COMPILER}" -r -nostdlib -o "${TO}.o" -Wl,--gc-sections "@${TO}.roots" "${FROM}"
                COMMAND_ERROR_IS_FATAL ANY)
execute_process(COMMAND "${OBJCOPY}" ${without} "--keep-global-symbols=${TO}.names" "${TO}.o"
                COMMAND_ERROR_IS_FATAL ANY)
file(REMOVE "${TO}.new")
execute_process(COMMAND "${AR}" rcsD "${TO}.new" "${TO}.o" COMMAND_ERROR_IS_FATAL ANY)
execute_process(COMMAND "${CMAKE_COMMAND}" -E copy_if_different "${TO}.new" "${TO}" COMMAND_ERROR_IS_FATAL ANY)
file(REMOVE "${TO}.new" "${TO}.o" "${TO}.names" "${TO}.roots")
