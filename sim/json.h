// sim/json.h: strings of JSON documents, written to a stream.
#ifndef SIM_JSON_H
#define SIM_JSON_H

#include <stdio.h>

// s as a JSON string with its quotes. Bytes that are no part of UTF-8 text become U+FFFD.
void json_string(FILE *f, const char *s);

#endif
