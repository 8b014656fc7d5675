# The targets, the same ones for an installed library and for one that is built from its sources:
#
#   mmap_backed_array::shared             the shared library
#   mmap_backed_array::static             the static library, with what it needs of the system
#   mmap_backed_array::mmap_backed_array  one of them. The shared one if there is one, unless the variable
#                                         mmap_backed_array_SHARED_LIBS, or if that isn't set BUILD_SHARED_LIBS, is
#                                         false when the targets are made

# What rustc says that its static libraries need, and mmap_backed_array.pc as Libs.private; but for gcc_s, which
# compilers add by themselves in the form that the program wants: there is none for -static.
set(_mmap_backed_array_system_libraries util rt pthread m dl c)

# Sets <result> to the name that the shared library of <version> has in itself, and that the loader looks for.
function(mmap_backed_array_soname version result)
  string(REGEX MATCH "^0\\.[0-9]+|^[0-9]+" abi "${version}")
  set(${result} "libmmap_backed_array.so.${abi}" PARENT_SCOPE)
endfunction()

# Makes the target of one <kind> of library, shared or static. Where the file lies is for the caller to add.
function(mmap_backed_array_add_library kind scope)
  string(TOUPPER ${kind} type)
  add_library(mmap_backed_array::${kind} ${type} IMPORTED ${scope})
  set_target_properties(mmap_backed_array::${kind} PROPERTIES INTERFACE_INCLUDE_DIRECTORIES "${ARGN}")
  if(kind STREQUAL "static")
    target_link_libraries(mmap_backed_array::static INTERFACE ${_mmap_backed_array_system_libraries})
  endif()
endfunction()

# Makes the target that is one of the two, when they are there.
function(mmap_backed_array_choose_library scope)
  set(shared ON)
  if(DEFINED mmap_backed_array_SHARED_LIBS)
    set(shared ${mmap_backed_array_SHARED_LIBS})
  elseif(DEFINED BUILD_SHARED_LIBS)
    set(shared ${BUILD_SHARED_LIBS})
  endif()
  if(TARGET mmap_backed_array::shared AND (shared OR NOT TARGET mmap_backed_array::static))
    set(chosen shared)
  else()
    set(chosen static)
  endif()
  add_library(mmap_backed_array::mmap_backed_array INTERFACE IMPORTED ${scope})
  target_link_libraries(mmap_backed_array::mmap_backed_array INTERFACE mmap_backed_array::${chosen})
endfunction()
