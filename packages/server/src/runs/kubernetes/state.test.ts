import type { FoundObject } from '@strongroom/backends/kubernetes';
import { describe, expect, it } from 'vitest';
import { stateOf } from './state.ts';

const message = 'cnry-kubelet-message';

function found(status: object, name = 'pod', createdAt = '2026-01-01T00:00:00Z'): FoundObject {
  const body = { metadata: { creationTimestamp: createdAt }, status };
  return { name, uid: 'uid', labels: new Map(), isBeingDeleted: false, body };
}

const container = (state: object): object => ({ containerStatuses: [{ name: 'main', state }] });
const ended = (exitCode: number, reason: string): object => container({ terminated: { exitCode, reason, message } });
const condition = (type: string, reason: string): object => ({
  conditions: [
    { type: 'Suspended', status: 'False' },
    { type, status: 'True', reason, message },
  ],
});
const application = (state: string): object => ({ applicationState: { state, errorMessage: message } });

describe('how a workload stands', () => {
  it.each<[string, object, object]>([
    ['begins', { phase: 'Pending' }, { hasBegun: false, waiting: null, exit: undefined }],
    [
      'waits for its image',
      { phase: 'Pending', ...container({ waiting: { reason: 'ImagePullBackOff', message } }) },
      { hasBegun: false, waiting: 'ImagePullBackOff', exit: undefined },
    ],
    ['runs', { phase: 'Running', ...container({ running: {} }) }, { hasBegun: true, exit: undefined }],
    ['succeeds', { phase: 'Succeeded', ...ended(0, 'Completed') }, { exit: { exitCode: 0, endedFor: null } }],
    ['fails', { phase: 'Failed', ...ended(3, 'Error') }, { exit: { exitCode: 3 } }],
    [
      'has too little memory',
      { phase: 'Failed', ...ended(137, 'OOMKilled') },
      { exit: { exitCode: 137, failure: { code: 'workload_failed', detail: expect.stringContaining('OOMKilled') } } },
    ],
    [
      'is evicted',
      { phase: 'Failed', reason: 'Evicted', message },
      { exit: { exitCode: null, failure: expect.anything() } },
    ],
    ['is late', { phase: 'Failed', reason: 'DeadlineExceeded' }, { exit: { endedFor: 'timeout' } }],
    ['says nothing at all', {}, { hasBegun: false, exit: undefined }],
  ])('a pod %s', (_name, status, expected) => {
    const state = stateOf('pod', 'main', found(status), []);
    expect(state).toMatchObject(expected);
    expect(JSON.stringify(state)).not.toContain(message);
  });

  it.each<[string, object, object | null, object]>([
    ['has no pod yet', {}, null, { pod: null, exit: undefined }],
    ['goes on though its pod has ended', {}, { phase: 'Failed', ...ended(1, 'Error') }, { exit: undefined }],
    [
      'is complete',
      condition('Complete', ''),
      { phase: 'Succeeded', ...ended(0, 'Completed') },
      { exit: { exitCode: 0 } },
    ],
    [
      'has failed',
      condition('Failed', 'BackoffLimitExceeded'),
      { phase: 'Failed', ...ended(4, 'Error') },
      { exit: { exitCode: 4 } },
    ],
    [
      'has failed without a pod',
      condition('Failed', 'BackoffLimitExceeded'),
      null,
      { exit: { failure: expect.anything() } },
    ],
    ['is late', condition('Failed', 'DeadlineExceeded'), null, { exit: { endedFor: 'timeout' } }],
  ])('a Job %s', (_name, status, pod, expected) => {
    const state = stateOf('job', 'main', found(status), pod === null ? [] : [found(pod)]);
    expect(state).toMatchObject(expected);
    expect(JSON.stringify(state)).not.toContain(message);
  });

  it.each<[string, object]>([
    ['SUBMITTED', { exit: undefined }],
    ['SUCCEEDING', { exit: undefined }],
    ['COMPLETED', { exit: { exitCode: 0 } }],
    ['FAILED', { exit: { exitCode: null, failure: { code: 'workload_failed' } } }],
  ])('a SparkApplication is %s', (state, expected) => {
    const read = stateOf('spark-application', 'spark-kubernetes-driver', found(application(state)), []);
    expect(read).toMatchObject(expected);
    expect(JSON.stringify(read)).not.toContain(message);
  });

  it('goes by the newest pod', () => {
    const pods = [found({}, 'old', '2026-01-01T00:00:00Z'), found({}, 'new', '2026-01-02T00:00:00Z')];
    expect(stateOf('job', 'main', found({}), pods).pod).toBe('new');
  });
});
