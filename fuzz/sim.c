#include "fuzz.h"
#include "sim/fail.h"
#include "sim/run.h"

#include <stdlib.h>

/*
 * A life of the broker in the simulator, with the input's bytes in place of a seed: who runs next,
 * what clients do, where reads are cut. The run ends the process when its model complains. With
 * SIM_TRACE in the environment it is printed step by step.
 */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct choice choice;
    struct run_params params;

    sim_name_run("this input");
    if (getenv("SIM_TRACE")) {
        sim_trace_on();
    }
    choice_from_bytes(&choice, data, size);
    run_draw(&choice, &params);
    run(&choice, &params);
    return 0;
}
