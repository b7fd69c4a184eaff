/*
 * The load generator: one run of one scenario against one broker, figures as JSON on standard
 * output. One thread, one epoll set. What it finds wrong it says on standard error: exit code 1
 * when messages were lost or doubled, 2 when it could not work at all.
 */

#include "bench/connections.h"
#include "bench/flow.h"
#include "bench/tool.h"

#include <string.h>

int main(int argc, char **argv)
{
    struct plan plan;

    plan_parse(&plan, argc, argv);
    if (flow_has(plan.scenario)) {
        return flow_run(&plan);
    }
    if (strcmp(plan.scenario, "connect") == 0) {
        return churn_run(&plan);
    }
    if (strcmp(plan.scenario, "idle") == 0) {
        return idle_run(&plan);
    }
    tool_die("no scenario is called %s", plan.scenario);
}
