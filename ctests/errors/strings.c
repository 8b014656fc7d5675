/* What the library says about itself: its version, and a text for every code. */
#include "check.h"

int main(int argc, char **argv)
{
    static const int own[] = {
        MBA_ETYPE,  MBA_EINDEX,   MBA_EEMPTY,   MBA_ENOTFOUND,  MBA_EREADONLY, MBA_ELOCKED,
        MBA_ELIMIT, MBA_EPARTIAL, MBA_ECORRUPT, MBA_ETRUNCATED, MBA_EFIXED,    MBA_EPANIC,
    };
    enum { OWN = sizeof own / sizeof own[0] };
    const char *unknown;
    int at, other, code;
    begin(argc, argv);

    EQ(mba_version(), MBA_VERSION);
    CHECK(strcmp(mba_strerror(MBA_OK), "Success") == 0);
    unknown = mba_strerror(-1);
    CHECK(unknown != NULL && unknown[0] != 0);

    for (at = 0; at < OWN; at++) {
        const char *text = mba_strerror(own[at]);
        CHECK(own[at] < 0);
        CHECK(text != NULL && strlen(text) > 5);
        CHECK(strcmp(text, unknown) != 0);
        CHECK(text == mba_strerror(own[at])); /* static */
        for (other = 0; other < at; other++) {
            CHECK(own[at] != own[other]);
            CHECK(strcmp(text, mba_strerror(own[other])) != 0);
        }
    }

    /* The system's codes have the system's texts, in English whatever the language. */
    for (code = 1; code < 200; code++) {
        const char *theirs = strerror(code);
        CHECK(mba_strerror(code) != NULL);
        /* Of a wait that ran out the system says "Connection timed out". */
        if (strncmp(theirs, "Unknown", 7) != 0 && code != ETIMEDOUT) {
            CHECK(strcmp(mba_strerror(code), theirs) == 0);
        }
    }
    for (code = -5000; code < 5000; code++) {
        CHECK(mba_strerror(code) != NULL);
    }
    CHECK(strcmp(mba_strerror(2147483647), unknown) == 0);
    CHECK(strcmp(mba_strerror(-2147483647 - 1), unknown) == 0);
    CHECK(strcmp(mba_strerror(-100), unknown) == 0);
    CHECK(strcmp(mba_strerror(MBA_EPANIC - 1), unknown) == 0);
    return 0;
}
