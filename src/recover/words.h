/* The sentences of a verdict, once all of its facts are there. */
#ifndef RECOVER_WORDS_H
#define RECOVER_WORDS_H

#include "recover/judge.h"

/* Sets why, next and notes. */
enum rc recover_words(const struct recover_scene *s, struct recover_verdict *v,
                      struct err *e);

#endif
