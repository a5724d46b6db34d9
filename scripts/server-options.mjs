/**
 * How the process of a server is started, for people and in measurements. SIGUSR1 would open the inspector of a process that
 * holds keys. With the collector within its reach the server gives back, once, what its start left behind. Fewer arenas of the
 * allocator spare memory. The young generation stays as large as the runtime has it: it grows with the load alone, and in a
 * small one the requests under way outlive its collections and are collected at a high price.
 *
 * V8 allocates at once in the old generation what mostly outlived collections of the young one where it was made (allocation
 * site pretenuring). What it judges by are the first seconds, when the young generation is so small that every request under
 * way outlives it. Of twenty servers under load seven then carried requests into the old generation for as long as they ran, at
 * 8 ms a collection instead of 2 to 3; without it, none of twenty-four did.
 */
export const serverOptions = ['--disable-sigusr1', '--expose-gc', '--no-allocation-site-pretenuring'];
export const serverEnvironment = { MALLOC_ARENA_MAX: '2' };
