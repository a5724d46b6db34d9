/** For writes of tests: a machine that is slow for a while fails none of them. The deadline itself has tests of its own. */
export const writeDeadlineMilliseconds = 60_000;
