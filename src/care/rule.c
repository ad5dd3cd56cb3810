#include "care/rule.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util/str.h"

enum type { NUMBER, CONDITION };
static const char *const type_names[] = { "a number", "a condition" };

enum variable { SIZE, IN_USE, SIZE_FREE, QUOTA, QUOTA_USAGE };
static const char *const variables[] = {
    [SIZE] = "dbSize",   [IN_USE] = "dbSizeInUse",       [SIZE_FREE] = "dbSizeFree",
    [QUOTA] = "dbQuota", [QUOTA_USAGE] = "dbQuotaUsage",
};

/* Longer names first where one begins another. `weight`: the higher, the tighter. */
static const struct operation {
    const char *sign;
    int weight;
    enum care_rule_op op;
    enum type takes, gives;
} operators[] = {
    { "||", 1, CARE_RULE_OR, CONDITION, CONDITION },
    { "&&", 2, CARE_RULE_AND, CONDITION, CONDITION },
    { "==", 3, CARE_RULE_EQ, NUMBER, CONDITION },
    { "!=", 3, CARE_RULE_NE, NUMBER, CONDITION },
    { "<=", 4, CARE_RULE_LE, NUMBER, CONDITION },
    { ">=", 4, CARE_RULE_GE, NUMBER, CONDITION },
    { "<", 4, CARE_RULE_LT, NUMBER, CONDITION },
    { ">", 4, CARE_RULE_GT, NUMBER, CONDITION },
    { "+", 5, CARE_RULE_ADD, NUMBER, NUMBER },
    { "-", 5, CARE_RULE_SUB, NUMBER, NUMBER },
    { "*", 6, CARE_RULE_MUL, NUMBER, NUMBER },
    { "/", 6, CARE_RULE_DIV, NUMBER, NUMBER },
    { "%", 6, CARE_RULE_MOD, NUMBER, NUMBER },
};

struct parser {
    const char *text, *at;
    struct care_rule *rule;
    unsigned depth;
};

static void skip_blanks(struct parser *p)
{
    p->at += strspn(p->at, " \t\n");
}

static enum rc bad(const struct parser *p, const char *at, const char *what,
                   struct err *e)
{
    return err_set(e, RC_USAGE,
                   "the rule is wrong at character %zu: %s" HINT
                   "such as 'dbQuotaUsage > 0.8 || dbSizeFree > 200MiB'",
                   (size_t)(at - p->text) + 1, what);
}

static enum rc emit(struct parser *p, struct care_rule_step step, struct err *e)
{
    if (p->rule->count == CARE_RULE_STEPS_MAX)
        return bad(p, p->at, "it is too long", e);
    p->rule->steps[p->rule->count++] = step;
    return RC_OK;
}

static enum rc expect(const struct parser *p, const char *at, enum type want,
                      enum type got, struct err *e)
{
    char what[80];

    if (want == got)
        return RC_OK;
    snprintf(what, sizeof what, "%s is needed here, and this is %s", type_names[want],
             type_names[got]);
    return bad(p, at, what, e);
}

static bool take_number(const char *word, double *out)
{
    uint64_t bytes, whole;
    char *end;

    if (str_to_u64(word, &whole)) {
        *out = (double)whole;
        return true;
    }
    if (strspn(word, "0123456789.") == strlen(word)) {
        *out = strtod(word, &end);
        return *end == '\0' && end != word;
    }
    if (!str_to_size(word, &bytes))
        return false;
    *out = (double)bytes;
    return true;
}

static bool take_variable(const char *word, unsigned *out)
{
    for (unsigned i = 0; i < sizeof variables / sizeof *variables; i++)
        if (strcmp(word, variables[i]) == 0) {
            *out = i;
            return true;
        }
    return false;
}

static enum rc parse_word(struct parser *p, enum type *type, struct err *e)
{
    struct care_rule_step step = { .op = CARE_RULE_NUMBER };
    const char *begin = p->at;
    char word[40];
    size_t n = 0;

    while (isalnum((unsigned char)begin[n]) || begin[n] == '.' || begin[n] == '_')
        n++;
    if (n == 0)
        return bad(p, begin, *begin == '\0' ? "it ends too early" : "a value is needed",
                   e);
    snprintf(word, sizeof word, "%.*s", n < sizeof word ? (int)n : (int)sizeof word - 1,
             begin);
    if (isdigit((unsigned char)*word) || *word == '.') {
        if (n >= sizeof word || !take_number(word, &step.number))
            return bad(p, begin, "this is no number", e);
    } else if (take_variable(word, &step.variable)) {
        step.op = CARE_RULE_VARIABLE;
        if (step.variable == QUOTA || step.variable == QUOTA_USAGE)
            p->rule->needs_quota = true;
    } else {
        return bad(p, begin,
                   "there are dbSize, dbSizeInUse, dbSizeFree, dbQuota and dbQuotaUsage",
                   e);
    }
    p->at += n;
    *type = NUMBER;
    return emit(p, step, e);
}

static enum rc parse_from(struct parser *p, int weight, enum type *type, struct err *e);

static enum rc parse_unary(struct parser *p, enum type *type, struct err *e)
{
    const char *begin = p->at;
    bool no = *begin == '!';

    p->at++;
    skip_blanks(p);
    TRY(parse_from(p, 7, type, e));
    TRY(expect(p, begin, no ? CONDITION : NUMBER, *type, e));
    return emit(p, (struct care_rule_step){ .op = no ? CARE_RULE_NOT : CARE_RULE_NEG },
                e);
}

static enum rc parse_group(struct parser *p, enum type *type, struct err *e)
{
    const char *begin = p->at++;

    TRY(parse_from(p, 1, type, e));
    if (*p->at != ')')
        return bad(p, begin, "this parenthesis is never closed", e);
    p->at++;
    return RC_OK;
}

static enum rc parse_one(struct parser *p, enum type *type, struct err *e)
{
    skip_blanks(p);
    if (*p->at == '!' || *p->at == '-')
        return parse_unary(p, type, e);
    if (*p->at == '(')
        return parse_group(p, type, e);
    return parse_word(p, type, e);
}

static const struct operation *next_operator(const struct parser *p)
{
    for (size_t i = 0; i < sizeof operators / sizeof *operators; i++)
        if (strncmp(p->at, operators[i].sign, strlen(operators[i].sign)) == 0)
            return &operators[i];
    return NULL;
}

/* Conditions may be compared for being the same. */
static bool compares(const struct operation *o)
{
    return o->op == CARE_RULE_EQ || o->op == CARE_RULE_NE;
}

static enum rc parse_operators(struct parser *p, int weight, enum type *type,
                               struct err *e)
{
    const char *left = p->at;

    TRY(parse_one(p, type, e));
    for (;;) {
        const struct operation *o;
        enum type takes, right = NUMBER;

        skip_blanks(p);
        o = next_operator(p);
        if (o == NULL || o->weight < weight)
            return RC_OK;
        takes = compares(o) ? *type : o->takes;
        TRY(expect(p, left, takes, *type, e));
        p->at += strlen(o->sign);
        skip_blanks(p);
        left = p->at;
        TRY(parse_from(p, o->weight + 1, &right, e));
        TRY(expect(p, left, takes, right, e));
        TRY(emit(p, (struct care_rule_step){ .op = o->op }, e));
        *type = o->gives;
    }
}

static enum rc parse_from(struct parser *p, int weight, enum type *type, struct err *e)
{
    if (p->depth == CARE_RULE_DEPTH_MAX)
        return bad(p, p->at, "it is nested too deeply", e);
    p->depth++;
    TRY(parse_operators(p, weight, type, e));
    p->depth--;
    return RC_OK;
}

enum rc care_rule_parse(const char *text, struct care_rule *out, struct err *e)
{
    struct parser p = { .text = text, .at = text, .rule = out };
    enum type type = NUMBER;

    *out = (struct care_rule){ 0 };
    skip_blanks(&p);
    TRY(parse_from(&p, 1, &type, e));
    if (*p.at != '\0')
        return bad(&p, p.at, "this does not belong here", e);
    return expect(&p, text, CONDITION, type, e);
}

/* ---- running it -----------------------------------------------------------------------
 */

static double value_of(unsigned variable, const struct care_rule_facts *f)
{
    double size = (double)f->size, in_use = (double)f->in_use;

    switch ((enum variable)variable) {
    case SIZE:
        return size;
    case IN_USE:
        return in_use;
    case SIZE_FREE:
        return size > in_use ? size - in_use : 0;
    case QUOTA:
        return f->quota == 0 ? (double)NAN : (double)f->quota;
    case QUOTA_USAGE:
        return f->quota == 0 ? (double)NAN : size / (double)f->quota;
    }
    return (double)NAN;
}

/* NaN is unequal to everything, which includes that != with it is false here. */
static bool differ(double a, double b)
{
    return a < b || a > b;
}

static bool same(double a, double b)
{
    return a <= b && a >= b;
}

static double divide(double a, double b)
{
    return same(b, 0) ? (double)NAN : a / b;
}

/* Of whole numbers, as Go has it; what does not fit is no number. */
static double modulo(double a, double b)
{
    const double limit = 9e15;

    if (!(a > -limit && a < limit && b > -limit && b < limit) || (int64_t)b == 0)
        return (double)NAN;
    return (double)((int64_t)a % (int64_t)b);
}

static double combine(enum care_rule_op op, double a, double b)
{
    switch (op) {
    case CARE_RULE_OR:
        return differ(a, 0) || differ(b, 0);
    case CARE_RULE_AND:
        return differ(a, 0) && differ(b, 0);
    case CARE_RULE_EQ:
        return same(a, b);
    case CARE_RULE_NE:
        return differ(a, b);
    case CARE_RULE_LT:
        return a < b;
    case CARE_RULE_LE:
        return a <= b;
    case CARE_RULE_GT:
        return a > b;
    case CARE_RULE_GE:
        return a >= b;
    case CARE_RULE_ADD:
        return a + b;
    case CARE_RULE_SUB:
        return a - b;
    case CARE_RULE_MUL:
        return a * b;
    case CARE_RULE_DIV:
        return divide(a, b);
    case CARE_RULE_MOD:
        return modulo(a, b);
    case CARE_RULE_NUMBER:
    case CARE_RULE_VARIABLE:
    case CARE_RULE_NOT:
    case CARE_RULE_NEG:
        break; /* these have no two operands */
    }
    return (double)NAN;
}

bool care_rule_holds(const struct care_rule *r, const struct care_rule_facts *f)
{
    double stack[CARE_RULE_STEPS_MAX + 1] = { 0 };
    size_t n = 0;

    for (size_t i = 0; i < r->count; i++) {
        const struct care_rule_step *s = &r->steps[i];

        if (s->op == CARE_RULE_NUMBER)
            stack[n++] = s->number;
        else if (s->op == CARE_RULE_VARIABLE)
            stack[n++] = value_of(s->variable, f);
        else if (s->op == CARE_RULE_NOT)
            stack[n - 1] = !differ(stack[n - 1], 0);
        else if (s->op == CARE_RULE_NEG)
            stack[n - 1] = -stack[n - 1];
        else {
            stack[n - 2] = combine(s->op, stack[n - 2], stack[n - 1]);
            n--;
        }
    }
    return n == 1 && differ(stack[0], 0);
}
