#include "random_run.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

enum { SEED = 's', COUNT = 'c', SECONDS = 'n', FIRST_OWN = 256, MAX_OPTIONS = 16 };

static bool usage(const char *program, const struct own_option *own)
{
    fprintf(stderr, "usage: %s [--seed N] [--count N | --seconds N]", program);
    for (; own && own->name; own++)
        fprintf(stderr, own->argument ? " [--%s %s]" : " [--%s]", own->name, own->argument);
    fprintf(stderr, "\n");
    return false;
}

bool random_run_parse(struct random_run *r, const struct own_option *own, int argc, char **argv)
{
    struct option options[MAX_OPTIONS] = {{"seed", required_argument, NULL, SEED},
                                          {"count", required_argument, NULL, COUNT},
                                          {"seconds", required_argument, NULL, SECONDS}};
    for (int n = 0; own && own[n].name; n++)
        options[3 + n] = (struct option){own[n].name, own[n].argument ? required_argument : no_argument, NULL,
                                         FIRST_OWN + n};
    for (int option; (option = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        switch (option) {
        case SEED: r->seed = strtoull(optarg, NULL, 0); break;
        case COUNT: r->count = strtoull(optarg, NULL, 0); break;
        case SECONDS: r->seconds = strtoull(optarg, NULL, 0); break;
        case '?': return usage(argv[0], own);
        default: {
            const struct own_option *o = &own[option - FIRST_OWN];
            if (o->argument)
                *o->text = optarg;
            else
                *o->flag = true;
        }
        }
    }
    if (optind < argc) return usage(argv[0], own);
    printf("seed %llu\n", (unsigned long long)r->seed);
    fflush(stdout);
    r->start = time(NULL);
    return true;
}

bool random_run_goes_on(const struct random_run *r, u64 done)
{
    return r->seconds ? time(NULL) - r->start < (time_t)r->seconds : done < r->count;
}
