/* The version of this program, by the rules of semantic versioning. */
#ifndef CLI_VERSION_H
#define CLI_VERSION_H

#define HOLDFAST_VERSION "0.1.0"

#endif
