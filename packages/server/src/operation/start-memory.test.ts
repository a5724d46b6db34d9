import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { releaseStartMemory } from './start-memory.ts';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

describe('the memory of the start', () => {
  it('is given back once, at the first time without work', () => {
    const collect = vi.fn();
    const loads = [
      { active: 1000, idle: 0 },
      { active: 4000, idle: 2000 },
      { active: 4100, idle: 6900 },
      { active: 4200, idle: 11_800 },
    ].map((each) => ({ ...each, utilization: 0 }));
    releaseStartMemory(collect, () => loads.shift() ?? { active: 0, idle: 1, utilization: 0 });
    vi.advanceTimersByTime(5_000);
    expect(collect).not.toHaveBeenCalled();
    vi.advanceTimersByTime(5_000);
    expect(collect).toHaveBeenCalledExactlyOnceWith({ type: 'major', flavor: 'last-resort' });
    vi.advanceTimersByTime(60_000);
    expect(collect).toHaveBeenCalledOnce();
  });

  it('stays where the process has no way to ask for it', () => {
    releaseStartMemory(undefined);
    expect(vi.getTimerCount()).toBe(0);
  });
});
