# What `cmake --install` does: the files that `cargo cinstall` installs, by the names that it gives them.
include(GNUInstallDirs)

# The CMake package finds the rest from where it is itself, and can't know what else was asked for.
if(NOT CMAKE_INSTALL_INCLUDEDIR STREQUAL "include")
  message(FATAL_ERROR "mmap_backed_array installs its headers in include, and not in ${CMAKE_INSTALL_INCLUDEDIR}")
endif()
install(FILES include/mmap_backed_array.h bindings/cpp/mmap_backed_array.hpp DESTINATION include)
install(DIRECTORY bindings/cpp/cmake/ DESTINATION share/cmake/mmap_backed_array)
install(FILES LICENSE-APACHE LICENSE-MIT DESTINATION share/doc/mmap_backed_array)

# The file has the whole version in its name, and the names that the loader and the linker ask for are links to it.
set(real_name "libmmap_backed_array.so.${PROJECT_VERSION}")
set(links "${CMAKE_CURRENT_BINARY_DIR}/links")
file(MAKE_DIRECTORY "${links}")
foreach(link IN ITEMS "${soname}" "${shared_name}")
  file(CREATE_LINK "${real_name}" "${links}/${link}" SYMBOLIC)
endforeach()
install(PROGRAMS "${directory_of_build}/${soname}" RENAME "${real_name}" DESTINATION "${CMAKE_INSTALL_LIBDIR}")
install(FILES "${links}/${soname}" "${links}/${shared_name}" "${directory_of_build}/${static_name}"
        DESTINATION "${CMAKE_INSTALL_LIBDIR}")

# Written when it is installed, since `cmake --install --prefix` may name another prefix then.
set(pc "${CMAKE_CURRENT_BINARY_DIR}/mmap_backed_array.pc")
list(TRANSFORM _mmap_backed_array_system_libraries PREPEND "-l" OUTPUT_VARIABLE private)
list(JOIN private " " private)
set(libdir "${CMAKE_INSTALL_LIBDIR}")
if(NOT IS_ABSOLUTE "${libdir}")
  set(libdir "\${prefix}/${libdir}")
endif()
install(CODE "
  set(version [[${PROJECT_VERSION}]])
  set(libdir [[${libdir}]])
  set(private [[${private}]])
  configure_file([[${CMAKE_CURRENT_SOURCE_DIR}/include/mmap_backed_array.pc.in]] [[${pc}]] @ONLY)")
install(FILES "${pc}" DESTINATION "${CMAKE_INSTALL_LIBDIR}/pkgconfig")
