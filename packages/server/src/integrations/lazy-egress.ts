import type { Egress } from '@strongroom/backends/egress';
import type { LoadedConfiguration } from '../config/load.ts';
import { isLoopback } from '../operation/listen-rules.ts';
import type { OpenEgress } from './connection.ts';

/** The egress guard as it is configured, loaded when the first address is checked: most of its weight is its HTTP client. */
export function lazyEgress({ settings, secrets }: LoadedConfiguration): {
  readonly open: OpenEgress;
  readonly close: () => Promise<void>;
} {
  let opened: Promise<Egress> | undefined;
  return {
    open: () => {
      opened ??= import('@strongroom/backends/egress').then(({ createEgress }) =>
        createEgress({
          allow: settings.egress.allow,
          proxy: secrets.egressProxy === undefined ? undefined : new URL(secrets.egressProxy),
          // Whoever reaches a server on loopback is on this machine, too.
          allowLoopback: isLoopback(settings.listen.host),
        }),
      );
      return opened;
    },
    close: async () => {
      await (await opened)?.close();
    },
  };
}
