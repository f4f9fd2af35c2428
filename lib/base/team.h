/* team.h - the context's own workers.
 *
 * gm_team_run calls fn(arg, shard) once for every shard in [0, shards), on the caller and on up to
 * threads - 1 workers, and returns when all are done. Shards are claimed one by one, so a worker
 * that the system does not schedule delays nothing but the shard it holds. Which thread runs a
 * shard is not fixed; a shard must therefore write only what belongs to it. A call from inside a
 * shard runs serially, and so does any call in the child of a fork, which has no workers.
 */
#ifndef GM_BASE_TEAM_H
#define GM_BASE_TEAM_H

#include <stdint.h>

#include "base/memory.h"

typedef struct gm_team gm_team;
typedef void (*gm_shard_fn)(void *arg, int64_t shard);

/* NULL when there is no memory or no threads: *started (NULL: not asked for) is -1 without memory,
 * else how many of the threads - 1 workers the system started. */
gm_team *gm_team_create(gm_memory *memory, int32_t threads, int32_t *started);
void gm_team_destroy(gm_team *team);
int32_t gm_team_threads(const gm_team *team);

/* team may be NULL: then the caller does it all. */
void gm_team_run(gm_team *team, int64_t shards, gm_shard_fn fn, void *arg);

/* Splits [0, n) into runs of `grain` (the last one shorter): fn(arg, begin, end). For work whose
 * result does not depend on the split, or whose split is the fixed grain. */
typedef void (*gm_range_fn)(void *arg, int64_t begin, int64_t end);
void gm_team_range(gm_team *team, int64_t n, int64_t grain, gm_range_fn fn, void *arg);

#endif
