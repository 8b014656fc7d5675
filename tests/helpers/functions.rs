//! The C functions as a table, to call them by what they take: each argument is a word. It is compared with the
//! header, so that a function that is new there can't be forgotten here.

use core::ffi::{c_char, c_void};

use mmap_backed_array::capi::*;

/// What a parameter is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parameter {
    Array,
    /// A second array.
    Other,
    Path,
    PathOrNull,
    Name,
    Options,
    /// Where a handle is put.
    Handle,
    /// Where the memory of a handle that ends is put.
    Mapped,
    /// Such memory, or NULL.
    Mapping,
    /// Where a line of text is put, and the room for it.
    Buffer,
    BufferSize,
    Type,
    Flags,
    Fd,
    /// Memory for an array, and its size.
    Memory,
    Bytes,
    /// An element, or so many of them as a count says.
    Value,
    Values,
    /// Where an element is put; some functions take NULL for it.
    Place,
    PlaceOrNull,
    /// Where as many elements as a count says are put.
    Places,
    /// Where a number is put.
    Size,
    /// What a file says of itself is put there; it names its size.
    Status,
    Int,
    Index,
    Count,
    Removed,
    Stop,
    Length,
    Timeout,
    Advice,
    Code,
}

impl Parameter {
    pub fn is_pointer(self) -> bool {
        use Parameter::*;
        matches!(
            self,
            Array
                | Other
                | Path
                | PathOrNull
                | Name
                | Options
                | Handle
                | Mapped
                | Mapping
                | Buffer
                | Memory
                | Value
                | Values
                | Place
                | PlaceOrNull
                | Places
                | Size
                | Status
                | Int
        )
    }

    /// Whether the call writes there.
    pub fn is_output(self) -> bool {
        use Parameter::*;
        matches!(self, Handle | Mapped | Buffer | Place | PlaceOrNull | Places | Size | Status | Int)
    }
}

/// What a function does, as far as it decides how it fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// Needs no handle.
    Library,
    /// Makes a handle.
    Open,
    /// Says what the handle knows, and has no way to fail.
    Ask,
    /// Reads elements.
    Read,
    /// Changes elements in place.
    Set,
    /// Changes the length, or takes the lock for that.
    Change,
    /// Does nothing where there is nothing to do.
    Tend,
    /// Releases the handle.
    End,
}

pub struct Function {
    pub name: &'static str,
    pub class: Class,
    pub parameters: &'static [Parameter],
    call: unsafe fn(&mut dyn Iterator<Item = usize>) -> isize,
}

impl Function {
    /// Calls it; the answer is a code, a number or a pointer.
    ///
    /// # Safety
    /// What is passed must be what the function asks for.
    pub unsafe fn call(&self, words: &[usize]) -> isize {
        assert_eq!(words.len(), self.parameters.len(), "{}", self.name);
        // SAFETY: the caller promises it.
        unsafe { (self.call)(&mut words.iter().copied()) }
    }

    pub fn named(name: &str) -> &'static Function {
        FUNCTIONS.iter().find(|function| function.name == name).unwrap_or_else(|| panic!("{name}"))
    }
}

/// An answer, as a word.
trait Answer {
    fn word(self) -> isize;
}

macro_rules! answers {
    ($($type:ty),*) => {$(
        impl Answer for $type {
            fn word(self) -> isize {
                self as isize
            }
        }
    )*};
}

answers!(i32, u32, u64, usize, *mut c_void, *const c_char);

impl Answer for () {
    fn word(self) -> isize {
        0
    }
}

macro_rules! functions {
    ($($class:ident $name:ident($($parameter:ident),*);)*) => {
        pub static FUNCTIONS: &[Function] = &[$(Function {
            name: stringify!($name),
            class: Class::$class,
            parameters: &[$(Parameter::$parameter),*],
            call: {
                #[allow(unused_variables)]
                unsafe fn call(words: &mut dyn Iterator<Item = usize>) -> isize {
                    // Some functions are safe.
                    #[allow(unused_unsafe)]
                    // SAFETY: the caller passes what the function asks for.
                    let answer = unsafe {
                        $name($({
                            let _ = Parameter::$parameter;
                            words.next().unwrap_or_default() as _
                        }),*)
                    };
                    answer.word()
                }
                call
            },
        }),*];
    };
}

functions! {
    Library mba_version();
    Library mba_strerror(Code);
    Library mba_error_text(Code, PathOrNull, Buffer, BufferSize);
    Library mba_mapping_free(Mapping);
    Library mba_type_size(Type);
    Library mba_type_name(Type);
    Library mba_shm_unlink(Name);
    Library mba_guard_enable();
    Library mba_guard_disable();
    Library mba_info(Path, Status);
    Library mba_tidy(Path, Type, Flags);
    Open mba_open(Path, Type, Flags, Handle);
    Open mba_open_with(Path, Type, Flags, Options, Handle);
    Open mba_anon(Type, Handle);
    Open mba_anon_with(Type, Options, Handle);
    Open mba_shm_open(Name, Type, Flags, Handle);
    Open mba_shm_open_with(Name, Type, Flags, Options, Handle);
    Open mba_from_fd(Fd, Type, Flags, Handle);
    Open mba_from_fd_with(Fd, Type, Flags, Options, Handle);
    Open mba_from_memory(Memory, Bytes, Type, Flags, Handle);
    Ask mba_len(Array);
    Ask mba_capacity(Array);
    Ask mba_itemsize(Array);
    Ask mba_reserved(Array);
    Ask mba_typecode(Array);
    Ask mba_is_readonly(Array);
    Ask mba_data_ptr(Array);
    Ask mba_path(Array);
    Ask mba_fd(Array);
    Ask mba_has_lock(Array);
    Ask mba_epoch(Array);
    Read mba_get(Array, Index, Place);
    Read mba_read(Array, Index, Count, Places);
    Read mba_find(Array, Value, Index, Stop, Size);
    Read mba_count(Array, Value, Size);
    Read mba_compare(Array, Other, Int);
    Read mba_equal(Array, Other, Int);
    Read mba_is_replaced(Array, Int);
    Read mba_array_info(Array, Status);
    Read mba_advise(Array, Index, Count, Advice);
    Set mba_set(Array, Index, Value);
    Set mba_swap(Array, Index, Removed);
    Set mba_write(Array, Index, Values, Count);
    Set mba_fill(Array, Index, Count, Value);
    Set mba_reverse(Array);
    Set mba_byteswap(Array);
    Change mba_append(Array, Value);
    Change mba_pop(Array, PlaceOrNull);
    Change mba_insert(Array, Index, Value);
    Change mba_remove(Array, Index, PlaceOrNull);
    Change mba_extend(Array, Values, Count);
    Change mba_splice(Array, Index, Removed, Values, Count);
    Change mba_resize(Array, Length);
    Change mba_clear(Array);
    Change mba_reserve(Array, Length);
    Change mba_shrink_to_fit(Array);
    Change mba_commit(Array, Length);
    Change mba_lock(Array, Timeout);
    Tend mba_flush(Array);
    Tend mba_refresh(Array);
    Tend mba_unlock(Array);
    End mba_free(Array);
    End mba_close(Array);
    End mba_detach(Array, Mapped);
}

/// What the header declares: each function's name and, of each parameter, whether it is a pointer to something
/// that the call writes, a pointer to something else, or a number.
pub fn declared(header: &str) -> Vec<(String, Vec<(bool, bool)>)> {
    let mut text = String::new();
    // Before and after there are macros, structures and inline functions.
    let (_, rest) = header.split_once("extern \"C\" {").expect("the header is for C++ too");
    let (mut rest, _) = rest.split_once("}  // extern \"C\"").expect("the declarations end");
    while let Some((code, comment)) = rest.split_once("/*") {
        text += code;
        rest = comment.split_once("*/").expect("a comment ends").1;
    }
    text += rest;
    let code: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).collect();
    let code = code.join(" ");
    let declarations = code.split(';').filter(|part| part.contains('('));
    declarations
        .map(|declaration| {
            let (name, parameters) = declaration.split_once('(').unwrap();
            let name = name.split([' ', '*']).next_back().unwrap().to_owned();
            let parameters = parameters.trim_end().trim_end_matches(')');
            let parameters = parameters.split(',').filter(|text| text.trim() != "void");
            let kinds = parameters.map(|text| {
                let is_handle = text.contains("mba_array *") || text.contains("mba_mapping *");
                let handle = is_handle && !text.contains("**");
                (text.contains('*'), text.contains('*') && !text.contains("const") && !handle)
            });
            (name, kinds.collect())
        })
        .collect()
}

/// Compares the table with the header.
pub fn compare_with(header: &str) {
    let declared = declared(header);
    for (name, kinds) in &declared {
        let Some(function) = FUNCTIONS.iter().find(|function| function.name == name) else {
            panic!(
                "{name} is in the header and not in the table of functions: say there how it may be misused"
            );
        };
        let known = function.parameters.iter().map(|parameter| {
            let writes = parameter.is_output() || *parameter == Parameter::Memory;
            (parameter.is_pointer(), writes)
        });
        assert_eq!(known.collect::<Vec<_>>(), *kinds, "{name}'s parameters, by the header on the right");
    }
    assert_eq!(FUNCTIONS.len(), declared.len(), "a function is gone from the header, or twice in the table");
}

/// What every function may be called with: an array of `u32`, a second one, and something for each parameter.
pub struct Goods {
    pub array: *mut mba_array,
    pub other: *mut mba_array,
    pub path: std::ffi::CString,
    pub name: std::ffi::CString,
    pub fd: i32,
    options: mba_options,
    value: [u32; 16],
    memory: [u32; 16],
    status: mba_status,
    outputs: Outputs,
}

/// Where calls put what they have to say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Outputs {
    pub handle: *mut mba_array,
    pub mapping: *mut mba_mapping,
    pub line: [u8; 64],
    pub place: [u32; 16],
    pub size: usize,
    pub int: i32,
}

/// What stands in the outputs before a call.
pub const UNTOUCHED: Outputs = Outputs {
    handle: core::ptr::without_provenance_mut(0x5a5a_5a50),
    mapping: core::ptr::without_provenance_mut(0x5a5a_5a50),
    line: [0x5a; 64],
    place: [0x5a5a_5a5a; 16],
    size: 0x5a5a_5a5a,
    int: 0x5a5a_5a5a,
};

impl Goods {
    pub fn new(array: *mut mba_array, other: *mut mba_array, path: &str, name: &str, fd: i32) -> Box<Goods> {
        let string = |text| std::ffi::CString::new(text).expect("no NUL");
        Box::new(Goods {
            array,
            other,
            path: string(path),
            name: string(name),
            fd,
            options: mba_options { size: size_of::<mba_options>() as u32, mode: 0, reservation: 1 << 16 },
            value: [0; 16],
            memory: [8; 16],
            // SAFETY: all fields are numbers.
            status: unsafe { core::mem::zeroed() },
            outputs: UNTOUCHED,
        })
    }

    pub fn outputs(&self) -> Outputs {
        // SAFETY: a field; calls have written to it behind the compiler's back.
        unsafe { (&raw const self.outputs).read_volatile() }
    }

    /// Ends the memory of a handle that was detached, if one was.
    pub fn end_mapping(&mut self) {
        if self.outputs().mapping != UNTOUCHED.mapping {
            // SAFETY: a mapping that a call has given, which ends here.
            unsafe { mba_mapping_free(self.outputs().mapping) };
            self.outputs.mapping = UNTOUCHED.mapping;
        }
    }

    /// A word for each parameter, good if the array has an element or more.
    pub fn words(&mut self, function: &Function) -> Vec<usize> {
        use Parameter::*;
        self.outputs = UNTOUCHED;
        self.status.size = size_of::<mba_status>() as u32;
        let name = function.name;
        let word = |parameter: &Parameter| match parameter {
            Array => self.array.expose_provenance(),
            Other => self.other.expose_provenance(),
            Path | PathOrNull => self.path.as_ptr().expose_provenance(),
            Name => self.name.as_ptr().expose_provenance(),
            Options => (&raw const self.options).expose_provenance(),
            Handle => (&raw mut self.outputs.handle).expose_provenance(),
            Mapped => (&raw mut self.outputs.mapping).expose_provenance(),
            Mapping => 0,
            Buffer => (&raw mut self.outputs.line).expose_provenance(),
            BufferSize => size_of_val(&self.outputs.line),
            Type => MBA_UINT32 as usize,
            Flags if matches!(name, "mba_from_fd" | "mba_from_fd_with" | "mba_from_memory") => {
                MBA_RDWR as usize
            }
            Flags if name == "mba_tidy" => 0,
            Flags => (MBA_RDWR | MBA_CREATE) as usize,
            Fd => self.fd as usize,
            Memory => (&raw mut self.memory).expose_provenance(),
            Bytes => size_of_val(&self.memory),
            Value | Values => (&raw const self.value).expose_provenance(),
            Place | PlaceOrNull | Places => (&raw mut self.outputs.place).expose_provenance(),
            Size => (&raw mut self.outputs.size).expose_provenance(),
            Status => (&raw mut self.status).expose_provenance(),
            Int => (&raw mut self.outputs.int).expose_provenance(),
            Count | Stop => 1,
            // SAFETY: the handle exists.
            Length => unsafe { mba_len(self.array) },
            Index | Removed | Timeout | Advice | Code => 0,
        };
        function.parameters.iter().map(word).collect()
    }
}
