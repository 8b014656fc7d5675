//! The order of loads and stores, explored exhaustively under the memory model of Rust and C++20.

mod ordering {
    mod machine;
    mod litmus;

}
