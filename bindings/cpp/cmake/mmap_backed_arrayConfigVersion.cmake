# Whether the installed version suits who asks for one. A new major version may change the ABI, and while it is 0 a
# new minor one too: both numbers must agree then. (Of what the soname says the same holds.)

include("${CMAKE_CURRENT_LIST_DIR}/mmap_backed_arrayVersionOf.cmake")
get_filename_component(_prefix "${CMAKE_CURRENT_LIST_DIR}/../../.." ABSOLUTE)
if(NOT EXISTS "${_prefix}/include/mmap_backed_array.h")
  set(PACKAGE_VERSION "unknown: ${_prefix}/include/mmap_backed_array.h is missing")
  set(PACKAGE_VERSION_UNSUITABLE TRUE)
  return()
endif()
mmap_backed_array_version_of("${_prefix}/include/mmap_backed_array.h" PACKAGE_VERSION)

set(PACKAGE_VERSION_COMPATIBLE FALSE)
set(PACKAGE_VERSION_EXACT FALSE)
if(PACKAGE_FIND_VERSION_RANGE)
  if(PACKAGE_VERSION VERSION_GREATER_EQUAL PACKAGE_FIND_VERSION_MIN
     AND (PACKAGE_VERSION VERSION_LESS PACKAGE_FIND_VERSION_MAX
          OR (PACKAGE_FIND_VERSION_RANGE_MAX STREQUAL "INCLUDE"
              AND PACKAGE_VERSION VERSION_EQUAL PACKAGE_FIND_VERSION_MAX)))
    set(PACKAGE_VERSION_COMPATIBLE TRUE)
  endif()
elseif(PACKAGE_VERSION VERSION_GREATER_EQUAL PACKAGE_FIND_VERSION)
  # A request for "0" names no minor version, and takes any.
  string(REGEX MATCH "^0\\.[0-9]+|^[0-9]+" _asked "${PACKAGE_FIND_VERSION}")
  if(PACKAGE_FIND_VERSION_COUNT EQUAL 0 OR "${PACKAGE_VERSION}." MATCHES "^${_asked}\\.")
    set(PACKAGE_VERSION_COMPATIBLE TRUE)
  endif()
  if(PACKAGE_VERSION VERSION_EQUAL PACKAGE_FIND_VERSION)
    set(PACKAGE_VERSION_EXACT TRUE)
  endif()
endif()

# The library is one for 64 bits.
if(CMAKE_SIZEOF_VOID_P AND NOT CMAKE_SIZEOF_VOID_P EQUAL 8)
  string(APPEND PACKAGE_VERSION " (64 bits)")
  set(PACKAGE_VERSION_UNSUITABLE TRUE)
endif()
