import { randomBytes } from 'node:crypto';
import { addStorageVariables } from '../consumed-storage.ts';
import type { Rendered, RenderInput } from '../definition.ts';
import { resourcesOf, ValueRenderer } from '../rendering.ts';
import type { NotebookDocument } from './document.ts';

/** What opens a Jupyter server (Jupyter Server, "Security in the Jupyter Server"). */
export const tokenVariable = 'JUPYTER_TOKEN';

/**
 * A notebook with its values, ready to be started: a Jupyter server on loopback, on a port of its own choice, which the run's
 * log says. Whoever may read the log may not for that open the notebook, so the log masks the token, should something print
 * it: the one that is made here as one that a secret holds.
 */
export function renderNotebook(document: NotebookDocument, input: RenderInput): Rendered {
  const renderer = new ValueRenderer(input);
  const environment = renderer.environment(document.environment);
  addStorageVariables(environment, input.storage, renderer);
  if ((environment.get(tokenVariable) ?? '') === '') {
    const token = randomBytes(24).toString('hex');
    environment.set(tokenVariable, token);
    renderer.wrote(tokenVariable, '', token);
  }
  return renderer.rendered({
    command: [
      'jupyter',
      'server',
      '--no-browser',
      '--ServerApp.ip=127.0.0.1',
      '--ServerApp.port=0',
      '--ServerApp.port_retries=0',
      `--ServerApp.root_dir=${input.home}`,
    ],
    environment,
    files: [],
    ...resourcesOf(document.sizes?.cores, document.sizes?.memory),
  });
}
