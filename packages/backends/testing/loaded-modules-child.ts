// Loads the definition of a kind and prints the packages that came with it; with a second argument it opens it, too.
import { registerHooks } from 'node:module';

const loaded = new Set<string>();
registerHooks({
  load(url, context, next) {
    const found = /node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(url)?.[1];
    if (found !== undefined) loaded.add(found);
    return next(url, context);
  },
});

const [type = '', settings] = process.argv.slice(2);
const { registry } = await import('../src/registry.ts');
if (type !== '') {
  const definition = await registry[type as keyof typeof registry]();
  if (settings !== undefined) {
    const { createEgress } = await import('../src/egress/index.ts');
    const { SecretValue } = await import('@strongroom/crypto');
    const parts = {
      egress: createEgress({ allow: [], allowLoopback: false }),
      credential: () => Promise.resolve(SecretValue.fromText('none')),
      now: Date.now,
    };
    const backend = await definition.open(JSON.parse(settings) as never, parts);
    await backend.close();
    await parts.egress.close();
  }
}
process.stdout.write(JSON.stringify([...loaded].toSorted()));
