// Fuzzing the GDB server: bytes as they come, or packet bodies one to a line, against a small guest. Nothing that the other side sends
// may crash the simulator or keep it busy.
#include <stdlib.h>
#include <string.h>

#include "sim/gdb_internal.h"
#include "sim/loader.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

struct feed {
    const uint8_t *p, *end;
    bool framed;
};

static long one_line(struct feed *f, char *buf, unsigned n)
{
    const uint8_t *end = memchr(f->p, '\n', (size_t)(f->end - f->p));
    size_t len = (size_t)((end ? end : f->end) - f->p);
    uint8_t sum = 0;
    unsigned k = 0;
    buf[k++] = '$';
    for (size_t i = 0; i < len && k < n - 3; i++) {
        buf[k++] = (char)f->p[i];
        sum = (uint8_t)(sum + f->p[i]);
    }
    buf[k++] = '#';
    buf[k++] = "0123456789abcdef"[sum >> 4];
    buf[k++] = "0123456789abcdef"[sum & 15];
    f->p += len + (end != NULL);
    return k;
}

static long feed_read(void *ctx, void *buf, unsigned n, int ms)
{
    struct feed *f = ctx;
    if (f->p == f->end)
        return ms ? -1 : 0;
    if (f->framed)
        return ms ? one_line(f, buf, n) : 0;
    size_t part = (size_t)(f->end - f->p) < n ? (size_t)(f->end - f->p) : n;
    memcpy(buf, f->p, part);
    f->p += part;
    return (long)part;
}
static bool feed_write(void *ctx, const void *buf, unsigned n) { return true; }

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static const uint8_t code[] = {0xb9, 3, 0, 0, 0, 0xff, 0x04, 0x25, 0, 0, 0x11, 0, 0xe2, 0xf7, 0xeb, 0xf0};
    struct sim_error err;
    if (!n)
        return 0;
    struct sim_machine *m = sim_create(&(struct sim_config){.ram_bytes = 2 << 20}, &err);
    struct sim_load l = {.image = SIM_IMAGE_FLAT, .start = data[0] & 2 ? SIM_START_REAL : SIM_START_LONG64};
    l.addr = l.start == SIM_START_REAL ? 0x7c00 : 0x100000;
    if (!m || sim_load_bytes(m, "fuzz", code, sizeof code, &l, NULL, &err) < 0)
        abort();
    struct feed f = {data + 1, data + n, data[0] & 1};
    const struct gdb_io io = {&f, feed_read, feed_write};
    struct gdb *g = gdb_create(&io, NULL, NULL);
    bool quit = false;
    if (!g)
        abort();
    gdb_drive(g, m, &(struct sim_until){.max_insns = 3000, .max_cycles = 10000000}, &quit);
    gdb_finish(g, 0);
    gdb_destroy(g);
    sim_destroy(m);
    return 0;
}
