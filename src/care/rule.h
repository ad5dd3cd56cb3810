/* Which members are worth a defragmentation: a condition over one member's sizes, in the
 * language of etcd-defrag.
 *
 *     dbQuotaUsage > 0.8 || dbSizeFree > 200MiB
 *     dbSize - dbSizeInUse > 100*1024*1024 && dbSizeFree*100/dbSize >= 45
 *
 * Variables: dbSize, dbSizeInUse, dbSizeFree and dbQuota in bytes, dbQuotaUsage from 0 to
 * 1. Operators, the weakest first: || && (== !=) (< <= > >=) (+ -) (* / %) and the
 * unary ! and -. Parentheses; numbers may have a fraction or a unit of size. All numbers
 * are floating point, so 1/2 is a half; only % takes whole ones. What is divided by zero
 * is not a number, and every comparison with it is false. Pure. */
#ifndef CARE_RULE_H
#define CARE_RULE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/err.h"

struct care_rule_facts {
    uint64_t size, in_use;
    uint64_t quota; /* 0: not known */
};

enum { CARE_RULE_STEPS_MAX = 128, CARE_RULE_DEPTH_MAX = 32 };

/* A program for a stack machine: operands first. */
struct care_rule_step {
    enum care_rule_op {
        CARE_RULE_NUMBER,
        CARE_RULE_VARIABLE,
        CARE_RULE_OR,
        CARE_RULE_AND,
        CARE_RULE_EQ,
        CARE_RULE_NE,
        CARE_RULE_LT,
        CARE_RULE_LE,
        CARE_RULE_GT,
        CARE_RULE_GE,
        CARE_RULE_ADD,
        CARE_RULE_SUB,
        CARE_RULE_MUL,
        CARE_RULE_DIV,
        CARE_RULE_MOD,
        CARE_RULE_NOT,
        CARE_RULE_NEG,
    } op;
    double number;
    unsigned variable;
};
struct care_rule {
    struct care_rule_step steps[CARE_RULE_STEPS_MAX];
    size_t count;
    bool needs_quota; /* then it cannot be judged without one */
};

/* RC_USAGE says where and why. A rule is a condition: a bare number is refused, and so is
 * arithmetic with conditions. */
enum rc care_rule_parse(const char *text, struct care_rule *out, struct err *e);

bool care_rule_holds(const struct care_rule *r, const struct care_rule_facts *f);

#endif
