// nothing: what starting and stopping costs; subtracted from the others.
void bench(void) {}
