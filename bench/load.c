/*
 * The load generator: one run of one scenario against one broker, figures as JSON on standard
 * output. One thread, one epoll set. What it finds wrong it says on standard error: exit code 1
 * when messages were lost or doubled, 2 when it could not work at all.
 */

#include "bench/connections.h"
#include "bench/flow.h"
#include "bench/scale.h"
#include "bench/tool.h"

#include <string.h>

static const struct {
    const char *name;
    int (*run)(const struct plan *plan);
} scenarios[] = {
    {"connect",       churn_run        },
    {"idle",          idle_run         },
    {"subscriptions", subscriptions_run},
    {"retained",      retained_run     },
    {"wildcards",     wildcards_run    },
    {"storm",         storm_run        },
};

int main(int argc, char **argv)
{
    struct plan plan;

    plan_parse(&plan, argc, argv);
    if (flow_has(plan.scenario)) {
        return flow_run(&plan);
    }
    for (size_t i = 0; i < ARRAY_LEN(scenarios); i++) {
        if (strcmp(plan.scenario, scenarios[i].name) == 0) {
            return scenarios[i].run(&plan);
        }
    }
    tool_die("no scenario is called %s", plan.scenario);
}
