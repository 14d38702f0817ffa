// sim/dev_rtc.c: the MC146818 real-time clock and its CMOS memory, ports 70H and 71H, interrupt line 8.
//
// MODELS     time and calendar (BCD or binary, 12 or 24 hours), alarm with "don't care" bytes, periodic, alarm and update-ended interrupts,
//            update-in-progress, the SET bit, 114 bytes of memory with the sizes that a PC's firmware leaves there.
// TIME       seconds = start + cycles / frequency: the wall clock is never read. The divider is not reset by SET: the next second comes where
//            it would have come.
// SOURCE     Motorola MC146818 data sheet.
#include <stdlib.h>
#include <string.h>

#include "sim/dev_pc.h"
#include "sim/internal.h"

#define RTC_SECOND  0x00
#define RTC_MINUTE  0x02
#define RTC_HOUR    0x04
#define RTC_WEEKDAY 0x06
#define RTC_DAY     0x07
#define RTC_MONTH   0x08
#define RTC_YEAR    0x09
#define RTC_A       0x0a
#define RTC_B       0x0b
#define RTC_C       0x0c
#define RTC_D       0x0d
#define RTC_CENTURY 0x32
#define B_SET       0x80u
#define B_PIE       0x40u
#define B_AIE       0x20u
#define B_UIE       0x10u
#define B_BINARY    0x04u
#define B_24        0x02u
#define C_IRQF      0x80u
#define RTC_IRQ     8
#define DAY         86400
#define RTC_START   1704067200 // 2024-01-01 00:00:00, a Monday

struct rtc {
    struct dev d;
    uint8_t index;
    uint8_t mem[128]; // registers A to D, alarms and memory; the clock itself is `base`
    int64_t base;     // seconds since 1970 at cycle 0
    int64_t frozen;   // the time shown while SET is on
    uint64_t seen;    // cycle up to which flags of register C are accounted for
    bool level;
};

// --- calendar

struct when {
    unsigned second, minute, hour, weekday, day, month, year; // weekday 1 = Sunday, month 1..12, year in full
};

// Days since 1970-01-01 of a date of the Gregorian calendar; years are counted from March, so that the leap day comes last.
static int64_t days_of(int64_t year, unsigned month, unsigned day)
{
    int64_t y = year - (month <= 2), era = (y >= 0 ? y : y - 399) / 400, yoe = y - era * 400;
    int64_t doy = (153 * (int64_t)(month > 2 ? month - 3 : month + 9) + 2) / 5 + (int64_t)day - 1;
    return era * 146097 + yoe * 365 + yoe / 4 - yoe / 100 + doy - 719468;
}

static struct when split(int64_t t)
{
    int64_t days = t >= 0 ? t / DAY : (t - DAY + 1) / DAY, s = t - days * DAY, z = days + 719468;
    int64_t era = (z >= 0 ? z : z - 146096) / 146097, doe = z - era * 146097;
    int64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365, doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    int64_t mp = (5 * doy + 2) / 153, month = mp < 10 ? mp + 3 : mp - 9;
    return (struct when){.second = (unsigned)(s % 60),
                         .minute = (unsigned)(s / 60 % 60),
                         .hour = (unsigned)(s / 3600),
                         .weekday = (unsigned)(((days + 4) % 7 + 7) % 7) + 1,
                         .day = (unsigned)(doy - (153 * mp + 2) / 5 + 1),
                         .month = (unsigned)month,
                         .year = (unsigned)(yoe + era * 400 + (month <= 2))};
}

static int64_t join(const struct when *w)
{
    return days_of(w->year, w->month, w->day) * DAY + (int64_t)w->hour * 3600 + (int64_t)w->minute * 60 + (int64_t)w->second;
}

// --- register formats

static uint8_t encode(const struct rtc *r, unsigned v) { return (uint8_t)(r->mem[RTC_B] & B_BINARY ? v : v / 10 << 4 | v % 10); }
static unsigned decode(const struct rtc *r, uint8_t v) { return r->mem[RTC_B] & B_BINARY ? v : (v >> 4) * 10u + (v & 15); }

static uint8_t encode_hour(const struct rtc *r, unsigned h)
{
    if (r->mem[RTC_B] & B_24)
        return encode(r, h);
    return (uint8_t)(encode(r, h % 12 ? h % 12 : 12) | (h >= 12 ? 0x80 : 0));
}
static unsigned decode_hour(const struct rtc *r, uint8_t v)
{
    if (r->mem[RTC_B] & B_24)
        return decode(r, v);
    return decode(r, v & 0x7f) % 12 + (v & 0x80 ? 12 : 0);
}

static int64_t seconds_at(const struct rtc *r, uint64_t cycle)
{
    return r->mem[RTC_B] & B_SET ? r->frozen : r->base + (int64_t)(cycle / dev_hz(&r->d));
}

static uint8_t read_clock(const struct rtc *r, unsigned reg)
{
    struct when w = split(seconds_at(r, dev_now(&r->d)));
    switch (reg) {
    case RTC_SECOND: return encode(r, w.second);
    case RTC_MINUTE: return encode(r, w.minute);
    case RTC_HOUR: return encode_hour(r, w.hour);
    case RTC_WEEKDAY: return encode(r, w.weekday);
    case RTC_DAY: return encode(r, w.day);
    case RTC_MONTH: return encode(r, w.month);
    case RTC_YEAR: return encode(r, w.year % 100);
    default: return (uint8_t)(w.year / 100 / 10 << 4 | w.year / 100 % 10);
    }
}

static void write_clock(struct rtc *r, unsigned reg, uint8_t v)
{
    uint64_t now = dev_now(&r->d);
    struct when w = split(seconds_at(r, now));
    unsigned n = decode(r, v);
    switch (reg) {
    case RTC_SECOND: w.second = n % 60; break;
    case RTC_MINUTE: w.minute = n % 60; break;
    case RTC_HOUR: w.hour = decode_hour(r, v) % 24; break;
    case RTC_WEEKDAY: return; // follows from the date
    case RTC_DAY: w.day = n >= 1 && n <= 31 ? n : 1; break;
    case RTC_MONTH: w.month = n >= 1 && n <= 12 ? n : 1; break;
    case RTC_YEAR: w.year = w.year / 100 * 100 + n % 100; break;
    default: w.year = ((v >> 4) * 10u + (v & 15)) * 100 + w.year % 100; break;
    }
    if (r->mem[RTC_B] & B_SET)
        r->frozen = join(&w);
    else
        r->base = join(&w) - (int64_t)(now / dev_hz(&r->d));
}

static bool is_clock(unsigned reg)
{
    return (reg <= RTC_YEAR && reg != RTC_SECOND + 1 && reg != RTC_MINUTE + 1 && reg != RTC_HOUR + 1) || reg == RTC_CENTURY;
}

// --- interrupts

// Periods of the periodic interrupt per second; 0: off.
static unsigned rate(const struct rtc *r)
{
    unsigned rs = r->mem[RTC_A] & 15;
    return rs == 0 ? 0 : rs <= 2 ? 256u >> (rs - 1) : 65536u >> rs;
}

static uint64_t periods(const struct rtc *r, uint64_t cycle)
{
    return (uint64_t)((unsigned __int128)cycle * rate(r) / dev_hz(&r->d));
}

static bool alarm_at(const struct rtc *r, int64_t t)
{
    struct when w = split(t);
    const uint8_t *a = r->mem;
    return (a[1] >= 0xc0 || decode(r, a[1]) == w.second) && (a[3] >= 0xc0 || decode(r, a[3]) == w.minute) &&
           (a[5] >= 0xc0 || decode_hour(r, a[5]) == w.hour);
}

// Flags of register C for what happened since the last look.
static void catch_up(struct rtc *r)
{
    uint64_t now = dev_now(&r->d), hz = dev_hz(&r->d);
    if (rate(r) && periods(r, now) != periods(r, r->seen))
        r->mem[RTC_C] |= B_PIE;
    uint64_t s = now / hz - r->seen / hz;
    if (s && !(r->mem[RTC_B] & B_SET)) {
        r->mem[RTC_C] |= B_UIE;
        for (uint64_t k = 0; k < (s < DAY ? s : DAY) && !(r->mem[RTC_C] & B_AIE); k++)
            if (alarm_at(r, seconds_at(r, now) - (int64_t)k))
                r->mem[RTC_C] |= B_AIE;
    }
    r->seen = now;
}

static void update(struct rtc *r)
{
    uint64_t next = UINT64_MAX, hz = dev_hz(&r->d);
    catch_up(r);
    unsigned on = r->mem[RTC_B], have = r->mem[RTC_C];
    bool level = on & have & (B_PIE | B_AIE | B_UIE);
    r->mem[RTC_C] = (uint8_t)((have & ~C_IRQF) | (level ? C_IRQF : 0));
    if (level != r->level) {
        r->level = level;
        dev_irq(&r->d, RTC_IRQ, level);
    }
    if ((on & B_PIE) && !(have & B_PIE) && rate(r))
        next = (uint64_t)(((unsigned __int128)(periods(r, r->seen) + 1) * hz + rate(r) - 1) / rate(r));
    if (((on & ~have) & (B_UIE | B_AIE)) && !(on & B_SET) && (r->seen / hz + 1) * hz < next)
        next = (r->seen / hz + 1) * hz;
    dev_set_deadline(&r->d, next);
}

static void rtc_deadline(struct dev *d) { update((struct rtc *)d); }

// --- ports

static uint8_t read_register(struct rtc *r, unsigned reg)
{
    if (is_clock(reg))
        return read_clock(r, reg);
    uint64_t hz = dev_hz(&r->d);
    uint8_t v;
    switch (reg) {
    case RTC_A: // an update is under way in the last 244 us of a second
        return (uint8_t)(r->mem[RTC_A] | (!(r->mem[RTC_B] & B_SET) && dev_now(&r->d) % hz >= hz - hz * 244 / 1000000 ? 0x80 : 0));
    case RTC_C:
        update(r);
        v = r->mem[RTC_C];
        r->mem[RTC_C] = 0;
        update(r);
        return v;
    default: return r->mem[reg];
    }
}

static void write_register(struct rtc *r, unsigned reg, uint8_t v)
{
    if (is_clock(reg)) {
        write_clock(r, reg, v);
        return;
    }
    catch_up(r);
    if (reg == RTC_B && ((v ^ r->mem[RTC_B]) & B_SET)) {
        if (v & B_SET)
            r->frozen = seconds_at(r, dev_now(&r->d));
        else
            r->base = r->frozen - (int64_t)(dev_now(&r->d) / dev_hz(&r->d));
    }
    if (reg == RTC_A)
        v &= 0x7f;
    if (reg == RTC_B && (v & B_SET))
        v &= (uint8_t)~B_UIE; // the data sheet: SET clears UIE
    if (reg != RTC_C && reg != RTC_D)
        r->mem[reg] = v;
    update(r);
}

static uint64_t rtc_read(struct dev *d, unsigned range, uint64_t off, unsigned size)
{
    struct rtc *r = (struct rtc *)d;
    return off ? read_register(r, r->index) : 0xff; // the index port is write-only
}

static void rtc_write(struct dev *d, unsigned range, uint64_t off, unsigned size, uint64_t val)
{
    struct rtc *r = (struct rtc *)d;
    if (!off)
        r->index = val & 0x7f; // bit 7 masks NMI, which nothing raises
    else
        write_register(r, r->index, (uint8_t)val);
    if (size == 2 && !off)
        write_register(r, r->index, (uint8_t)(val >> 8));
}

// --- life

static void put16(struct rtc *r, unsigned at, uint64_t v)
{
    v = v > 0xffff ? 0xffff : v;
    r->mem[at] = (uint8_t)v;
    r->mem[at + 1] = (uint8_t)(v >> 8);
}

// What a firmware leaves: 640 KB, the KB above 1 MB (two places), the 64-KB units above 16 MB and above 4 GB.
static void memory_sizes(struct rtc *r)
{
    uint64_t ram = r->d.m->ram.size, low = ram < RAM_HOLE_START ? ram : RAM_HOLE_START, high = (ram - low) >> 16;
    put16(r, 0x15, 640);
    put16(r, 0x17, (low - 0x100000) >> 10);
    put16(r, 0x30, (low - 0x100000) >> 10);
    put16(r, 0x34, low > 0x1000000 ? (low - 0x1000000) >> 16 : 0);
    put16(r, 0x5b, high);
    r->mem[0x5d] = (uint8_t)(high >> 16);
    r->mem[0x14] = 0x06; // equipment: FPU, no display adapter of the first kind, no diskette
}

static void rtc_reset(struct dev *d)
{
    struct rtc *r = (struct rtc *)d;
    memset(r->mem, 0, sizeof r->mem);
    r->index = 0;
    r->mem[RTC_A] = 0x26; // 32768 Hz, 1024 periods per second
    r->mem[RTC_B] = B_24;
    r->mem[RTC_D] = 0x80; // battery good
    r->base = d->m->cfg.rtc_start ? (int64_t)d->m->cfg.rtc_start : RTC_START;
    r->seen = 0;
    r->level = false;
    memory_sizes(r);
}

static uint64_t rtc_hash(const struct dev *d, uint64_t h)
{
    const struct rtc *r = (const struct rtc *)d;
    const uint64_t flat[] = {r->index, (uint64_t)r->base, (uint64_t)r->frozen, r->level};
    return dev_hash_bytes(dev_hash_bytes(h, flat, sizeof flat), r->mem, sizeof r->mem);
}

static const struct dev_ops rtc_ops = {
    .name = "rtc", .reset = rtc_reset, .read = rtc_read, .write = rtc_write, .deadline = rtc_deadline, .hash = rtc_hash};

struct dev *dev_rtc_attach(struct sim_machine *m)
{
    struct rtc *r = calloc(1, sizeof *r);
    if (!r)
        return NULL;
    r->d.ops = &rtc_ops;
    dev_attach(m, &r->d);
    rtc_reset(&r->d);
    dev_map_port(&r->d, 0, 0x70, 2);
    return &r->d;
}
