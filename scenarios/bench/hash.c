// hash: FNV-1a over a small buffer: a dependent chain of XOR and multiply.
static unsigned char text[4096];
volatile unsigned long result;
void bench(void)
{
    unsigned long h = 0xcbf29ce484222325;
    for (int round = 0; round < 10000; round++)
        for (unsigned i = 0; i < sizeof text; i++)
            h = (h ^ text[i]) * 0x100000001b3;
    result = h;
}
