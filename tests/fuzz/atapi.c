/*
 * A CD drive (and a disk) on a channel, used by a hostile guest. Input: ide_stream.h.
 */
#include "ide_stream.h"

int LLVMFuzzerTestOneInput(const u8 *data, size_t bytes)
{
    static struct ide_stream stream;
    stream_run(&stream, IDE_CDROM, data, bytes);
    return 0;
}
