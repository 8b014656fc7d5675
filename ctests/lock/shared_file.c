/*
 * One half of two processes that hold a file mapped at once; the other half, in Rust, is in exchange.rs, and
 * is at the other end of the socket on descriptor 0.
 */
#include "exchange.h"

int main(int argc, char **argv)
{
    begin(argc, argv);
    follow(open_u32(in_scratch("shared.u32"), MBA_RDWR), 0);
    return 0;
}
