/* The XML that an object store answers with, and no more of XML than that: elements and
 * text. No document type and so no entities but the five of XML itself and characters by
 * number; no comments inside of text that matter, no attributes that matter. Everything
 * is bounded, whatever the document says: 16 levels, names of 63 bytes, texts of 8 KiB.
 */
#ifndef STORAGE_S3_XML_H
#define STORAGE_S3_XML_H

#include "util/bytes.h"

/* At the end of each element: `path` is "Root/Child/Leaf" without name space prefixes,
 * `text` what stood in it, decoded, "" when it had children. A failure ends the parse. */
typedef enum rc s3_xml_fn(void *arg, const char *path, const char *text, struct err *e);

/* RC_CORRUPT, with the offset, when it is not well-formed or passes a bound. */
enum rc s3_xml_parse(struct bytes document, s3_xml_fn *fn, void *arg, struct err *e);

/* Appends text so that it may stand in an element. */
enum rc s3_xml_escape(struct buf *out, const char *text, struct err *e);

#endif
