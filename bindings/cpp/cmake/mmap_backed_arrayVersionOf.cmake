# The header is where CMake learns the version from, so that no other place can contradict it.

# Sets <result> to the version that the macros of <header> say.
function(mmap_backed_array_version_of header result)
  set(parts)
  foreach(part MAJOR MINOR PATCH)
    file(STRINGS "${header}" line REGEX "^#define MBA_VERSION_${part} [0-9]+$")
    string(REGEX MATCH "[0-9]+$" number "${line}")
    list(APPEND parts "${number}")
  endforeach()
  list(JOIN parts "." version)
  if(NOT version MATCHES "^[0-9]+\\.[0-9]+\\.[0-9]+$")
    message(FATAL_ERROR "mmap_backed_array: ${header} doesn't say its version")
  endif()
  set(${result} "${version}" PARENT_SCOPE)
endfunction()
