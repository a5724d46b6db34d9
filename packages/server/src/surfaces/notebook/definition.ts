import { surfaceActions } from '@strongroom/contract';
import type { ScopeRef } from '../../access/types.ts';
import { FieldProblems, type Normalised, type SaveWarning, type SurfaceDefinition } from '../definition.ts';
import { checkLaunched, given } from '../launch-inputs.ts';
import { fieldsOf, readEnvironment } from '../named-fields.ts';
import type { NotebookDocument, NotebookInput } from './document.ts';
import { renderNotebook, tokenVariable } from './render.ts';

const actions = surfaceActions.notebook;

/** The surface `notebook`. */
export const notebookSurface = {
  type: 'notebook',
  title: 'notebook',
  scope: 'domain',
  actions,
  normalise,
  parse: (json) => JSON.parse(json) as NotebookDocument,
  fields: ({ environment }) => fieldsOf('environment', environment),
  consumes: ({ storageConfigs = [] }) => storageConfigs,
  launch: { action: actions.launch, runsUntilStopped: true, render: renderNotebook },
  /** Anything but sizes and description can redirect a value. */
  authorityPart: ({ sizes: _sizes, description: _description, ...rest }) => rest,
} satisfies SurfaceDefinition<NotebookInput, NotebookDocument>;

function normalise(input: NotebookInput, scope: ScopeRef): Normalised<NotebookDocument> {
  const problems = new FieldProblems();
  const warnings: SaveWarning[] = [];
  const origins = new Map<string, string>();
  const environment = readEnvironment({ scope, problems, origins }, input);
  checkLaunched(input, problems, warnings);
  problems.refuse('notebook');
  if (!environment.some(({ name }) => name === tokenVariable))
    warnings.push({
      pointer: '/environment',
      code: 'no-token',
      message: `Without ${tokenVariable} each start makes a token that only the server's machine can show; refer to a secret.`,
    });
  const { description, storageConfigs, runner, kubernetes, image, sizes } = input;
  const document = { ...given({ description, storageConfigs, runner, kubernetes, image, sizes }), environment };
  return { document, warnings, origins };
}
