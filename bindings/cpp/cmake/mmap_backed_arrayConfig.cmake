# For find_package(mmap_backed_array CONFIG) on an installed library: the targets of mmap_backed_arrayTargets.cmake.
# COMPONENTS shared, static or both make it an error if one isn't installed.
#
# Everything is found from where this file lies, in share/cmake/mmap_backed_array under the prefix, so that the tree
# may be moved. Libraries outside the prefix are found when mmap_backed_array_LIBRARY_DIR names their directory.

# The names are long enough not to be the caller's.
get_filename_component(_mba_prefix "${CMAKE_CURRENT_LIST_DIR}/../../.." ABSOLUTE)

# Where libraries are is the installer's choice: the usual places first, then whatever directory has it.
set(_mba_directories "${_mba_prefix}/lib/${CMAKE_LIBRARY_ARCHITECTURE}" "${_mba_prefix}/lib64" "${_mba_prefix}/lib")
if(DEFINED mmap_backed_array_LIBRARY_DIR)
  set(_mba_directories "${mmap_backed_array_LIBRARY_DIR}")
endif()
foreach(_mba_kind shared static)
  set(_mba_file "libmmap_backed_array.so")
  if(_mba_kind STREQUAL "static")
    set(_mba_file "libmmap_backed_array.a")
  endif()
  set(_mba_candidates ${_mba_directories})
  list(TRANSFORM _mba_candidates APPEND "/${_mba_file}")
  if(NOT DEFINED mmap_backed_array_LIBRARY_DIR)
    file(GLOB _mba_elsewhere "${_mba_prefix}/lib*/${_mba_file}" "${_mba_prefix}/lib*/*/${_mba_file}" "${_mba_prefix}/*/${_mba_file}")
    list(APPEND _mba_candidates ${_mba_elsewhere})
  endif()
  set(mmap_backed_array_${_mba_kind}_FOUND FALSE)
  foreach(_mba_candidate IN LISTS _mba_candidates)
    if(EXISTS "${_mba_candidate}" AND NOT mmap_backed_array_${_mba_kind}_FOUND)
      set(mmap_backed_array_${_mba_kind}_FOUND TRUE)
      set(_mba_${_mba_kind}_library "${_mba_candidate}")
    endif()
  endforeach()
endforeach()

foreach(_mba_kind IN LISTS mmap_backed_array_FIND_COMPONENTS)
  if(NOT mmap_backed_array_${_mba_kind}_FOUND AND mmap_backed_array_FIND_REQUIRED_${_mba_kind})
    set(mmap_backed_array_FOUND FALSE)
    set(mmap_backed_array_NOT_FOUND_MESSAGE "there is no ${_mba_kind} library of mmap_backed_array under ${_mba_prefix}")
    return()
  endif()
endforeach()
if(NOT mmap_backed_array_shared_FOUND AND NOT mmap_backed_array_static_FOUND)
  set(mmap_backed_array_FOUND FALSE)
  set(mmap_backed_array_NOT_FOUND_MESSAGE
      "there is no library of mmap_backed_array under ${_mba_prefix}; mmap_backed_array_LIBRARY_DIR can name its directory")
  return()
endif()

# A second call finds them made.
if(NOT TARGET mmap_backed_array::mmap_backed_array)
  include("${CMAKE_CURRENT_LIST_DIR}/mmap_backed_arrayTargets.cmake")
  foreach(_mba_kind shared static)
    if(mmap_backed_array_${_mba_kind}_FOUND)
      mmap_backed_array_add_library(${_mba_kind} "" "${_mba_prefix}/include")
      set_target_properties(mmap_backed_array::${_mba_kind} PROPERTIES IMPORTED_LOCATION "${_mba_${_mba_kind}_library}")
    endif()
  endforeach()
  if(TARGET mmap_backed_array::shared)
    # The file itself and not a link to it, for install(IMPORTED_RUNTIME_ARTIFACTS) copies what it is told of.
    mmap_backed_array_soname("${mmap_backed_array_VERSION}" _mba_soname)
    get_filename_component(_mba_directory "${_mba_shared_library}" DIRECTORY)
    get_filename_component(_mba_file "${_mba_shared_library}" REALPATH)
    get_filename_component(_mba_file "${_mba_file}" NAME)
    set_target_properties(mmap_backed_array::shared PROPERTIES
      IMPORTED_LOCATION "${_mba_directory}/${_mba_file}" IMPORTED_SONAME "${_mba_soname}")
  endif()
  mmap_backed_array_choose_library("")
endif()
