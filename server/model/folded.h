/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Names that differ in case: which name of a directory does a client mean? The
 * names of large directories are kept, so that the main thread reads each of
 * them once and not for every path that is not spelt as it is stored.
 */
#ifndef ISTM_MODEL_FOLDED_H
#define ISTM_MODEL_FOLDED_H

#include <talloc.h>

/*
 * The name in the directory @fd (which it takes) that equals @name but for
 * case; of several the first in the order of bytes. Main thread.
 * @return NULL: none
 */
char *folded_find(TALLOC_CTX *mem_ctx, int fd, const char *name);

/* For tests: how often a directory has been read. */
unsigned folded_reads(void);

#endif /* ISTM_MODEL_FOLDED_H */
