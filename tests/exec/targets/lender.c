/* A library with a mark and its semaphore. */
#include "mark.h"

SEMAPHORE(library, lent);

void *counter(void) { return (void *)&SEMAPHORE_OF(library, lent); }

long lend(long count) {
  long lent = 0;
  for (long i = 0; i < count; i++)
    if (ENABLED(library, lent)) {
      MARK2_WITH(library, lent, i, (short)-i);
      lent++;
    }
  return lent;
}
