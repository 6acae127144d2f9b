#include "capstone_library.h"

/* clang-format off */
#define CAPSTONE_FUNCTIONS(F) F(cs_close) F(cs_disasm_iter) F(cs_free) F(cs_malloc) F(cs_open)
/* clang-format on */

LIBRARY(capstone_library, CAPSTONE_LIBRARY, CAPSTONE_FUNCTIONS)
