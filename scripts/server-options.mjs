/**
 * How the process of a server is started, for people and in measurements. SIGUSR1 would open the inspector of a process that
 * holds keys. With the collector within its reach the server gives back, once, what its start left behind. Fewer arenas of the
 * allocator spare memory. The young generation stays as large as the runtime has it: it grows with the load alone, and in a
 * small one the requests under way outlive its collections and are collected at a high price.
 */
export const serverOptions = ['--disable-sigusr1', '--expose-gc'];
export const serverEnvironment = { MALLOC_ARENA_MAX: '2' };
