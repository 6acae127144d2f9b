/*
 * The keeper of reverse execution, with machines that only send: one that asks properly has a successor, one with
 * numbers that point beyond the structure has none; exit statuses, ends by a signal, and signals that are passed on.
 */
#include "check.h"
#include "gdb/keeper.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

/* What the first machine does; the second one ends with 7, or 8 if it got something else. */
typedef void deed(struct replay *replay);

static int run(deed *first)
{
    fflush(NULL);
    pid_t keeper = fork();
    if (!keeper) {
        static struct replay replay;
        if (keeper_start(&replay)) {
            char byte = 0;
            bool same = replay.target == 1234 && replay.codes == 2 && replay.code[1] == 5678;
            exit(same && read(replay.client, &byte, 1) == 1 && byte == 'x' ? 7 : 8);
        }
        int ends[2];
        if (pipe(ends) || write(ends[1], "x", 1) != 1) exit(9);
        replay = (struct replay){
            .goal = REPLAY_ARRIVE, .target = 1234, .client = ends[0], .codes = 2, .code[1] = 5678};
        first(&replay);
        exit(keeper_ask(&replay) ? 10 : 11);
    }
    int status = -1;
    waitpid(keeper, &status, 0);
    return status;
}

static void nothing(struct replay *replay) {}

static void too_many_points(struct replay *replay)
{
    replay->codes = CODE_POINTS_MAX + 1;
}

static void too_many_data_points(struct replay *replay)
{
    replay->datas = DATA_POINTS_MAX + 1;
}

static void condition_beyond_the_code(struct replay *replay)
{
    replay->conditions.count = 1;
    replay->conditions.used = 10;
    replay->conditions.condition[0] = (struct condition){.at = 4, .bytes = 7};
}

static void condition_that_wraps(struct replay *replay)
{
    replay->conditions.count = 1;
    replay->conditions.used = 10;
    replay->conditions.condition[0] = (struct condition){.at = 4, .bytes = UINT32_MAX - 1};
}

static void no_goal(struct replay *replay)
{
    replay->goal = 77;
}

static void no_connection(struct replay *replay)
{
    replay->client = -1;
}

static void own_status(struct replay *replay)
{
    exit(33);
}

static void signal_itself(struct replay *replay)
{
    raise(SIGKILL);
}

static void signal_keeper(struct replay *replay)
{
    siginfo_t info;
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    kill(getppid(), SIGTERM);
    sigwaitinfo(&set, &info);
    exit(info.si_pid == getppid() ? 44 : 45);
}

int main(void)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigprocmask(SIG_BLOCK, &set, NULL); /* as main.c does: the waker reads it */
    CHECK_EQ(WEXITSTATUS(run(nothing)), 7);
    /* The whole status: WEXITSTATUS() of a keeper that a signal has ended would be 0, too. */
    CHECK_EQ(run(too_many_points), 0);
    CHECK_EQ(run(too_many_data_points), 0);
    CHECK_EQ(run(condition_beyond_the_code), 0);
    CHECK_EQ(run(condition_that_wraps), 0);
    CHECK_EQ(run(no_goal), 0);
    CHECK_EQ(WEXITSTATUS(run(no_connection)), 10);
    CHECK_EQ(WEXITSTATUS(run(own_status)), 33);
    CHECK_EQ(WTERMSIG(run(signal_itself)), SIGKILL);
    CHECK_EQ(WEXITSTATUS(run(signal_keeper)), 44);
    return check_report();
}
