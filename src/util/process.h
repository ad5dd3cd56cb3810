/* What a process arranges about itself before it starts work, and its terminal. */
#ifndef UTIL_PROCESS_H
#define UTIL_PROCESS_H

/* Puts /dev/null in place of each closed standard descriptor, so that a database file
 * cannot become descriptor 2 and receive error messages. It is opened the wrong way
 * round: reading a closed stdin or writing to a closed stdout still fails. */
void process_fill_standard_fds(void);

/* Takes from the umask what would keep the owner from a file that we make. */
void process_reach_own_files(void);

/* Closes *fd, the last descriptor of a file that has lost its name, without waiting until
 * its blocks are given back, which takes a file system up to a tenth of a second for half
 * a gigabyte: a process that ends by itself closes it a moment later. Waits where none
 * can be had. Locks held through *fd last as long. */
void process_close_later(int *fd);

/* Columns of the terminal behind `fd`; 0 when there is none. */
unsigned process_terminal_width(int fd);

#endif
