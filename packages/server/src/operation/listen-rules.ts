import { isIP } from 'node:net';
import type { Settings } from '../config/settings.ts';

/** Whether only this machine reaches an address. */
export function isLoopback(host: string): boolean {
  if (host === 'localhost' || host === '::1') return true;
  return isIP(host) === 4 && host.startsWith('127.');
}

/**
 * Why this server must not listen where it's told to; empty when it may.
 *
 * A job of a server that isn't root has the server's own rights, so only the one who started it may reach it. And no value
 * goes over a network in plain text.
 */
export function listenProblems(settings: Settings, isRoot: boolean): string[] {
  if (isLoopback(settings.listen.host)) return [];
  const problems: string[] = [];
  const at = `${settings.listen.host}:${settings.listen.port}`;
  if (settings.runner === 'process' && !isRoot)
    problems.push(
      `${at} is reachable from other machines, and jobs would run with the server’s own rights. Start as root with STRONGROOM_RUNNER_UIDS, or set STRONGROOM_RUNNER=none.`,
    );
  if (settings.runner === 'process' && isRoot && settings.runnerUids === undefined)
    problems.push(
      `${at} is reachable from other machines: say with STRONGROOM_RUNNER_UIDS which user ids jobs may have, or set STRONGROOM_RUNNER=none.`,
    );
  if (settings.tls === undefined && !settings.behindTlsProxy)
    problems.push(
      `${at} is reachable from other machines in plain text. Set STRONGROOM_TLS_CERT_FILE and STRONGROOM_TLS_KEY_FILE, or STRONGROOM_BEHIND_TLS_PROXY=true when a proxy in front ends TLS.`,
    );
  return problems;
}
