// Loads the definitions of kinds, separated by commas, and prints the packages that came with them; with a second argument it
// opens the one, too, and with a third it reads a key, which fails. A managed store is named `managed:KIND`.
import { registerHooks } from 'node:module';
import type { BackendDefinition } from '../src/definition.ts';

const loaded = new Set<string>();
registerHooks({
  load(url, context, next) {
    const found = /node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(url)?.[1];
    if (found !== undefined) loaded.add(found);
    return next(url, context);
  },
});

const [names = '', settings, use] = process.argv.slice(2);
const { managedStores, registry } = await import('../src/registry.ts');
const loaders: Readonly<Record<string, () => Promise<BackendDefinition<never>>>> = {
  ...registry,
  ...Object.fromEntries(Object.entries(managedStores).map(([kind, load]) => [`managed:${kind}`, load])),
};
for (const name of names.split(',').filter((each) => each !== '')) {
  const definition = await loaders[name]?.();
  if (definition === undefined) throw new Error(`There is no ${name}`);
  if (settings !== undefined) {
    const { createEgress } = await import('../src/egress/index.ts');
    const { SecretValue } = await import('@strongroom/crypto');
    const { StrongroomError } = await import('@strongroom/contract/core');
    const parts = {
      egress: createEgress({ allow: [], allowLoopback: false }),
      credential: () => Promise.resolve(SecretValue.fromText('none')),
      now: Date.now,
    };
    const backend = await definition.open(JSON.parse(settings) as never, parts);
    const reading = use === undefined ? null : backend.get('key', { signal: AbortSignal.timeout(60_000) });
    await reading?.catch((error: unknown) => {
      if (!(error instanceof StrongroomError)) throw error;
    });
    await backend.close();
    await parts.egress.close();
  }
}
process.stdout.write(JSON.stringify([...loaded].toSorted()));
