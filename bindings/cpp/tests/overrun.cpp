// A mistake that AddressSanitizer must see.
#include "check.hpp"

int main(int argc, char **)
{
    auto memory = std::make_unique<char[]>(8);
    volatile int beyond = 7 + argc;
    memory[static_cast<std::size_t>(beyond)] = 1;
    return 0;
}
