// vectors.h: vectors() prints by put(), which the program that it is linked into defines.
#ifndef VECTORS_H
#define VECTORS_H
void put(char c);
void vectors(void);
#endif
