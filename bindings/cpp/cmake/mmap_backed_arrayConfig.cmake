# For find_package(mmap_backed_array CONFIG) on an installed library: the targets of mmap_backed_arrayTargets.cmake.
# COMPONENTS shared, static or both make it an error if one isn't installed.
#
# Everything is found from where this file lies, in share/cmake/mmap_backed_array under the prefix, so that the tree
# may be moved. Libraries outside the prefix are found when mmap_backed_array_LIBRARY_DIR names their directory.

get_filename_component(_prefix "${CMAKE_CURRENT_LIST_DIR}/../../.." ABSOLUTE)

# Where libraries are is the installer's choice: the usual places first, then whatever directory has it.
set(_directories "${_prefix}/lib/${CMAKE_LIBRARY_ARCHITECTURE}" "${_prefix}/lib64" "${_prefix}/lib")
if(DEFINED mmap_backed_array_LIBRARY_DIR)
  set(_directories "${mmap_backed_array_LIBRARY_DIR}")
endif()
foreach(_kind shared static)
  set(_file "libmmap_backed_array${CMAKE_SHARED_LIBRARY_SUFFIX}")
  if(_kind STREQUAL "static")
    set(_file "libmmap_backed_array${CMAKE_STATIC_LIBRARY_SUFFIX}")
  endif()
  set(_candidates ${_directories})
  list(TRANSFORM _candidates APPEND "/${_file}")
  if(NOT DEFINED mmap_backed_array_LIBRARY_DIR)
    file(GLOB _elsewhere "${_prefix}/lib*/${_file}" "${_prefix}/lib*/*/${_file}" "${_prefix}/*/${_file}")
    list(APPEND _candidates ${_elsewhere})
  endif()
  set(mmap_backed_array_${_kind}_FOUND FALSE)
  foreach(_candidate IN LISTS _candidates)
    if(EXISTS "${_candidate}" AND NOT mmap_backed_array_${_kind}_FOUND)
      set(mmap_backed_array_${_kind}_FOUND TRUE)
      set(_${_kind}_library "${_candidate}")
    endif()
  endforeach()
endforeach()

foreach(_kind IN LISTS mmap_backed_array_FIND_COMPONENTS)
  if(NOT mmap_backed_array_${_kind}_FOUND AND mmap_backed_array_FIND_REQUIRED_${_kind})
    set(mmap_backed_array_FOUND FALSE)
    set(mmap_backed_array_NOT_FOUND_MESSAGE "there is no ${_kind} library of mmap_backed_array under ${_prefix}")
    return()
  endif()
endforeach()
if(NOT mmap_backed_array_shared_FOUND AND NOT mmap_backed_array_static_FOUND)
  set(mmap_backed_array_FOUND FALSE)
  set(mmap_backed_array_NOT_FOUND_MESSAGE
      "there is no library of mmap_backed_array under ${_prefix}; mmap_backed_array_LIBRARY_DIR can name its directory")
  return()
endif()

# A second call finds them made.
if(NOT TARGET mmap_backed_array::mmap_backed_array)
  include("${CMAKE_CURRENT_LIST_DIR}/mmap_backed_arrayTargets.cmake")
  foreach(_kind shared static)
    if(mmap_backed_array_${_kind}_FOUND)
      mmap_backed_array_add_library(${_kind} "" "${_prefix}/include")
      set_target_properties(mmap_backed_array::${_kind} PROPERTIES IMPORTED_LOCATION "${_${_kind}_library}")
    endif()
  endforeach()
  if(TARGET mmap_backed_array::shared)
    # The file itself and not a link to it, for install(IMPORTED_RUNTIME_ARTIFACTS) copies what it is told of.
    mmap_backed_array_soname("${mmap_backed_array_VERSION}" _soname)
    get_filename_component(_directory "${_shared_library}" DIRECTORY)
    get_filename_component(_file "${_shared_library}" REALPATH)
    get_filename_component(_file "${_file}" NAME)
    set_target_properties(mmap_backed_array::shared PROPERTIES
      IMPORTED_LOCATION "${_directory}/${_file}" IMPORTED_SONAME "${_soname}")
  endif()
  mmap_backed_array_choose_library("")
endif()
