/* Load for a Postfix policy server: so many connections, one question at a time on each, as Postfix asks.
 *
 *   policy_load PORT CONNECTIONS QUESTIONS SALT
 *
 * Prints one line: questions/s, p50 and p99 in microseconds, then how many answers began with
 * FILTER, DUNNO, DEFER and anything else. A load generator in Python is the bottleneck above some 30,000/s.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define BUCKETS 200000 /* of 10 microseconds: 2 s */

struct connection {
    int fd;
    double asked_at;
    size_t held;
    char answer[1024];
};

static double now(void) {
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    return at.tv_sec + at.tv_nsec / 1e9;
}

static const char *DOMAINS[] = {"gmail.com", "yahoo.com", "outlook.com", "icloud.com"};

static void ask(struct connection *one, long number, const char *salt) {
    char text[2048];
    int length = snprintf(
        text, sizeof text,
        "request=smtpd_access_policy\nprotocol_state=RCPT\nprotocol_name=ESMTP\nclient_address=198.51.100.200\n"
        "client_name=app.acme.example\nclient_port=41290\nreverse_client_name=app.acme.example\n"
        "server_address=127.0.0.1\nserver_port=587\nhelo_name=app.acme.example\nsender=news%ld@acme.example\n"
        "recipient=r%ld@%s\nrecipient_count=0\nqueue_id=\ninstance=%s.%lx.0\nsize=23105\netrn_domain=\nstress=\n"
        "sasl_method=PLAIN\nsasl_username=user%ld\nsasl_sender=\nccert_subject=\nccert_issuer=\n"
        "ccert_fingerprint=\nccert_pubkey_fingerprint=\nencryption_protocol=TLSv1.3\n"
        "encryption_cipher=TLS_AES_256_GCM_SHA384\nencryption_keysize=256\npolicy_context=\n\n",
        number % 50, number, DOMAINS[number % 4], salt, number, number % 50);
    one->asked_at = now();
    one->held = 0;
    if (write(one->fd, text, length) != length) {
        fprintf(stderr, "cannot write: %s\n", strerror(errno));
        exit(1);
    }
}

int main(int argc, char **argv) {
    if (argc != 5) {
        fprintf(stderr, "policy_load PORT CONNECTIONS QUESTIONS SALT\n");
        return 2;
    }
    int port = atoi(argv[1]), connections = atoi(argv[2]);
    long questions = atol(argv[3]), asked = 0, answered = 0, counts[4] = {0, 0, 0, 0};
    static long buckets[BUCKETS];
    struct connection *all = calloc(connections, sizeof *all);
    struct sockaddr_in where = {.sin_family = AF_INET, .sin_port = htons(port)};
    inet_pton(AF_INET, "127.0.0.1", &where.sin_addr);
    int poll = epoll_create1(0);
    for (int i = 0; i < connections; i++) {
        int yes = 1;
        all[i].fd = socket(AF_INET, SOCK_STREAM, 0);
        if (connect(all[i].fd, (struct sockaddr *)&where, sizeof where) < 0) {
            fprintf(stderr, "cannot connect: %s\n", strerror(errno));
            return 1;
        }
        setsockopt(all[i].fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = &all[i]};
        epoll_ctl(poll, EPOLL_CTL_ADD, all[i].fd, &event);
    }
    double began = now();
    for (int i = 0; i < connections && asked < questions; i++) ask(&all[i], asked++, argv[4]);
    while (answered < questions) {
        struct epoll_event ready[256];
        int count = epoll_wait(poll, ready, 256, 20000);
        if (count <= 0) {
            fprintf(stderr, "no answer for 20 s\n");
            return 1;
        }
        for (int i = 0; i < count; i++) {
            struct connection *one = ready[i].data.ptr;
            ssize_t got = read(one->fd, one->answer + one->held, sizeof one->answer - 1 - one->held);
            if (got <= 0) {
                fprintf(stderr, "the server hung up\n");
                return 1;
            }
            one->held += got;
            one->answer[one->held] = 0;
            if (one->held < 2 || memcmp(one->answer + one->held - 2, "\n\n", 2)) continue;
            long bucket = (now() - one->asked_at) * 1e5;
            buckets[bucket < BUCKETS ? bucket : BUCKETS - 1]++;
            const char *action = strncmp(one->answer, "action=", 7) ? "" : one->answer + 7;
            int kind = !strncasecmp(action, "FILTER", 6) ? 0
                       : !strncasecmp(action, "DUNNO", 5) ? 1
                       : !strncasecmp(action, "DEFER", 5) ? 2 : 3;
            counts[kind]++;
            answered++;
            if (asked < questions) ask(one, asked++, argv[4]);
        }
    }
    double took = now() - began;
    long seen = 0, p50 = -1, p99 = -1;
    for (long i = 0; i < BUCKETS && p99 < 0; i++) {
        seen += buckets[i];
        if (p50 < 0 && seen * 2 >= answered) p50 = i * 10;
        if (seen * 100 >= answered * 99) p99 = i * 10;
    }
    printf("%.0f %ld %ld %ld %ld %ld %ld\n", answered / took, p50, p99, counts[0], counts[1], counts[2], counts[3]);
    return 0;
}
