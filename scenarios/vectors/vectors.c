// vectors.c: what a compiler makes of loops with AVX2, FMA and F16C, and a few intrinsics that it does not think of by itself.
//
// The same object is linked into a guest (guest.c) and into a program of the host (host.c): both must print the same lines, each the name of a
// computation and a hash of all bytes that it made. So the simulator's vectors are compared with a processor's.
#include <immintrin.h>

#include "vectors.h"
#include "console.h"

#define N 512
static float fa[N], fb[N], fc[N];
static double da[N], db[N], dc[N];
static int ia[N], ib[N], ic[N];
static short sa[N], sb[N], sc[N];
static unsigned char ba[N], bb[N], bc[N];
static long la[N], lb[N], lc[N];

static unsigned long seed = 88172645463325252;
static unsigned long next(void)
{
    seed ^= seed << 13, seed ^= seed >> 7, seed ^= seed << 17;
    return seed;
}
static void fill(void)
{
    for (int k = 0; k < N; k++) {
        fa[k] = (float)(int)next() / 65536.0f, fb[k] = (float)(int)next() / 16777216.0f, fc[k] = 1.0f / (float)(k + 1);
        da[k] = (double)(long)next() / 1e9, db[k] = (double)(int)next() / 3e5, dc[k] = 1.0 / (k + 3);
        ia[k] = (int)next(), ib[k] = (int)next(), ic[k] = k;
        sa[k] = (short)next(), sb[k] = (short)next(), sc[k] = (short)k;
        ba[k] = (unsigned char)next(), bb[k] = (unsigned char)next(), bc[k] = (unsigned char)k;
        la[k] = (long)next(), lb[k] = (long)next(), lc[k] = k;
    }
}

static void report(const char *name, const void *p, unsigned long n)
{
    unsigned long h = 0xcbf29ce484222325;
    for (unsigned long k = 0; k < n; k++)
        h = (h ^ ((const unsigned char *)p)[k]) * 0x100000001b3;
    print_text(name);
    put(' ');
    print_number(h, 16);
    put('\n');
}
#define RESULT(name, array) report(name, array, sizeof array)

static void polynomial(void) // FMA
{
    for (int k = 0; k < N; k++)
        fc[k] = ((fa[k] * fb[k] + 3.5f) * fa[k] - 2.25f) * fb[k] + fc[k];
    RESULT("polynomial-single", fc);
    for (int k = 0; k < N; k++)
        dc[k] = 7.0 - (da[k] * db[k] - 1.5) * dc[k];
    RESULT("polynomial-double", dc);
}
static void roots(void)
{
    for (int k = 0; k < N; k++)
        fc[k] = __builtin_sqrtf(fa[k] * fa[k] + fb[k] * fb[k]) / (1.0f + fc[k] * fc[k]);
    RESULT("root-single", fc);
    for (int k = 0; k < N; k++)
        dc[k] = __builtin_sqrt(da[k] * da[k] + 1.0) / (db[k] * db[k] + 0.5);
    RESULT("root-double", dc);
}
static void choose(void) // compare and blend
{
    for (int k = 0; k < N; k++)
        fc[k] = fa[k] < fb[k] ? fa[k] * 2.0f : fb[k] - fa[k];
    RESULT("choose-single", fc);
    for (int k = 0; k < N; k++)
        dc[k] = da[k] >= db[k] ? __builtin_floor(da[k]) : __builtin_ceil(db[k]);
    RESULT("choose-double", dc);
    for (int k = 0; k < N; k++)
        ic[k] = ia[k] > ib[k] ? ia[k] - ib[k] : ib[k] ^ 0x55;
    RESULT("choose-int", ic);
}
static void convert(void)
{
    for (int k = 0; k < N; k++)
        ic[k] = (int)fa[k];
    RESULT("single-to-int", ic);
    for (int k = 0; k < N; k++)
        dc[k] = (double)ia[k] * 0.125 + (double)fb[k];
    RESULT("int-to-double", dc);
    for (int k = 0; k < N; k++)
        ic[k] = sa[k] * sb[k] + ba[k];
    RESULT("short-to-int", ic);
    for (int k = 0; k < N; k++)
        fc[k] = (float)(da[k] / 1e3);
    RESULT("double-to-single", fc);
}
static void integers(void)
{
    for (int k = 0; k < N; k++)
        ic[k] = ia[k] * ib[k] + (ia[k] >> (ib[k] & 31)) + (int)((unsigned)ib[k] << (ia[k] & 31));
    RESULT("multiply-shift", ic);
    for (int k = 0; k < N; k++)
        bc[k] = (unsigned char)((ba[k] + bb[k] + 1) / 2 > 99 ? ba[k] - bb[k] : ba[k] ^ bb[k]);
    RESULT("bytes", bc);
    for (int k = 0; k < N; k++) {
        int v = sa[k] + sb[k];
        sc[k] = (short)(v > 32767 ? 32767 : v < -32768 ? -32768 : v);
    }
    RESULT("saturate", sc);
    for (int k = 0; k < N; k++)
        lc[k] = (la[k] & lb[k]) + (la[k] < lb[k] ? la[k] : ~lb[k]) + (long)((unsigned long)la[k] >> (lb[k] & 63));
    RESULT("quadwords", lc);
    long sum = 0;
    for (int k = 0; k < N; k++)
        sum += (long)ia[k] * ib[k];
    report("dot-product", &sum, sizeof sum);
}
static void matrix(void)
{
    static float a[24][24], b[24][24], c[24][24];
    for (int i = 0; i < 24; i++)
        for (int j = 0; j < 24; j++)
            a[i][j] = fa[(i * 24 + j) % N] / 1000.0f, b[i][j] = fb[(i * 7 + j * 24) % N], c[i][j] = 0;
    for (int i = 0; i < 24; i++)
        for (int k = 0; k < 24; k++)
            for (int j = 0; j < 24; j++)
                c[i][j] += a[i][k] * b[k][j];
    RESULT("matrix", c);
}
static void gathers(void)
{
    for (int k = 0; k < N; k += 8) {
        __m256i at = _mm256_and_si256(_mm256_loadu_si256((const __m256i *)(ib + k)), _mm256_set1_epi32(N - 1));
        __m256 mask = _mm256_loadu_ps(fa + k);
        _mm256_storeu_ps(fc + k, _mm256_mask_i32gather_ps(_mm256_loadu_ps(fb + k), fa, at, mask, 4));
    }
    RESULT("gather-single", fc);
    for (int k = 0; k < N; k += 4) {
        __m256i at = _mm256_and_si256(_mm256_loadu_si256((const __m256i *)(lb + k)), _mm256_set1_epi64x(N - 1));
        _mm256_storeu_si256((__m256i *)(lc + k), _mm256_i64gather_epi64((const long long *)la, at, 8));
    }
    RESULT("gather-quadword", lc);
}
static void half_precision(void)
{
    static unsigned short h[N];
    for (int k = 0; k < N; k += 8)
        _mm_storeu_si128((__m128i *)(h + k), _mm256_cvtps_ph(_mm256_loadu_ps(fa + k), _MM_FROUND_TO_NEAREST_INT));
    RESULT("to-half", h);
    for (int k = 0; k < N; k += 8)
        _mm256_storeu_ps(fc + k, _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)(h + k))));
    RESULT("from-half", fc);
}
static void masks(void)
{
    for (int k = 0; k < N; k += 8) {
        __m256i m = _mm256_loadu_si256((const __m256i *)(ib + k));
        __m256i v = _mm256_maskload_epi32(ia + k, m);
        _mm256_maskstore_epi32(ic + k, _mm256_slli_epi32(m, 1), _mm256_permutevar8x32_epi32(v, _mm256_srli_epi32(m, 7)));
    }
    RESULT("masked-moves", ic);
}
static void shuffles(void)
{
    for (int k = 0; k + 32 <= N; k += 32) {
        __m256i a = _mm256_loadu_si256((const __m256i *)(ba + k)), b = _mm256_loadu_si256((const __m256i *)(bb + k));
        __m256i r = _mm256_shuffle_epi8(a, b);
        r = _mm256_add_epi16(r, _mm256_maddubs_epi16(a, b));
        r = _mm256_xor_si256(r, _mm256_alignr_epi8(a, b, 5));
        r = _mm256_permute2x128_si256(r, _mm256_permute4x64_epi64(r, 0x39), 0x21);
        r = _mm256_add_epi64(r, _mm256_sad_epu8(a, b));
        r = _mm256_blendv_epi8(r, _mm256_mpsadbw_epu8(a, b, 0x15), b);
        _mm256_storeu_si256((__m256i *)(bc + k), r);
        seed += (unsigned)_mm256_movemask_epi8(r);
    }
    RESULT("shuffles", bc);
}

void vectors(void)
{
    for (int round = 0; round < 4; round++) {
        fill();
        polynomial();
        roots();
        choose();
        convert();
        integers();
        matrix();
        gathers();
        half_precision();
        masks();
        shuffles();
    }
    print_text("VECTORS-DONE\n");
}
