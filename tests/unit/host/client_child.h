/*
 * A client process for tests of the host's view of client memory: a fork that does what it is told.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DEXTLINK_TEST_CLIENT_CHILD_H
#define DEXTLINK_TEST_CLIENT_CHILD_H

#include <assert.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

struct client_child {
    pid_t pid;
    int socket;
};

/* Runs in the child; what it returns is the answer to the command. */
typedef unsigned char (*client_child_fn)(unsigned char command);

static inline struct client_child client_child_start(client_child_fn serve)
{
    int pair[2];
    int made = socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair);
    assert(made == 0);
    pid_t pid = fork();
    assert(pid >= 0);
    if (pid == 0) {
        unsigned char command;
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        close(pair[0]);
        while (read(pair[1], &command, 1) == 1) {
            unsigned char answer = serve(command);
            if (write(pair[1], &answer, 1) != 1) {
                break;
            }
        }
        _exit(0);
    }
    close(pair[1]);
    (void)made;
    return (struct client_child){.pid = pid, .socket = pair[0]};
}

static inline int client_child_tell(struct client_child *child, unsigned char command)
{
    unsigned char answer;
    if (write(child->socket, &command, 1) != 1 || read(child->socket, &answer, 1) != 1) {
        return -1;
    }
    return answer;
}

static inline void client_child_kill(struct client_child *child)
{
    kill(child->pid, SIGKILL);
    waitpid(child->pid, NULL, 0);
    close(child->socket);
}

#endif
