import { describe, expect, it } from 'vitest';
import { CredentialUnknown, statusError } from './statuses.ts';

const canary = 'canary-77ab01ce';
const answer = (status: number, causes: readonly unknown[] = [], retryAfterSeconds?: number) => ({
  status,
  body: { kind: 'Status', message: canary, details: { causes } },
  retryAfterSeconds,
});

describe('a status of the API', () => {
  it.each([
    [400, 'backend_malformed'],
    [401, 'backend_denied'],
    [403, 'backend_denied'],
    [404, 'state_conflict'],
    [409, 'version_conflict'],
    [410, 'version_conflict'],
    [413, 'backend_limit'],
    [418, 'backend_malformed'],
    [422, 'validation_failed'],
    [429, 'backend_throttled'],
    [500, 'backend_unavailable'],
    [503, 'backend_unavailable'],
    [504, 'backend_unavailable'],
  ])('%i is %s, in our words', (status, code) => {
    const error = statusError(answer(status), 'reading');
    expect(error.code).toBe(code);
    expect(`${error.message} ${error.hint}`).not.toContain(canary);
    expect(error instanceof CredentialUnknown).toBe(status === 401);
  });

  it('are told apart by what each says', () => {
    const details = [401, 403, 404, 409, 410, 429].map((status) => statusError(answer(status), 'reading').message);
    expect(new Set(details).size).toBe(details.length);
  });

  it.each([
    [403, 'NamespaceTerminating', 'state_conflict'],
    [422, 'FieldValueTooLong', 'backend_limit'],
    [422, 'FieldValueForbidden', 'state_conflict'],
    [422, '__proto__', 'validation_failed'],
    [422, canary, 'validation_failed'],
  ])('%i with the cause %s is %s', (status, reason, code) => {
    expect(statusError(answer(status, [{ reason }]), 'writing').code).toBe(code);
  });

  it('hands on when to try again, within reason', () => {
    expect(statusError(answer(429, [], 7), 'reading').retryAfterSeconds).toBe(7);
    expect(statusError(answer(503, [], 999_999), 'reading').retryAfterSeconds).toBe(3600);
    expect(statusError(answer(403, [], 7), 'reading').retryAfterSeconds).toBeUndefined();
  });
});
