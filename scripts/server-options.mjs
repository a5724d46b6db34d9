/**
 * How the process of a server is started, for people and in measurements. SIGUSR1 would open the inspector of a process that
 * holds keys. What a server leaves to be collected lives shortly: a small young generation and few arenas of the allocator
 * spare it memory. Half of 4 MB would spare 2 MB more and take a launch a sixth more time.
 */
export const serverOptions = ['--disable-sigusr1', '--max-semi-space-size=4'];
export const serverEnvironment = { MALLOC_ARENA_MAX: '2' };
