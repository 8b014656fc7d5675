# The targets, of an installed library and of one that is built along with a project.

# Makes mmap_backed_array::shared, ::static and ::mmap_backed_array of the directories with the headers and the files of
# the libraries, of which one may be "".
function(mmap_backed_array_targets include shared static)
    if(TARGET mmap_backed_array::mmap_backed_array)
        return()
    endif()
    # A project that is added as a subdirectory makes them for the whole, a package for who has asked for it.
    set(scope "")
    if(MMAP_BACKED_ARRAY_GLOBAL_TARGETS)
        set(scope GLOBAL)
    endif()
    if(shared)
        add_library(mmap_backed_array::shared SHARED IMPORTED ${scope})
        set_target_properties(mmap_backed_array::shared PROPERTIES
            IMPORTED_LOCATION "${shared}"
            INTERFACE_INCLUDE_DIRECTORIES "${include}")
    endif()
    if(static)
        add_library(mmap_backed_array::static STATIC IMPORTED ${scope})
        # What rustc says that its static libraries need.
        set_target_properties(mmap_backed_array::static PROPERTIES
            IMPORTED_LOCATION "${static}"
            INTERFACE_INCLUDE_DIRECTORIES "${include}"
            INTERFACE_LINK_LIBRARIES "gcc_s;util;rt;pthread;m;dl;c")
    endif()
    add_library(mmap_backed_array::mmap_backed_array INTERFACE IMPORTED ${scope})
    set(kind shared)
    if(static AND (mmap_backed_array_USE_STATIC_LIBS OR NOT shared))
        set(kind static)
    endif()
    set_target_properties(mmap_backed_array::mmap_backed_array PROPERTIES
        INTERFACE_LINK_LIBRARIES mmap_backed_array::${kind})
endfunction()
