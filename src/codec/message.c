#include "codec/message.h"

#include <stdbool.h>
#include <string.h>

#include "util/mem.h"

/* What one unpacking may still allocate, and why it was refused. */
struct budget {
    size_t left;
    bool spent, starved;
};

static void *take(void *data, size_t size)
{
    struct budget *b = data;
    void *p;

    if (size > b->left) {
        b->spent = true;
        return NULL;
    }
    p = mem_zero(size);
    b->starved = p == NULL;
    b->left -= p == NULL ? 0 : size;
    return p;
}

static void give_back(void *data, void *p)
{
    (void)data;
    mem_free(p);
}

static bool read_varint(struct bytes *in, uint64_t *out)
{
    uint64_t v = 0;

    for (size_t i = 0; i < in->n && i < 10; i++) {
        v |= (uint64_t)(in->p[i] & 0x7F) << (7 * i);
        if (in->p[i] < 0x80) {
            *in = (struct bytes){ in->p + i + 1, in->n - i - 1 };
            *out = v;
            return true;
        }
    }
    return false;
}

/* Moves past one field and points *child at its bytes when it is length-delimited. */
static bool read_field(struct bytes *in, uint64_t *number, struct bytes *child)
{
    static const uint8_t fixed[8] = { [1] = 8, [5] = 4 };
    uint64_t tag, n;

    *child = (struct bytes){ 0 };
    if (!read_varint(in, &tag))
        return false;
    *number = tag >> 3;
    if ((tag & 7) == 0)
        return read_varint(in, &n);
    if ((tag & 7) == 2) {
        if (!read_varint(in, &n) || n > in->n)
            return false;
        *child = (struct bytes){ in->p, (size_t)n };
    } else {
        n = fixed[tag & 7];
        if (n == 0 || n > in->n)
            return false;
    }
    *in = (struct bytes){ in->p + n, in->n - (size_t)n };
    return true;
}

/* Whether the bytes nest no deeper than `depth` messages; malformed bytes pass, since
 * unpacking refuses them at the same place without going deeper. */
static bool is_shallow(const ProtobufCMessageDescriptor *type, struct bytes in,
                       unsigned depth)
{
    uint64_t number;
    struct bytes child;

    while (in.n > 0 && read_field(&in, &number, &child)) {
        const ProtobufCFieldDescriptor *f =
            number > UINT32_MAX
                ? NULL
                : protobuf_c_message_descriptor_get_field(type, (unsigned)number);

        if (f == NULL || f->type != PROTOBUF_C_TYPE_MESSAGE)
            continue;
        if (depth == 0 || !is_shallow(f->descriptor, child, depth - 1))
            return false;
    }
    return true;
}

enum rc codec_unpack(const ProtobufCMessageDescriptor *type, struct bytes in, void *out,
                     struct err *e)
{
    struct budget budget = { .left = CODEC_MEMORY_FLOOR };
    ProtobufCAllocator from = { take, give_back, &budget };
    void *message;
    size_t more;

    if (!__builtin_mul_overflow(in.n, (size_t)CODEC_MEMORY_FACTOR, &more))
        budget.left += more;
    if (!is_shallow(type, in, CODEC_DEPTH_MAX))
        return err_set(e, RC_CORRUPT, "a %s message nests more than %d deep",
                       type->short_name, CODEC_DEPTH_MAX);
    message = protobuf_c_message_unpack(type, &from, in.n, in.p);
    if (message != NULL) {
        memcpy(out, &message, sizeof message);
        return RC_OK;
    }
    if (budget.starved)
        return err_set(e, RC_NOMEM, "no memory for a %s message of %zu bytes",
                       type->short_name, in.n);
    if (budget.spent)
        return err_set(e, RC_CORRUPT,
                       "a %s message of %zu bytes claims more elements than is sane",
                       type->short_name, in.n);
    return err_set(e, RC_CORRUPT, "%zu bytes are no valid %s message", in.n,
                   type->short_name);
}

enum rc codec_pack(const void *message, struct buf *out, struct err *e)
{
    size_t n = protobuf_c_message_get_packed_size(message);

    if (n == 0) /* an empty buffer has no memory to point into */
        return RC_OK;
    TRY(buf_reserve(out, n, e));
    out->n += protobuf_c_message_pack(message, out->p + out->n);
    return RC_OK;
}

const void *codec_child(const void *message, const char *name)
{
    const ProtobufCMessage *m = message;
    const ProtobufCFieldDescriptor *f =
        protobuf_c_message_descriptor_get_field_by_name(m->descriptor, name);
    void *child = NULL;

    if (f != NULL && f->type == PROTOBUF_C_TYPE_MESSAGE &&
        f->label != PROTOBUF_C_LABEL_REPEATED)
        memcpy(&child, (const uint8_t *)message + f->offset, sizeof child);
    return child;
}

struct bytes codec_bytes(const ProtobufCBinaryData *field)
{
    return (struct bytes){ field->data, field->len };
}

ProtobufCBinaryData codec_field(struct bytes value)
{
    union {
        const uint8_t *from;
        uint8_t *to;
    } p = { .from = value.p };

    return (ProtobufCBinaryData){ .len = value.n, .data = p.to };
}

void codec_free(void *message)
{
    ProtobufCAllocator from = { take, give_back, &(struct budget){ 0 } };

    if (message != NULL)
        protobuf_c_message_free_unpacked(message, &from);
}

void codec_end(void *held)
{
    codec_free(*(void **)held);
}
