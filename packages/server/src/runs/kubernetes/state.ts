import type { FoundObject } from '@strongroom/backends/kubernetes';
import { isRecord, member } from './json.ts';
import type { WorkloadExit, WorkloadForm } from '../runner.ts';

/** How a workload stands, as its objects say it. */
export interface WorkloadState {
  /** Its pod, once there is one. */
  readonly pod: string | null;
  /** The container has begun: there may be output. */
  readonly hasBegun: boolean;
  /** What the pod waits for, in the kubelet's word. */
  readonly waiting: string | null;
  /** `undefined`: it has not ended. */
  readonly exit: WorkloadExit | undefined;
}

/** What the owner and, where there is one, its newest pod say. */
export function stateOf(
  form: WorkloadForm,
  container: string,
  owner: FoundObject,
  pods: readonly FoundObject[],
): WorkloadState {
  const pod = form === 'pod' ? owner : newest(pods);
  const ofPod = pod === undefined ? noPod : podState(pod, container);
  const end = form === 'pod' ? undefined : ends[form](owner.body);
  // The owner's word: a pod can be gone, or be one of several.
  if (end === undefined) return form === 'pod' ? ofPod : { ...ofPod, exit: undefined };
  return { ...ofPod, exit: exitOf(end, ofPod.exit) };
}

interface OwnerEnd {
  readonly isSuccess: boolean;
  /** A word of Kubernetes or the operator. */
  readonly reason: string;
}

const noPod: WorkloadState = { pod: null, hasBegun: false, waiting: null, exit: undefined };

const ends: Readonly<Record<Exclude<WorkloadForm, 'pod'>, (owner: unknown) => OwnerEnd | undefined>> = {
  job: jobEnd,
  'spark-application': sparkEnd,
};

/** https://kubernetes.io/docs/concepts/workloads/controllers/job/#terminal-job-conditions */
function jobEnd(owner: unknown): OwnerEnd | undefined {
  const conditions = member(member(owner, 'status'), 'conditions');
  for (const condition of Array.isArray(conditions) ? (conditions as readonly unknown[]) : []) {
    if (member(condition, 'status') !== 'True') continue;
    const type = member(condition, 'type');
    if (type === 'Complete' || type === 'Failed')
      return { isSuccess: type === 'Complete', reason: word(member(condition, 'reason')) };
  }
  return undefined;
}

/** ApplicationStateType of v1beta2 of the Kubeflow operator; those that are not final are retried by it, or on their way. */
function sparkEnd(owner: unknown): OwnerEnd | undefined {
  const state = member(member(member(owner, 'status'), 'applicationState'), 'state');
  if (state === 'COMPLETED') return { isSuccess: true, reason: 'Completed' };
  return state === 'FAILED' ? { isSuccess: false, reason: 'Failed' } : undefined;
}

function exitOf({ isSuccess, reason }: OwnerEnd, ofPod: WorkloadExit | undefined): WorkloadExit {
  if (isSuccess) return { exitCode: 0, signal: null, endedFor: null };
  if (reason === 'DeadlineExceeded') return { exitCode: null, signal: ofPod?.signal ?? null, endedFor: 'timeout' };
  if (ofPod !== undefined && ofPod.exitCode !== 0) return ofPod;
  return { exitCode: null, signal: null, endedFor: null, failure: failure(reason) };
}

/** https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/ */
function podState({ name, body }: FoundObject, container: string): WorkloadState {
  const status = member(body, 'status');
  const phase = member(status, 'phase');
  const state = containerState(status, container);
  const terminated = member(state, 'terminated');
  const waiting = member(member(state, 'waiting'), 'reason');
  const hasBegun = isRecord(member(state, 'running')) || isRecord(terminated);
  const shared = { pod: name, hasBegun, waiting: hasBegun || waiting === undefined ? null : word(waiting) };
  if (phase !== 'Succeeded' && phase !== 'Failed') return { ...shared, exit: undefined };
  const reason = word(member(status, 'reason'));
  if (reason === 'DeadlineExceeded') return { ...shared, exit: { exitCode: null, signal: null, endedFor: 'timeout' } };
  const exitCode = member(terminated, 'exitCode');
  if (typeof exitCode !== 'number')
    return { ...shared, exit: { exitCode: null, signal: null, endedFor: null, failure: failure(reason) } };
  const why = word(member(terminated, 'reason'));
  const isOrdinary = why === '' || why === 'Completed' || why === 'Error';
  return {
    ...shared,
    exit: {
      exitCode,
      signal: null,
      endedFor: null,
      ...(isOrdinary || exitCode === 0 ? {} : { failure: failure(why) }),
    },
  };
}

function containerState(status: unknown, container: string): unknown {
  const statuses = member(status, 'containerStatuses');
  const found = (Array.isArray(statuses) ? (statuses as readonly unknown[]) : []).find(
    (each) => member(each, 'name') === container,
  );
  return member(found, 'state');
}

function newest(pods: readonly FoundObject[]): FoundObject | undefined {
  const made = ({ body }: FoundObject): string => String(member(member(body, 'metadata'), 'creationTimestamp'));
  return [...pods].toSorted((a, b) => (made(a) < made(b) ? 1 : -1))[0];
}

function failure(reason: string): NonNullable<WorkloadExit['failure']> {
  const detail =
    reason === '' ? 'The cluster ended it and says no reason.' : `The cluster ended it, and says: ${reason}.`;
  return { code: 'workload_failed', detail };
}

/** One word such as `OOMKilled`; messages may quote anything, and are not taken. */
function word(text: unknown): string {
  return typeof text === 'string' && /^[A-Za-z]{1,64}$/.test(text) ? text : '';
}
