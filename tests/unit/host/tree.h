/* Directory trees that look like hosts. */
#ifndef TESTS_UNIT_HOST_TREE_H
#define TESTS_UNIT_HOST_TREE_H

#include "host/find.h"

/* A file below `root`, with its folders. */
void tree_write(const char *root, const char *path, const char *text);

void tree_kubeadm(const char *root); /* as kubeadm 1.29 sets up a control plane node */
void tree_debian(
    const char *root); /* Debian's etcd-server, configured by its default file */
void tree_k3s(const char *root);

/* The only member below `root`, which the list owns. */
const struct host_member *tree_find(const char *root, struct host_list *list);

#endif
