# The installed version, as its header tells it, and whether it suits: while the major version is 0 a new minor one may
# break programs, later a new major one.

get_filename_component(_mba_header "${CMAKE_CURRENT_LIST_DIR}/../../include/mmap_backed_array.h" ABSOLUTE)
set(PACKAGE_VERSION "")
foreach(_mba_part MAJOR MINOR PATCH)
    file(STRINGS "${_mba_header}" _mba_line REGEX "^#define MBA_VERSION_${_mba_part} [0-9]+$")
    string(REGEX MATCH "[0-9]+$" _mba_${_mba_part} "${_mba_line}")
endforeach()
set(PACKAGE_VERSION "${_mba_MAJOR}.${_mba_MINOR}.${_mba_PATCH}")

set(PACKAGE_VERSION_COMPATIBLE FALSE)
set(PACKAGE_VERSION_EXACT FALSE)
if(PACKAGE_FIND_VERSION_RANGE)
    if(PACKAGE_VERSION VERSION_GREATER_EQUAL PACKAGE_FIND_VERSION_MIN
       AND (PACKAGE_VERSION VERSION_LESS PACKAGE_FIND_VERSION_MAX
            OR (PACKAGE_FIND_VERSION_RANGE_MAX STREQUAL "INCLUDE"
                AND PACKAGE_VERSION VERSION_EQUAL PACKAGE_FIND_VERSION_MAX)))
        set(PACKAGE_VERSION_COMPATIBLE TRUE)
    endif()
elseif(PACKAGE_VERSION VERSION_GREATER_EQUAL PACKAGE_FIND_VERSION AND _mba_MAJOR EQUAL PACKAGE_FIND_VERSION_MAJOR
       AND (_mba_MAJOR GREATER 0 OR PACKAGE_FIND_VERSION_COUNT LESS 2 OR _mba_MINOR EQUAL PACKAGE_FIND_VERSION_MINOR))
    set(PACKAGE_VERSION_COMPATIBLE TRUE)
    if(PACKAGE_VERSION VERSION_EQUAL PACKAGE_FIND_VERSION)
        set(PACKAGE_VERSION_EXACT TRUE)
    endif()
endif()

# The library is for 64-bit systems.
if(CMAKE_SIZEOF_VOID_P AND NOT CMAKE_SIZEOF_VOID_P EQUAL 8)
    set(PACKAGE_VERSION_UNSUITABLE TRUE)
endif()
