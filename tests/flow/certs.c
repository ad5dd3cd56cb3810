#include "tests/flow/certs.h"

#include "tests/flow/flow.h"

/* One authority for servers and clients, and one that nobody trusts. The certificate
 * other.crt is for a host of another name, old.crt expired in 2020. */
static const char make_certificates[] =
    "set -e; cd \"$1\"\n"
    "ca() { openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days "
    "30 "
    "-subj \"/CN=$1\" -keyout $1.key -out $1.crt; }\n"
    "sign() {\n"
    "  openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj \"/CN=$1\" "
    "-keyout $1.key -out $1.csr\n"
    "  printf 'subjectAltName=%s\\n' \"$2\" > ext\n"
    "  openssl x509 -req -in $1.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days $3 "
    "-extfile ext -out $1.crt\n"
    "}\n"
    "ca ca; ca stranger\n"
    "sign server IP:127.0.0.1,DNS:localhost 30\n"
    "sign client IP:127.0.0.1 30\n"
    "cp server.crt peer.crt; cp server.key peer.key\n"
    "sign other DNS:etcd.example.org 30\n"
    "sign old IP:127.0.0.1 -1\n";

const char *certificates(void)
{
    const char *dir = tmpdir_new();

    PEER(p, "sh", "-c", make_certificates, "sh", dir);
    return dir;
}
