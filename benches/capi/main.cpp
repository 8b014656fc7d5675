// Measures the C interface against what it competes with. Run by benches/capi.rs as
//     capi TMPFS-DIRECTORY DISK-DIRECTORY quick|full TOPIC
#include "measure.h"

#include <cstring>

int main(int argc, char **argv)
{
    if (argc != 5) return 2;
    Setting setting{argv[1], argv[2], std::strcmp(argv[3], "quick") == 0};
    const struct {
        const char *name;
        void (*run)(const Setting &);
    } topics[] = {
        {"pointer", pointer}, {"calls", calls},     {"bulk", bulk},
        {"append", append},   {"opening", opening}, {"anonymous", anonymous},
        {"refresh", refresh}, {"lock", lock},       {"crowd", crowd},
    };
    for (const auto &topic : topics) {
        if (std::strcmp(argv[4], topic.name) == 0) {
            topic.run(setting);
            return 0;
        }
    }
    return 2;
}
