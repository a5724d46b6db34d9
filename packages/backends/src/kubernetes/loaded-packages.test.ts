import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';

const child = fileURLToPath(new URL('../../testing/loaded-modules-child.ts', import.meta.url));
const settings = JSON.stringify({
  layout: 'object-per-secret',
  scope: { kind: 'global' },
  namespace: 'default',
  kubeconfigPath: '/does/not/exist',
});

function loaded(...args: string[]): readonly string[] {
  return JSON.parse(execFileSync(process.execPath, [child, ...args], { encoding: 'utf8' })) as string[];
}

it('loads the library of Kubernetes when a cluster is first asked, and not before', () => {
  expect(loaded('managed:KUBERNETES', settings)).not.toContain('@kubernetes/client-node');
  expect(loaded('managed:KUBERNETES', settings, 'use')).toContain('@kubernetes/client-node');
});
