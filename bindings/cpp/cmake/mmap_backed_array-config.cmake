# find_package(mmap_backed_array CONFIG), for what `cargo cinstall` has installed under any prefix.
#
# Targets: mmap_backed_array::mmap_backed_array, which is the shared library, or the static one if
# mmap_backed_array_USE_STATIC_LIBS is on or there is no other; and by name mmap_backed_array::shared and
# mmap_backed_array::static, if they are there.

# This file is in PREFIX/share/mmap_backed_array, wherever that was moved to.
get_filename_component(_mba_prefix "${CMAKE_CURRENT_LIST_DIR}/../.." ABSOLUTE)

# Not find_library, which would remember what it found when the prefix has changed.
foreach(_mba_kind shared static)
    if(_mba_kind STREQUAL "shared")
        set(_mba_file libmmap_backed_array.so)
    else()
        set(_mba_file libmmap_backed_array.a)
    endif()
    set(_mba_${_mba_kind} "")
    file(GLOB _mba_elsewhere "${_mba_prefix}/lib*/${_mba_file}" "${_mba_prefix}/lib*/*/${_mba_file}")
    foreach(_mba_path "${_mba_prefix}/lib/${CMAKE_LIBRARY_ARCHITECTURE}/${_mba_file}" ${_mba_elsewhere})
        if(NOT _mba_${_mba_kind} AND EXISTS "${_mba_path}")
            set(_mba_${_mba_kind} "${_mba_path}")
        endif()
    endforeach()
endforeach()

include("${CMAKE_CURRENT_LIST_DIR}/mmap_backed_array-targets.cmake")
if(_mba_shared OR _mba_static)
    mmap_backed_array_targets("${_mba_prefix}/include" "${_mba_shared}" "${_mba_static}")
else()
    set(mmap_backed_array_FOUND FALSE)
    set(mmap_backed_array_NOT_FOUND_MESSAGE "there is no libmmap_backed_array under ${_mba_prefix}/lib*")
endif()
